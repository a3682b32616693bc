package verify

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"

	"github.com/mastercard/mangos/format/byterange"
	"github.com/mastercard/mangos/modules/image/unsigned"
	"github.com/mastercard/mangos/modules/kernel/artifact"
)

// kernelRanges are the bytes of a file of the kernel that the list of the unsigned set
// lets a certificate change. They are within the file; whether they are those of a
// certificate is for checkSigning.
func (m *image) kernelRanges(name string) (byterange.File, error) {
	if m.manifest.Signing.Kernel == nil {
		return byterange.File{}, errors.New("the list of the unsigned set has no byte ranges of the kernel")
	}
	f, err := m.manifest.Signing.Kernel.File(name)
	if err != nil {
		return f, fmt.Errorf("the list of the unsigned set: %w", err)
	}
	if err := f.Check(); err != nil {
		return f, fmt.Errorf("the list of the unsigned set: %w", err)
	}
	return f, nil
}

// checkSigning holds what the list of the unsigned set lets signing change against what
// signing does change: whoever compares organisations looks away there.
func (m *image) checkSigning(all statements) error {
	got := m.manifest.Signing
	got.Kernel = nil
	if want := unsigned.Differences(m.manifest.Name, m.manifest.Version); !reflect.DeepEqual(got, want) {
		return fmt.Errorf("the list of the unsigned set lets signing change %+v %+v, it changes %+v %+v", got.Image, got.Disk, want.Image, want.Disk)
	}
	made, err := all.product("kernel-packed", "kernel/"+artifact.Ranges)
	if err != nil {
		return err
	}
	text, err := m.manifest.Signing.Kernel.JSON()
	if err != nil {
		return fmt.Errorf("the list of the unsigned set: %w", err)
	}
	if sum := sha256.Sum256(text); hex.EncodeToString(sum[:]) != made {
		return fmt.Errorf("the list of the unsigned set has byte ranges of the kernel with SHA-256 %x, the step kernel-packed made %s", sum, made)
	}
	return m.checkRanges()
}

// checkRanges makes sure that the byte ranges of vmlinux are those of the bzImage, in
// which readKernel has found a certificate: the same, all as far from there, but for the
// checksum that only the bzImage has.
func (m *image) checkRanges() error {
	kernel, err := m.kernelRanges(artifact.Vmlinux)
	if err != nil {
		return err
	}
	packed, err := m.kernelRanges(artifact.BzImage)
	if err != nil {
		return err
	}
	if n := len(m.manifest.Signing.Kernel.Files); n != 2 || len(packed.Ranges) != 4 || len(kernel.Ranges) != 3 {
		return fmt.Errorf("the list of the unsigned set has byte ranges of %d files, %d of vmlinux and %d of bzImage, want 2 files, 3 and 4",
			n, len(kernel.Ranges), len(packed.Ranges))
	}
	shift := packed.Ranges[0].Offset - kernel.Ranges[0].Offset
	for i, r := range kernel.Ranges {
		if r.Offset += shift; r != packed.Ranges[i] {
			return fmt.Errorf("the list of the unsigned set lets signing change %+v of vmlinux, and %+v of bzImage: they are not the same bytes of the kernel",
				kernel.Ranges[i], packed.Ranges[i])
		}
	}
	for _, f := range m.manifest.Files {
		for _, described := range []byterange.File{kernel, packed} {
			if f.Name == described.File && f.Size != described.Size {
				return fmt.Errorf("the list of the unsigned set has %s with %d bytes, its byte ranges are of a file with %d", f.Name, f.Size, described.Size)
			}
		}
	}
	return nil
}
