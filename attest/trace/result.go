package trace

// Result is what is known of one thing that was asked for. What does not apply is
// left out.
type Result struct {
	// Asked is the question.
	Asked string `json:"asked"`
	// Component is the part of the image that it is in: root, initrd, kernel,
	// boot or microcode. Path is its path there.
	Component string `json:"component,omitempty"`
	Title     string `json:"title,omitempty"`
	Path      string `json:"path,omitempty"`
	// Folder tells that Path is a folder of the component.
	Folder bool `json:"folder,omitempty"`
	// Links are the symbolic links that led there.
	Links  []Link `json:"links,omitempty"`
	SHA256 string `json:"sha256,omitempty"`
	// Origin says who made the file where no package brought it as it is.
	Origin string `json:"origin,omitempty"`
	// Elsewhere are other places with the same path or the same content.
	Elsewhere []string `json:"elsewhere,omitempty"`
	Package   *Package `json:"package,omitempty"`
	Program   *Program `json:"program,omitempty"`
	Source    *Source  `json:"source,omitempty"`
	Locked    *Locked  `json:"locked,omitempty"`
	// Built are the steps on the way into the image, in the order in which they run.
	Built []Built `json:"built"`
	// Faults say what is wrong with the evidence.
	Faults   []string  `json:"faults,omitempty"`
	Document *Document `json:"document,omitempty"`
	// Released is the file of the release that was asked for. Its digest was computed
	// from its content.
	Released *Document `json:"released,omitempty"`

	step string // the one that made what has no digest, and is in no part of the image
}

// Link is a symbolic link on the way.
type Link struct {
	Path   string `json:"path"`
	Target string `json:"target"`
	// Owner is the package of the link, else Origin who made it.
	Owner  string `json:"owner,omitempty"`
	Origin string `json:"origin,omitempty"`
}

// Package is a package of the distribution.
type Package struct {
	Name        string `json:"name"`
	Version     string `json:"version"`
	PURL        string `json:"purl,omitempty"`
	File        string `json:"file,omitempty"`
	SHA256      string `json:"sha256,omitempty"`
	Licence     string `json:"licence,omitempty"`
	LicenceNote string `json:"licenceNote,omitempty"`
}

// Program is a Go program of ours.
type Program struct {
	Name    string   `json:"name"`
	PURL    string   `json:"purl,omitempty"`
	Build   string   `json:"build"`
	Modules []Module `json:"modules"`
	// SWHID is the tree of the repository's files that it was compiled from, Tree says
	// which; empty if the bill of materials does not name it.
	SWHID string `json:"swhid,omitempty"`
	Tree  string `json:"tree,omitempty"`
}

// Module is a Go module in a program.
type Module struct {
	Path    string `json:"path"`
	Version string `json:"version"`
	// Info holds the sum in go.sum and what is known of the commit.
	Info string `json:"info"`
}

// Source is a source package.
type Source struct {
	Name    string       `json:"name"`
	Version string       `json:"version"`
	PURL    string       `json:"purl,omitempty"`
	Files   []SourceFile `json:"files"`
	// Level says how well it is known: commit, tree or version.
	Level string `json:"level"`
	SWHID string `json:"swhid,omitempty"`
	// Tree says which archive holds the tree with that SWHID.
	Tree string `json:"tree,omitempty"`
	// Commit is the upstream commit, Proof what proves it.
	Commit string `json:"commit,omitempty"`
	Proof  string `json:"proof,omitempty"`
	// DebianCommit is the commit of the package in Debian's dgit history.
	DebianCommit string `json:"debianCommit,omitempty"`
	// Declared is what the package says of its repository, and proves nothing.
	Declared []string `json:"declared,omitempty"`
}

// SourceFile is a file of a source package.
type SourceFile struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
}

// Locked is the way from a locked file to the keys of the distribution.
type Locked struct {
	// Name is the locked file's name, Home where it can be had for good.
	Name   string `json:"name"`
	Home   string `json:"home,omitempty"`
	SHA256 string `json:"sha256"`
	// Lock is the lock that has the same entry; empty if none was at hand.
	Lock string `json:"lock,omitempty"`
	// Suite, Date and Release name the signed Release, by the SHA-256 of its
	// text; Signed says by which keys.
	Suite   string `json:"suite"`
	Date    string `json:"date"`
	Release string `json:"release"`
	Signed  string `json:"signed"`
	// Trust says what the policy says of these keys.
	Trust Trust `json:"trust"`
}

// Built is a step that had a part in it, by one of its statements.
type Built struct {
	Step string `json:"step"`
	// Product is what it made of what was asked for.
	Product string `json:"product,omitempty"`
	Builder string `json:"builder,omitempty"`
	// Bundle is the statement's file; empty if there is no statement.
	Bundle string `json:"bundle"`
	// Signed is the key that signed the statement; empty if none was checked, or
	// none of the policy's keys did.
	Signed string `json:"signed,omitempty"`
	// Trust says what the policy says of the key. Organisation is whose it is,
	// where the policy has the key and names one.
	Trust        Trust  `json:"trust"`
	Organisation string `json:"organisation,omitempty"`
}

// Trust is what a policy says of the key that signed a statement, or a Release.
type Trust string

// All that can be said.
const (
	NotChecked  Trust = "not checked" // no policy was given
	InPolicy    Trust = "in the policy"
	NotInPolicy Trust = "not in the policy"
)

// Untrusted reports whether keys or a policy were given, and what the result says is not
// vouched for as they want it: the bill of materials, the file of the release that was
// asked for, one of the steps, or the distribution's Release.
func (r *Result) Untrusted() bool {
	return r.Document.unvouched() || r.Released.unvouched() || r.Document.Checked && len(r.Faults) > 0
}
