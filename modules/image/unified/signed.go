package unified

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/mastercard/mangos/format/pcr"
	"github.com/mastercard/mangos/format/uki"
)

// Organisation is what one organisation's image has that the normal form has
// not. All of it is public.
type Organisation struct {
	// Kernel is the bzImage with the organisation's certificate.
	Kernel []byte
	// PCRPublic is the public half of its PCR key, PEM.
	PCRPublic []byte
	// TryOut marks an image signed with try-out keys.
	TryOut bool
}

// sections returns the sections that differ from the normal form, but for
// .pcrsig, which is not measured.
func (o Organisation) sections(normal *uki.Image) (map[string][]byte, error) {
	if normal.Signed() || normal.Section(".pcrpkey") != nil || normal.Section(".pcrsig") != nil {
		return nil, fmt.Errorf("the image has been signed, it is no normal form: %w", ErrParts)
	}
	s := map[string][]byte{".linux": o.Kernel, ".pcrpkey": o.PCRPublic, ".osrel": normal.Section(".osrel")}
	if o.TryOut {
		marked, err := MarkTryOut(s[".osrel"])
		if err != nil {
			return nil, err
		}
		s[".osrel"] = marked
	}
	return s, nil
}

// Predict returns the values of PCR 11 that the organisation's image will
// leave, from what is public.
func (o Organisation) Predict(normal *uki.Image) ([]pcr.Phase, error) {
	changed, err := o.sections(normal)
	if err != nil {
		return nil, fmt.Errorf("predict PCR %d: %w", pcr.Kernel, err)
	}
	return pcr.Predict(section(normal, changed))
}

func section(u *uki.Image, changed map[string][]byte) func(string) []byte {
	return func(name string) []byte {
		if content, ok := changed[name]; ok {
			return content
		}
		return u.Section(name)
	}
}

// Build writes the organisation's image, with the signatures over the PCR
// policies and not yet signed for Secure Boot, to out. It checks that the image
// leaves the values that Predict says, and that its normal form is the one it
// was made from.
func (o Organisation) Build(ctx context.Context, normal *uki.Image, stub string, signatures []pcr.Signature, epoch int64, out string) error {
	changed, err := o.sections(normal)
	if err != nil {
		return fmt.Errorf("signed image: %w", err)
	}
	if changed[".pcrsig"], err = pcr.EncodeSignatures(signatures); err != nil {
		return fmt.Errorf("signed image: %w", err)
	}
	dir, err := os.MkdirTemp(filepath.Dir(out), ".partial-sections-*")
	if err != nil {
		return fmt.Errorf("signed image: %w", err)
	}
	defer os.RemoveAll(dir)
	get := section(normal, changed)
	var write error
	file := func(name string) string {
		content := get(name)
		if content == nil {
			return ""
		}
		path := filepath.Join(dir, name[1:])
		write = errors.Join(write, os.WriteFile(path, content, 0o600))
		return path
	}
	parts := Parts{
		Stub: stub, Kernel: file(".linux"), Initrd: file(".initrd"), Microcode: file(".ucode"), Release: file(".osrel"),
		Uname: file(".uname"), CommandLine: file(".cmdline"), PCRPublic: file(".pcrpkey"), PCRSignatures: file(".pcrsig"),
	}
	if write != nil {
		return fmt.Errorf("signed image: %w", write)
	}
	if err := parts.Build(ctx, epoch, out); err != nil {
		return err
	}
	return o.check(normal, out)
}

func (o Organisation) check(normal *uki.Image, path string) error {
	built, err := Read(path)
	if err != nil {
		return err
	}
	want, err := o.Predict(normal)
	if err != nil {
		return err
	}
	got, err := pcr.Predict(built.Section)
	if err != nil {
		return err
	}
	for i := range want {
		if got[i] != want[i] {
			return fmt.Errorf("signed image: PCR %d after %s would be %s, predicted was %s: %w",
				pcr.Kernel, want[i].Path, got[i].Value, want[i].Value, ErrParts)
		}
	}
	form, err := NormalForm(built, normal.Section(".linux"))
	if err != nil {
		return err
	}
	if !bytes.Equal(form, normal.Bytes()) {
		return fmt.Errorf("signed image: its normal form is not what it was made from: %w", ErrParts)
	}
	return nil
}

// NormalForm returns the normal form of an organisation's image, given the
// kernel without certificate. The mark of a try-out build is taken off.
func NormalForm(signed *uki.Image, kernel []byte) ([]byte, error) {
	replace := map[string][]byte{".linux": kernel}
	if release, marked := UnmarkTryOut(signed.Section(".osrel")); marked {
		replace[".osrel"] = release
	}
	return signed.NormalForm(replace)
}
