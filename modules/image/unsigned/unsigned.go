// Package unsigned describes the unsigned set: what is identical for everybody
// who builds the same inputs, and what signing may change in it.
package unsigned

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/mastercard/mangos/attest/strictjson"
	"github.com/mastercard/mangos/format/byterange"
	"github.com/mastercard/mangos/format/verity"
	"github.com/mastercard/mangos/modules/image/disk"
)

// ErrSet is wrapped by every error about what an unsigned set holds.
var ErrSet = errors.New("unusable unsigned set")

// MaxSize bounds the size in bytes of a manifest.
const MaxSize = 1 << 20

// File is a file of the set.
type File struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// Manifest is the content of mangos_<version>.unsigned.json.
type Manifest struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	// Epoch is every time in the set, in seconds since 1970.
	Epoch    int64  `json:"epoch"`
	RootHash string `json:"rootHash"`
	// Files are the files of the set, sorted by name.
	Files []File `json:"files"`
	// Signing says what signing may change.
	Signing Signing `json:"signing"`
}

// Signing lists, for each file of the set that signing changes, what it may
// change there.
type Signing struct {
	// Kernel holds byte ranges of vmlinux and bzImage, for the certificate.
	Kernel *byterange.Set `json:"kernel"`
	// Image tells what a signed unified kernel image has that its normal form
	// (the file uki.efi) has not.
	Image Image `json:"image"`
	// Disk tells where disk images of organisations differ.
	Disk Disk `json:"disk"`
}

// Disk lists what signing changes in a disk image. Its table and all that lies
// outside of these partitions is the same.
type Disk struct {
	// Signature is the label of the partition with the signature of the root hash,
	// Boot that of the EFI system partition. The bytes of both differ.
	Signature string `json:"signaturePartition"`
	Boot      string `json:"bootPartition"`
	// Files says how files of the EFI system partition differ: SignedImage,
	// SignedProgram or Organisation. The others are the same. A name may have "*"
	// for what stands between two slashes.
	Files map[string]string `json:"bootFiles"`
}

// How a file of the EFI system partition differs.
const (
	// SignedImage: it is the signed unified kernel image.
	SignedImage = "image"
	// SignedProgram: in its certificate table only.
	SignedProgram = "certificateTable"
	// Organisation: it belongs to the organisation.
	Organisation = "organisation"
)

// Image describes the differences between a signed unified kernel image and
// its normal form, which format/uki computes.
type Image struct {
	// Added are sections of the signed image only.
	Added []string `json:"addedSections"`
	// Replaced maps a section to the file of the set with its content in the
	// normal form.
	Replaced map[string]string `json:"replacedSections"`
	// Signature tells that the signed image ends with a certificate table.
	Signature bool `json:"certificateTable"`
}

// The names of the files of the set.
const (
	Root        = "root.erofs"
	Tree        = "root.verity"
	RootHash    = "roothash"
	Vmlinux     = "vmlinux"
	BzImage     = "bzImage"
	Uname       = "release"
	Initrd      = "initrd"
	Microcode   = "microcode.cpio"
	CommandLine = "cmdline"
	OSRelease   = "os-release"
	UKI         = "uki.efi"
	SBOM        = "sbom.spdx.json"

	// ManifestName is the manifest, which is not one of the files it lists.
	ManifestName = "unsigned.json"
)

// Differences is what signing may change in a release, whoever makes it, beside the
// byte ranges of the kernel, which each kernel has its own of.
func Differences(name, version string) Signing {
	return Signing{
		Image: Image{
			Added:     []string{".pcrpkey", ".pcrsig"},
			Replaced:  map[string]string{".linux": BzImage, ".osrel": OSRelease},
			Signature: true,
		},
		Disk: Disk{
			Signature: name + "_" + version + "_verity_sig",
			Boot:      "esp",
			Files: map[string]string{
				"EFI/Linux/*.efi":      SignedImage,
				"EFI/BOOT/BOOTX64.EFI": SignedProgram,
				"mangos/extensions/*":  Organisation,
			},
		},
	}
}

// Describe makes the manifest of a set. files maps names of the set to paths,
// ranges is the path of the kernel's byte ranges.
func Describe(name, version string, epoch int64, root verity.RootHash, files map[string]string, ranges string) (*Manifest, error) {
	m := &Manifest{
		Name: name, Version: version, Epoch: epoch, RootHash: root.String(), Files: []File{}, Signing: Differences(name, version),
	}
	for name, path := range files {
		sum, size, err := disk.Digest(path)
		if err != nil {
			return nil, fmt.Errorf("describe unsigned set: %w", err)
		}
		m.Files = append(m.Files, File{Name: name, Size: size, SHA256: hex.EncodeToString(sum[:])})
	}
	slices.SortFunc(m.Files, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	f, err := os.Open(ranges)
	if err != nil {
		return nil, fmt.Errorf("describe unsigned set: %w", err)
	}
	defer f.Close()
	if m.Signing.Kernel, err = byterange.Read(f); err != nil {
		return nil, fmt.Errorf("describe unsigned set: %s: %w", ranges, err)
	}
	return m, nil
}

// JSON returns the manifest's text.
func (m *Manifest) JSON() ([]byte, error) {
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("unsigned set: %w", err)
	}
	return append(text, '\n'), nil
}

// Read reads a manifest. An unknown member is an error: the manifest says what
// may differ, and a reader that skips half of that would be fooled.
func Read(r io.Reader) (*Manifest, error) {
	text, err := io.ReadAll(io.LimitReader(r, MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("read unsigned set: %w", err)
	}
	if len(text) > MaxSize {
		return nil, fmt.Errorf("read unsigned set: more than %d bytes: %w", MaxSize, ErrSet)
	}
	m := &Manifest{}
	if err := strictjson.UnmarshalKnown(text, m); err != nil {
		return nil, fmt.Errorf("read unsigned set: %w: %w", ErrSet, err)
	}
	if _, err := verity.ParseRootHash(m.RootHash); err != nil {
		return nil, fmt.Errorf("read unsigned set: %w: %w", ErrSet, err)
	}
	return m, nil
}
