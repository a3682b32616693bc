package sbom

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/mastercard/mangos/format/erofs"
)

// Installed is what the document in the root of an image is made of, if the release's
// is made of in: it lists the files of the root but itself, and of the other parts
// what they are made of.
func Installed(in Input) Input {
	in.Components = slices.Clone(in.Components)
	for i := range in.Components {
		c := &in.Components[i]
		switch c.Name {
		case "root":
			c.Files = slices.DeleteFunc(slices.Clone(c.Files), func(f File) bool { return f.Path == InstalledPath })
			c.LeftOut, c.Artifact = InstalledPath, nil
			continue
		case "kernel":
			*c = Kernel(c.Source, "") // it is compiled later
		}
		c.outline()
	}
	return in
}

// CheckInstalled holds the document that an image holds against the one that it must
// hold if the release's is made of in.
func CheckInstalled(root *erofs.Image, in *Input) error {
	text, err := readInstalled(root)
	if err != nil {
		return fmt.Errorf("/%s: %w", InstalledPath, err)
	}
	doc, err := Parse(text)
	if err != nil {
		return fmt.Errorf("/%s: %w", InstalledPath, err)
	}
	want := Installed(*in)
	if err := CheckRebuilt(doc, &want); err != nil {
		return fmt.Errorf("/%s: %w", InstalledPath, err)
	}
	return nil
}

// readInstalled reads the document that an image holds.
func readInstalled(root *erofs.Image) ([]byte, error) {
	compressed, err := newImageFiles(root).ReadFile(InstalledPath, MaxSize)
	if err != nil {
		return nil, err
	}
	return decompress(bytes.NewReader(compressed), MaxSize)
}
