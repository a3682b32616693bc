package release

import (
	"bytes"
	"fmt"
	"sync"

	"github.com/mastercard/mangos/compare/content"
	"github.com/mastercard/mangos/format/byterange"
	"github.com/mastercard/mangos/format/uki"
	"github.com/mastercard/mangos/modules/image/unified"
	"github.com/mastercard/mangos/modules/image/unsigned"
	"github.com/mastercard/mangos/modules/kernel/artifact"
)

// maxImage bounds a unified kernel image, which is taken into memory.
const maxImage = 256 << 20

// signedImage is an organisation's unified kernel image. It is taken into memory
// when one of its parts is first read: most comparisons need none.
type signedImage struct {
	file   content.Content
	ranges byterange.File // of the bzImage

	once   sync.Once
	err    error
	image  *uki.Image
	kernel []byte // bzImage without certificate
}

func (s *Set) image(release string) (*signedImage, error) {
	f, err := s.file(release, imageFile)
	if err != nil {
		return nil, err
	}
	if s.Manifest.Signing.Kernel == nil {
		return nil, fmt.Errorf("%w: nothing is said of the kernel's byte ranges", unsigned.ErrSet)
	}
	ranges, err := s.Manifest.Signing.Kernel.File(unsigned.BzImage)
	return &signedImage{file: f, ranges: ranges}, err
}

func (i *signedImage) load() error {
	i.once.Do(func() {
		data, err := content.ReadAll(i.file, maxImage)
		if err == nil {
			i.image, err = uki.Parse(data)
		}
		if err == nil {
			i.kernel, err = artifact.Uncertify(i.image.Section(".linux"), i.ranges)
		}
		i.err = err
	})
	return i.err
}

// parts tell how a file of the set is had from the image.
var parts = map[string]func(*signedImage) ([]byte, error){
	unsigned.Initrd:      section(".initrd"),
	unsigned.Microcode:   section(".ucode"),
	unsigned.CommandLine: section(".cmdline"),
	unsigned.Uname:       given(func(i *signedImage) []byte { return append(bytes.Clone(i.image.Section(".uname")), '\n') }),
	unsigned.BzImage:     given(func(i *signedImage) []byte { return i.kernel }),
	unsigned.OSRelease: given(func(i *signedImage) []byte {
		text, _ := unified.UnmarkTryOut(i.image.Section(".osrel"))
		return text
	}),
	unsigned.UKI: func(i *signedImage) ([]byte, error) { return unified.NormalForm(i.image, i.kernel) },
}

// given is a part that is there once the image is loaded.
func given(get func(*signedImage) []byte) func(*signedImage) ([]byte, error) {
	return func(i *signedImage) ([]byte, error) { return get(i), nil }
}

func section(name string) func(*signedImage) ([]byte, error) {
	return given(func(i *signedImage) []byte { return i.image.Section(name) })
}

// part is a file of the set that the image holds, nil if it holds it not.
func (i *signedImage) part(listed unsigned.File) content.Content {
	get, ok := parts[listed.Name]
	if !ok {
		return nil
	}
	return &made{name: listed.Name, size: listed.Size, make: func() ([]byte, error) {
		if err := i.load(); err != nil {
			return nil, err
		}
		return get(i)
	}}
}

// made is content that is made when it is first read.
type made struct {
	name string
	size int64
	make func() ([]byte, error)

	once sync.Once
	in   *bytes.Reader
	err  error
}

// Size implements [content.Content].
func (m *made) Size() int64 { return m.size }

// ReadAt implements [io.ReaderAt].
func (m *made) ReadAt(b []byte, off int64) (int, error) {
	m.once.Do(func() {
		data, err := m.make()
		if err == nil && int64(len(data)) != m.size {
			err = fmt.Errorf("%s: %w: %d bytes, listed are %d", m.name, ErrMismatch, len(data), m.size)
		}
		m.in, m.err = bytes.NewReader(data), err
	})
	if m.err != nil {
		return 0, m.err
	}
	return m.in.ReadAt(b, off)
}
