package artifact

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/mastercard/mangos/format/byterange"
	"github.com/mastercard/mangos/format/bzimage"
	"github.com/mastercard/mangos/format/vmlinux"
	"github.com/mastercard/mangos/modules/kernel/certificate"
	"github.com/mastercard/mangos/modules/kernel/kerneltest"
)

// FuzzCopyRanges gives copyRanges descriptions that fit nothing, and a bzImage of which a
// byte is another one. What it takes is the bzImage of the kernel with the certificate.
func FuzzCopyRanges(f *testing.F) {
	before, after, file, text := certifying(f)
	f.Add(text, uint32(0), byte(0))
	f.Add(text, uint32(kerneltest.PayloadOffset+5000), byte(1))
	for _, change := range []func(image *byterange.File){
		func(image *byterange.File) { image.Ranges = image.Ranges[:1] },
		func(image *byterange.File) { image.Ranges[0].Length-- },
		func(image *byterange.File) { image.Size += 1 << 20; image.Ranges[3].Offset += 1 << 20 },
		func(image *byterange.File) {
			image.Size += 1 << 20
			for i := range image.Ranges {
				image.Ranges[i].Offset += 1 << 20
			}
		},
	} {
		f.Add(described(f, text, change), uint32(0), byte(0))
	}
	f.Add([]byte(`{"files":[]}`), uint32(0), byte(0))
	f.Fuzz(func(t *testing.T, text []byte, at uint32, change byte) {
		ranges, err := byterange.Read(bytes.NewReader(text[:min(len(text), 16<<10)]))
		if err != nil {
			return
		}
		changed := bytes.Clone(file)
		changed[int(at)%len(changed)] ^= change
		given := bytes.Clone(changed)
		image, err := copyRanges(ranges, before, after, changed)
		if !bytes.Equal(changed, given) {
			t.Fatal("the bzImage that was given is another one")
		}
		if err != nil {
			if !errors.Is(err, ErrRanges) && !errors.Is(err, byterange.ErrInvalid) && !errors.Is(err, bzimage.ErrInvalid) {
				t.Fatal(err)
			}
			return
		}
		sameKernel(t, image, after)
	})
}

// described returns the text of the ranges with another description of the bzImage.
func described(f *testing.F, text []byte, change func(image *byterange.File)) []byte {
	f.Helper()
	set, err := byterange.Read(bytes.NewReader(text))
	if err != nil {
		f.Fatal(err)
	}
	for i := range set.Files {
		if set.Files[i].File == BzImage {
			change(&set.Files[i])
		}
	}
	if text, err = set.JSON(); err != nil {
		f.Fatal(err)
	}
	return text
}

// certifying returns what Certify hands to copyRanges: a kernel, the same with a
// certificate, a packed bzImage, and the text of the ranges.
func certifying(f *testing.F) (before, after, file, text []byte) {
	f.Helper()
	folder := f.TempDir()
	compiled, packed := filepath.Join(folder, "compiled"), filepath.Join(folder, "packed")
	if err := kerneltest.WriteCompiled(compiled); err != nil {
		f.Fatal(err)
	}
	if err := Pack(compiled, packed, kerneltest.Compress); err != nil {
		f.Fatal(err)
	}
	before, symbols, err := readKernel(packed)
	if err != nil {
		f.Fatal(err)
	}
	area, err := certificate.Find(before, symbols)
	if err != nil {
		f.Fatal(err)
	}
	after = bytes.Clone(before)
	if err := area.Insert(after, bytes.Repeat([]byte{0x30}, 1281)); err != nil {
		f.Fatal(err)
	}
	for name, to := range map[string]*[]byte{BzImage: &file, Ranges: &text} {
		if *to, err = os.ReadFile(filepath.Join(packed, name)); err != nil {
			f.Fatal(err)
		}
	}
	return before, after, file, text
}

// sameKernel wants a bzImage with its own checksum that holds the kernel.
func sameKernel(t *testing.T, file, kernel []byte) {
	t.Helper()
	image, err := bzimage.Parse(file)
	if err != nil {
		t.Fatal(err)
	}
	if _, stored := image.Checksum(); !stored {
		t.Fatal("the checksum is that of another file")
	}
	inner, err := image.Kernel()
	if err != nil {
		t.Fatal(err)
	}
	if err := vmlinux.Same(kernel, inner); err != nil {
		t.Fatal(err)
	}
}
