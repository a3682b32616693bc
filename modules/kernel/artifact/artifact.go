// Package artifact makes the files of a kernel out of a compiled one: first
// those that are the same for everybody, then those of one organisation.
//
// A folder of a kernel holds vmlinux, System.map, bzImage, config, release and
// ranges.json, which says which bytes of vmlinux and bzImage an organisation's
// certificate changes.
package artifact

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/mastercard/mangos/format/byterange"
	"github.com/mastercard/mangos/format/bzimage"
	"github.com/mastercard/mangos/format/vmlinux"
	"github.com/mastercard/mangos/modules/kernel/certificate"
	"github.com/mastercard/mangos/modules/kernel/payload"
)

// The files of a kernel's folder.
const (
	Vmlinux   = "vmlinux"
	SystemMap = "System.map"
	BzImage   = "bzImage"
	Config    = "config"
	Release   = "release"
	Ranges    = "ranges.json"
)

// ErrExists reports an output folder that is there already.
var ErrExists = errors.New("output folder exists")

// ErrRanges reports a kernel whose changed bytes are not those declared.
var ErrRanges = errors.New("kernel does not fit its byte ranges")

// maxFile bounds the files read, in bytes.
const maxFile = 1 << 30

// Pack reads a compiled kernel and makes the folder that everybody has the
// same: the bzImage's payload is compressed so that the certificate area
// stands uncompressed in it, and the byte ranges are written down.
func Pack(compiled, out string, compress payload.Compress) error {
	kernel, symbols, err := readKernel(compiled)
	if err != nil {
		return fmt.Errorf("pack: %w", err)
	}
	image, inner, err := readImage(filepath.Join(compiled, BzImage))
	if err != nil {
		return fmt.Errorf("pack: %w", err)
	}
	if err := vmlinux.Same(kernel, inner); err != nil {
		return fmt.Errorf("pack: bzImage and vmlinux are not of the same kernel: %w", err)
	}
	area, err := certificate.Find(kernel, symbols)
	if err != nil {
		return fmt.Errorf("pack: vmlinux: %w", err)
	}
	innerArea, err := certificate.Find(inner, symbols)
	if err != nil {
		return fmt.Errorf("pack: bzImage: %w", err)
	}
	offset, length := innerArea.Window()
	packed, at, err := payload.Pack(image, offset, length, compress)
	if err != nil {
		return err
	}
	ranges := &byterange.Set{Files: []byterange.File{
		{File: Vmlinux, Size: int64(len(kernel)), Ranges: area.Ranges(0)},
		{File: BzImage, Size: int64(len(packed)), Ranges: append(innerArea.Ranges(int64(at)-int64(offset)),
			byterange.Range{Offset: int64(image.ChecksumOffset()), Length: 4, What: "CRC-32 of the file"})},
	}}
	text, err := ranges.JSON()
	if err != nil {
		return fmt.Errorf("pack: %w", err)
	}
	return write(out, compiled, map[string][]byte{Vmlinux: kernel, BzImage: packed, Ranges: text})
}

// Certify puts an organisation's certificate (DER) into a packed kernel's
// vmlinux and bzImage. It checks that the two are still the same kernel and
// that nothing changed outside of the declared ranges.
func Certify(packed, out string, der []byte) error {
	kernel, symbols, err := readKernel(packed)
	if err != nil {
		return fmt.Errorf("certify: %w", err)
	}
	file, err := readFile(filepath.Join(packed, BzImage))
	if err != nil {
		return fmt.Errorf("certify: %w", err)
	}
	ranges, err := readRanges(filepath.Join(packed, Ranges))
	if err != nil {
		return fmt.Errorf("certify: %w", err)
	}
	area, err := certificate.Find(kernel, symbols)
	if err != nil {
		return fmt.Errorf("certify: %w", err)
	}
	certified := bytes.Clone(kernel)
	if err := area.Insert(certified, der); err != nil {
		return fmt.Errorf("certify: %w", err)
	}
	image, err := copyRanges(ranges, kernel, certified, file)
	if err != nil {
		return fmt.Errorf("certify: %w", err)
	}
	for _, f := range []struct {
		name          string
		before, after []byte
	}{{Vmlinux, kernel, certified}, {BzImage, file, image}} {
		described, err := ranges.File(f.name)
		if err != nil {
			return fmt.Errorf("certify: %w", err)
		}
		at, err := described.Outside(f.before, f.after)
		if err != nil {
			return fmt.Errorf("certify: %w", err)
		}
		if at >= 0 {
			return fmt.Errorf("certify: %w: byte %d of %s changed", ErrRanges, at, f.name)
		}
	}
	text, err := ranges.JSON()
	if err != nil {
		return fmt.Errorf("certify: %w", err)
	}
	return write(out, packed, map[string][]byte{Vmlinux: certified, BzImage: image, Ranges: text})
}

