// Package unified assembles unified kernel images.
package unified

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/mastercard/mangos/format/pcr"
	"github.com/mastercard/mangos/format/uki"
	"github.com/mastercard/mangos/format/verity"
	"github.com/mastercard/mangos/modules/image/output"
	"github.com/mastercard/mangos/modules/image/tool"
)

// ErrParts is wrapped by every error about what an image is to be made of.
var ErrParts = errors.New("unusable parts of a unified kernel image")

// Parts are the paths of what goes into an image.
type Parts struct {
	Stub, Kernel, Initrd string
	// Microcode may be empty.
	Microcode string
	// Release is os-release, Uname the kernel's release, CommandLine the
	// built-in command line.
	Release, Uname, CommandLine string
	// PCRPublic and PCRSignatures are the contents of .pcrpkey and .pcrsig;
	// empty in an image without keys.
	PCRPublic, PCRSignatures string
}

// Build writes the image, not signed for Secure Boot, to out.
func (p Parts) Build(ctx context.Context, epoch int64, out string) error {
	for _, path := range []string{p.Stub, p.Kernel, p.Initrd, p.Release, p.Uname, p.CommandLine} {
		if st, err := os.Stat(path); err != nil {
			return fmt.Errorf("unified kernel image: %w: %w", ErrParts, err)
		} else if !st.Mode().IsRegular() || st.Size() == 0 {
			return fmt.Errorf("unified kernel image: %s is no file, or empty: %w", path, ErrParts)
		}
	}
	uname, err := os.ReadFile(p.Uname)
	if err != nil {
		return fmt.Errorf("unified kernel image: %w", err)
	}
	args := []string{
		"build", "--no-measure", "--stub=" + p.Stub, "--linux=" + p.Kernel, "--initrd=" + p.Initrd,
		"--os-release=@" + p.Release, "--cmdline=@" + p.CommandLine, "--uname=" + strings.TrimSpace(string(uname)),
	}
	if p.Microcode != "" {
		args = append(args, "--microcode="+p.Microcode)
	}
	if p.PCRPublic != "" {
		args = append(args, "--pcrpkey="+p.PCRPublic)
	}
	if p.PCRSignatures != "" {
		args = append(args, "--section=.pcrsig:@"+p.PCRSignatures)
	}
	err = output.Made(out, func(temporary string) error {
		// ukify keeps temporary copies of some sections.
		_, err := tool.Command{
			Name: "ukify", Args: append(args, "--output="+temporary), Epoch: epoch,
			Temp: filepath.Dir(temporary),
		}.Run(ctx)
		if err != nil {
			return err
		}
		return p.check(temporary)
	})
	if err != nil {
		return fmt.Errorf("unified kernel image: %w", err)
	}
	return nil
}

// check reads the image back and compares its sections with the files.
func (p Parts) check(path string) error {
	u, err := Read(path)
	if err != nil {
		return err
	}
	for name, file := range map[string]string{
		".linux": p.Kernel, ".initrd": p.Initrd, ".ucode": p.Microcode, ".osrel": p.Release,
		".cmdline": p.CommandLine, ".pcrpkey": p.PCRPublic, ".pcrsig": p.PCRSignatures,
	} {
		var want []byte
		if file != "" {
			if want, err = os.ReadFile(file); err != nil {
				return err
			}
		}
		if !bytes.Equal(u.Section(name), want) {
			return fmt.Errorf("section %s is not what %q holds: %w", name, file, ErrParts)
		}
	}
	return nil
}

// Read reads the image at path.
func Read(path string) (*uki.Image, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if st.Size() > uki.MaxSize {
		return nil, fmt.Errorf("read %s: %d bytes: %w", path, st.Size(), uki.ErrFormat)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	u, err := uki.Parse(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return u, nil
}

// CommandLine returns the built-in kernel command line: roothash= and the given
// text. It is one line of printable ASCII without blanks at its ends, so that
// no program on the way to the kernel changes it.
func CommandLine(root verity.RootHash, text string) (string, error) {
	line := "roothash=" + root.String() + " " + text
	switch {
	case text == "" || strings.TrimSpace(text) != text:
		return "", fmt.Errorf("command line is empty or has blanks at its ends: %w", ErrParts)
	case strings.Contains(text, "roothash="):
		return "", fmt.Errorf("command line has roothash= already: %w", ErrParts)
	case len(line) >= maxCommandLine:
		return "", fmt.Errorf("command line of %d bytes, at most %d fit: %w", len(line), maxCommandLine-1, ErrParts)
	}
	for _, c := range line {
		if c < ' ' || c > '~' {
			return "", fmt.Errorf("command line holds %q, want printable ASCII: %w", c, ErrParts)
		}
	}
	return line, nil
}

// maxCommandLine is COMMAND_LINE_SIZE of the kernel for x86.
const maxCommandLine = 2048

// Predict returns the values that the image leaves in PCR 11, by phase. The
// signatures over them may be missing: they are not measured. It builds the image
// in dir to have the sections as they will be (ukify adds some).
func (p Parts) Predict(ctx context.Context, epoch int64, dir string) ([]pcr.Phase, error) {
	p.PCRSignatures = ""
	path := filepath.Join(dir, "measured.efi")
	if err := p.Build(ctx, epoch, path); err != nil {
		return nil, err
	}
	defer os.Remove(path)
	u, err := Read(path)
	if err != nil {
		return nil, err
	}
	return pcr.Predict(u.Section)
}
