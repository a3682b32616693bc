// Package uki reads unified kernel images: PE programs whose sections hold a
// kernel, an initrd, a command line and what belongs to them.
//
// It also computes the normal form of a signed image: the image that the same
// sources give before anybody's keys touched it. Two organisations that built
// the same sources have signed images with the same normal form.
//
// Specification: UAPI group, "Unified Kernel Image"; the PE format itself is
// read by package pe.
package uki

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/mastercard/mangos/format/pe"
)

// MaxSize bounds the size in bytes of an image.
const MaxSize = 1 << 30

// ErrFormat is wrapped by every error that says that bytes are not a unified
// kernel image of the kind this package handles.
var ErrFormat = errors.New("not a usable unified kernel image")

// own are the sections that a unified kernel image adds to its stub.
var own = map[string]bool{
	".linux": true, ".osrel": true, ".cmdline": true, ".initrd": true, ".ucode": true, ".splash": true,
	".dtb": true, ".uname": true, ".sbat": true, ".pcrsig": true, ".pcrpkey": true,
}

// several are sections of images that hold more than one configuration. Which
// of them would be booted is not for a reader to guess.
var several = map[string]bool{".profile": true, ".dtbauto": true, ".hwids": true}

// Image is a unified kernel image in memory.
type Image struct {
	data []byte
	file *pe.File
}

// Parse reads an image. Every section of a unified kernel image stands in it at
// most once; .linux, .osrel and .cmdline must be there. The image keeps a
// reference to data.
func Parse(data []byte) (*Image, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("read unified kernel image: %d bytes: %w", len(data), ErrFormat)
	}
	file, err := pe.Open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, fmt.Errorf("read unified kernel image: %w: %w", ErrFormat, err)
	}
	u := &Image{data: data, file: file}
	seen := map[string]bool{}
	for _, s := range file.Sections {
		if several[s.Name] {
			return nil, fmt.Errorf("read unified kernel image: section %q: images with several profiles are not handled: %w", s.Name, ErrFormat)
		}
		if !own[s.Name] {
			continue
		}
		if seen[s.Name] {
			return nil, fmt.Errorf("read unified kernel image: section %q stands twice: %w", s.Name, ErrFormat)
		}
		if s.Virtual > s.Size {
			return nil, fmt.Errorf("read unified kernel image: section %q is larger than its data: %w", s.Name, ErrFormat)
		}
		seen[s.Name] = true
	}
	for _, name := range []string{".linux", ".osrel", ".cmdline"} {
		if !seen[name] {
			return nil, fmt.Errorf("read unified kernel image: no section %q: %w", name, ErrFormat)
		}
	}
	return u, nil
}

// Section returns the content of the section of that name, nil if there is
// none. The caller must not change it.
func (u *Image) Section(name string) []byte {
	for _, s := range u.file.Sections {
		if s.Name == name {
			part := s.Data()
			return u.data[part.Offset : part.Offset+part.Size : part.Offset+part.Size]
		}
	}
	return nil
}

// Names returns the names of all sections, in their order.
func (u *Image) Names() []string {
	var names []string
	for _, s := range u.file.Sections {
		names = append(names, s.Name)
	}
	return names
}

// Signed tells whether the image carries a signature. It does not check one.
func (u *Image) Signed() bool { return u.file.Certificates.Size > 0 }

// Bytes returns the whole image. The caller must not change it.
func (u *Image) Bytes() []byte { return u.data }
