// Package cause names why two things differ: the classes of causes, and which
// of them a reader should see first.
package cause

// Class is a class of causes. A class is given to a difference only where it
// is proven by the bytes themselves; what is not proven is [Content].
type Class string

// The classes.
const (
	// Inputs: the two sides were made from different inputs.
	Inputs Class = "inputs"
	// Version: another version of a package.
	Version Class = "version"
	// Content: the bytes differ and nothing proves why.
	Content Class = "content"
	// OneSide: it exists on one side only.
	OneSide Class = "one-side"
	// Permission: mode, owner, access list, capability.
	Permission Class = "permission"
	// Attribute: an extended attribute that grants nothing.
	Attribute Class = "attribute"
	// Timestamp: equal but for times.
	Timestamp Class = "timestamp"
	// Path: equal but for names of folders.
	Path Class = "path"
	// Order: the same things in another order.
	Order Class = "order"
	// UUID: equal but for identifiers of the form of a UUID.
	UUID Class = "uuid"
	// BuildID: equal but for the identifier that a linker derived.
	BuildID Class = "build-id"
	// Random: equal but for strings of the same length without meaning.
	Random Class = "random"
	// Compression: the same content, compressed otherwise.
	Compression Class = "compression"
	// Layout: the same content, placed otherwise.
	Layout Class = "layout"
	// Signature: made with an organisation's key.
	Signature Class = "signature"
	// Certificate: an organisation's certificate or public key.
	Certificate Class = "certificate"
	// Derived: follows from another difference (a checksum, an offset).
	Derived Class = "derived"
)

var order = []Class{
	Inputs, Version, Content, OneSide, Permission, Path, Timestamp, Random, UUID,
	Order, Attribute, BuildID, Compression, Layout, Certificate, Signature, Derived,
}

// Classes lists all classes, the most telling first.
func Classes() []Class { return append([]Class{}, order...) }

// Known reports whether c is one of the classes.
func (c Class) Known() bool { return c.Rank() < len(order) }

// Rank is the place of the class among all: what has a small rank more likely
// causes what has a large one.
func (c Class) Rank() int {
	for n, o := range order {
		if c == o {
			return n
		}
	}
	return len(order)
}

var texts = map[Class]string{
	Inputs:      "made from different inputs",
	Version:     "another version of the package",
	Content:     "the bytes differ",
	OneSide:     "on one side only",
	Permission:  "mode, owner or capability differs",
	Attribute:   "an extended attribute differs",
	Timestamp:   "equal but for times",
	Path:        "equal but for paths",
	Order:       "the same in another order",
	UUID:        "equal but for a UUID",
	BuildID:     "equal but for the build id",
	Random:      "equal but for strings that look random",
	Compression: "the same content, compressed otherwise",
	Layout:      "the same content, placed otherwise",
	Signature:   "made with the organisation's key",
	Certificate: "the organisation's certificate or public key",
	Derived:     "follows from another difference",
}

// Text is the class in a few words.
func (c Class) Text() string { return texts[c] }