// copyRanges returns the bzImage with the bytes that changed in vmlinux. The
// ranges of both files stand in the same order; the bzImage's last one is its
// checksum.
func copyRanges(ranges *byterange.Set, before, after, file []byte) ([]byte, error) {
	from, err := ranges.File(Vmlinux)
	if err != nil {
		return nil, err
	}
	to, err := ranges.File(BzImage)
	if err != nil {
		return nil, err
	}
	if to.Size != int64(len(file)) || from.Size != int64(len(before)) || len(to.Ranges) != len(from.Ranges)+1 {
		return nil, fmt.Errorf("%w: they describe another kernel", ErrRanges)
	}
	changed := bytes.Clone(file)
	for i, r := range from.Ranges {
		o := to.Ranges[i]
		if o.Length != r.Length || !bytes.Equal(file[o.Offset:o.Offset+o.Length], before[r.Offset:r.Offset+r.Length]) {
			return nil, fmt.Errorf("%w: %s: vmlinux and bzImage differ there", ErrRanges, r.What)
		}
		copy(changed[o.Offset:], after[r.Offset:r.Offset+r.Length])
	}
	image, err := bzimage.Parse(changed)
	if err != nil {
		return nil, err
	}
	image.SetChecksum()
	inner, err := image.Kernel()
	if err != nil {
		return nil, err
	}
	if err := vmlinux.Same(after, inner); err != nil {
		return nil, fmt.Errorf("%w: the kernel in the bzImage: %v", ErrRanges, err)
	}
	return changed, nil
}

func readKernel(folder string) ([]byte, certificate.Symbols, error) {
	kernel, err := readFile(filepath.Join(folder, Vmlinux))
	if err != nil {
		return nil, certificate.Symbols{}, err
	}
	file, err := os.Open(filepath.Join(folder, SystemMap))
	if err != nil {
		return nil, certificate.Symbols{}, err
	}
	defer file.Close()
	symbols, err := certificate.ReadSymbols(file)
	return kernel, symbols, err
}

func readImage(name string) (*bzimage.Image, []byte, error) {
	file, err := readFile(name)
	if err != nil {
		return nil, nil, err
	}
	image, err := bzimage.Parse(file)
	if err != nil {
		return nil, nil, err
	}
	kernel, err := image.Kernel()
	return image, kernel, err
}

func readRanges(name string) (*byterange.Set, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return byterange.Read(file)
}

func readFile(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return nil, fmt.Errorf("%s: not a file of at most %d bytes", name, maxFile)
	}
	return os.ReadFile(name)
}

// write makes the folder of a kernel: the given files, and the others as they
// are in the folder it was made from. The folder appears whole or not at all.
func write(out, from string, files map[string][]byte) error {
	if _, err := os.Lstat(out); err == nil {
		return fmt.Errorf("write kernel: %w: %s", ErrExists, out)
	}
	partial := out + ".partial"
	if err := os.RemoveAll(partial); err != nil {
		return fmt.Errorf("write kernel: %w", err)
	}
	if err := os.Mkdir(partial, 0o755); err != nil {
		return fmt.Errorf("write kernel: %w", err)
	}
	for _, name := range []string{SystemMap, Config, Release} {
		content, err := readFile(filepath.Join(from, name))
		if err != nil {
			return errors.Join(fmt.Errorf("write kernel: %w", err), os.RemoveAll(partial))
		}
		files[name] = content
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(partial, name), content, 0o644); err != nil {
			return errors.Join(fmt.Errorf("write kernel: %w", err), os.RemoveAll(partial))
		}
	}
	if err := os.Rename(partial, out); err != nil {
		return errors.Join(fmt.Errorf("write kernel: %w", err), os.RemoveAll(partial))
	}
	return nil
}
