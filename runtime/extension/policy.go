package extension

import (
	"fmt"
	"slices"
	"strings"
)

// PolicyFile is the policy in the root image, relative to the root.
const PolicyFile = "usr/lib/mangos/extensions.conf"

// Organisation is the purpose of the one extension that makes a machine its
// organisation's, and that extension's name.
const Organisation = "org"

// Policy says which extensions a machine takes.
type Policy struct {
	// Purposes lists what an extension may be for.
	Purposes []string
	// Required lists the extensions without which the machine does not start.
	Required []ID
}

// ParsePolicy reads the policy file: PURPOSES and REQUIRED, each a list with
// blanks between; a required extension is written CLASS/NAME.
func ParsePolicy(text []byte) (Policy, error) {
	var p Policy
	all, err := Parse(text)
	if err != nil {
		return p, fmt.Errorf("extension policy: %w", err)
	}
	for name := range all {
		if name != "PURPOSES" && name != "REQUIRED" {
			return p, fmt.Errorf("extension policy: %w: there is no setting %s", ErrSyntax, name)
		}
	}
	p.Purposes = strings.Fields(all["PURPOSES"])
	for _, word := range strings.Fields(all["REQUIRED"]) {
		class, name, _ := strings.Cut(word, "/")
		id, err := ParseFileName(name + "." + class + ".raw")
		if err != nil {
			return p, fmt.Errorf("extension policy: %w: required extension %q is not CLASS/NAME", ErrSyntax, word)
		}
		p.Required = append(p.Required, id)
	}
	return p, nil
}

// allows says whether an extension with these metadata may be used under that
// file name. Errors are *Refusal.
func (p Policy) allows(id ID, m Metadata) error {
	if m.Name != id.Name {
		return refuse(Renamed, "it is the extension %q under another name", m.Name)
	}
	if !slices.Contains(p.Purposes, m.Purpose) {
		return refuse(BadPurpose, "its purpose %q is not one that this system takes (%s)", m.Purpose, strings.Join(p.Purposes, ", "))
	}
	isOrg := id == ID{Confext, Organisation}
	if isOrg != (m.Purpose == Organisation) {
		return refuse(BadPurpose, "the purpose %q belongs to %s and to nothing else; this is %s with purpose %q", Organisation, ID{Confext, Organisation}, id, m.Purpose)
	}
	return nil
}
