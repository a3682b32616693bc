package side

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/mastercard/mangos/attest/sbom"
	"github.com/mastercard/mangos/compare/component"
	"github.com/mastercard/mangos/modules/image/unsigned"
)

// ErrBill: a release with several bills of materials.
var ErrBill = errors.New("more than one bill of materials")

// listed are the artifacts whose packages stand in the release's bill of materials only,
// by the component that they are there. The root has dpkg's own database.
var listed = map[string]string{unsigned.Initrd: "initrd", unsigned.Microcode: "microcode"}

// own lets the packages of an artifact be known by the release's bill of materials, if
// it has one. A bill that cannot be read is a problem, and no reason to explain less.
func (s *Side) own(n *component.Node) {
	part := listed[n.Name]
	if part == "" {
		return
	}
	owners, err := billed(s.Path, part)
	if err != nil {
		s.Problems = append(s.Problems, fmt.Errorf("packages of %s: %w", n.Name, err))
		return
	}
	if owners != nil {
		component.WithOwners(n, owners)
	}
}

// billed reads the owners from the bill of materials in a folder; nil where it has none.
func billed(folder, part string) (*component.Owners, error) {
	found, err := filepath.Glob(filepath.Join(folder, "*.spdx.json"))
	if err != nil || len(found) == 0 {
		return nil, err
	}
	if len(found) > 1 {
		return nil, fmt.Errorf("%w: %q", ErrBill, found)
	}
	text, err := sbom.Read(found[0])
	if err != nil {
		return nil, err
	}
	x, err := sbom.Open(text)
	if err != nil {
		return nil, err
	}
	return x.Owners(part)
}
