// Package boundary checks the identity boundary: what organisations sign differs
// from the unsigned set, and among them, nowhere but where the manifest of the
// set (unsigned.json) declares it.
//
// An organisation's folder holds vmlinux and bzImage, the kernel with its
// certificate, and of its release the unified kernel image (*.efi), the signature
// of the root hash (*-verity-sig.*.raw) and the disk image (*.raw.zst, or disk.raw).
package boundary

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/mastercard/mangos/compare/checklist"
	"github.com/mastercard/mangos/compare/content"
	"github.com/mastercard/mangos/format/byterange"
	"github.com/mastercard/mangos/format/uki"
	"github.com/mastercard/mangos/modules/image/unsigned"
)

// maxKernel bounds the size in bytes of a kernel.
const maxKernel = 1 << 30

// Set is an unsigned set, in one or more folders.
type Set struct {
	manifest *unsigned.Manifest
	folders  []string
}

// Open reads the manifest of an unsigned set, which stands in one of the folders:
// unsigned.json, or NAME_VERSION.unsigned.json.
func Open(folders ...string) (*Set, error) {
	s := &Set{folders: folders}
	name, err := one(folders, unsigned.ManifestName, "*."+unsigned.ManifestName)
	if err != nil {
		return nil, fmt.Errorf("open unsigned set: %w", err)
	}
	f, err := content.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open unsigned set: %w", err)
	}
	defer f.Close()
	if s.manifest, err = unsigned.Read(content.Reader(f)); err != nil {
		return nil, fmt.Errorf("open unsigned set: %w", err)
	}
	if s.manifest.Signing.Kernel == nil {
		return nil, fmt.Errorf("open unsigned set: %w: it declares no byte ranges of the kernel", unsigned.ErrSet)
	}
	return s, nil
}

// open opens a file of the set. The bill of materials has the name that it has in
// a release.
func (s *Set) open(name string) (*content.File, error) {
	if name == unsigned.SBOM {
		name = s.manifest.Name + "_" + s.manifest.Version + ".spdx.json"
	}
	for _, folder := range s.folders {
		f, err := content.Open(filepath.Join(folder, name))
		if !errors.Is(err, fs.ErrNotExist) {
			return f, err
		}
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

// one returns the path of the one file of folders that fits one of the patterns.
func one(folders []string, patterns ...string) (string, error) {
	found := ""
	for _, folder := range folders {
		entries, err := os.ReadDir(folder)
		if err != nil {
			return "", err
		}
		for _, e := range entries {
			fits := func(p string) bool {
				ok, err := filepath.Match(p, e.Name())
				return ok && err == nil
			}
			if !slices.ContainsFunc(patterns, fits) {
				continue
			}
			if found != "" {
				return "", fmt.Errorf("%s and %s: want one file %s", filepath.Base(found), e.Name(), patterns[0])
			}
			found = filepath.Join(folder, e.Name())
		}
	}
	if found == "" {
		return "", &fs.PathError{Op: "find", Path: patterns[0], Err: fs.ErrNotExist}
	}
	return found, nil
}

// read reads a file of the set.
func (s *Set) read(name string) ([]byte, error) {
	f, err := s.open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return content.ReadAll(f, maxKernel)
}

// Check holds what organisations signed, each in its folder, against the set, and
// each against the first. There must be two at least. An error means that
// something could not be read.
func (s *Set) Check(ctx context.Context, organisations ...string) (*checklist.List, error) {
	l := &checklist.List{}
	if len(organisations) < 2 {
		return nil, errors.New("check identity boundary: it takes two organisations")
	}
	if err := s.checkFiles(ctx, l); err != nil {
		return nil, fmt.Errorf("check identity boundary: %w", err)
	}
	var first *organisation
	for _, folder := range organisations {
		o := &organisation{set: s, folder: folder, name: filepath.Base(folder), list: l}
		err := o.openDisk(ctx)
		if err == nil {
			defer o.disk.Close()
			err = o.check(ctx, first)
		}
		if err != nil {
			return nil, fmt.Errorf("check identity boundary: %s: %w", folder, err)
		}
		if first == nil {
			first = o
		}
	}
	return l, nil
}

// checkFiles compares the set's files with its manifest.
func (s *Set) checkFiles(ctx context.Context, l *checklist.List) error {
	if len(s.manifest.Files) == 0 {
		l.Fail("unsigned set", "%s lists no files", unsigned.ManifestName)
	}
	for _, file := range s.manifest.Files {
		f, err := s.open(file.Name)
		if errors.Is(err, fs.ErrNotExist) {
			l.Fail(file.Name, "%s lists it, and it is not there", unsigned.ManifestName)
			continue
		}
		if err != nil {
			return err
		}
		sum, err := content.Digest(f)
		size := f.Size()
		f.Close()
		if err != nil {
			return err
		}
		if got := hex.EncodeToString(sum[:]); got != file.SHA256 || size != file.Size {
			l.Fail(file.Name, "%d bytes, sha256 %s; %s says %d, %s", size, got, unsigned.ManifestName, file.Size, file.SHA256)
		} else {
			l.Pass(file.Name, "as %s says, sha256 %s", unsigned.ManifestName, got)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

// organisation is what one organisation signed.
type organisation struct {
	set          *Set
	folder, name string
	list         *checklist.List

	kernel []byte // bzImage
	image  *uki.Image
	disk   *content.File
	keys   map[string][]byte // what shows the public half of a key, by role
	boot   map[string][]byte // files of the EFI system partition
}

// one returns the path of the one file of the folder that fits one of the patterns.
func (o *organisation) one(patterns ...string) (string, error) {
	return one([]string{o.folder}, patterns...)
}

// read reads the one file of the folder that fits a pattern.
func (o *organisation) read(pattern string) ([]byte, error) {
	name, err := o.one(pattern)
	if err != nil {
		return nil, err
	}
	f, err := content.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return content.ReadAll(f, maxKernel)
}

func (o *organisation) pass(what, format string, args ...any) {
	o.list.Pass(o.name+" "+what, format, args...)
}

func (o *organisation) fail(what, format string, args ...any) {
	o.list.Fail(o.name+" "+what, format, args...)
}

// check checks all of an organisation's; first is the one to compare it with, or
// nil.
func (o *organisation) check(ctx context.Context, first *organisation) error {
	o.keys = map[string][]byte{}
	if err := o.checkKernel(); err != nil {
		return err
	}
	if err := o.checkImage(); err != nil {
		return err
	}
	if err := o.checkDisk(); err != nil {
		return err
	}
	if first != nil {
		if err := o.checkAgainst(first); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// checkKernel checks that the kernel with a certificate differs from the one
// without inside of the declared byte ranges only.
func (o *organisation) checkKernel() error {
	for _, described := range o.set.manifest.Signing.Kernel.Files {
		name := described.File
		if name != filepath.Base(name) {
			return fmt.Errorf("%w: byte ranges of %q", unsigned.ErrSet, name)
		}
		before, err := o.set.read(name)
		if err != nil {
			return err
		}
		after, err := o.read(name)
		if err != nil {
			return err
		}
		at, err := described.Outside(before, after)
		switch {
		case errors.Is(err, byterange.ErrInvalid):
			o.fail(name, "%v", err)
		case err != nil:
			return err
		case at >= 0:
			o.fail(name, "byte %d differs from the unsigned kernel's, outside of the %d declared ranges", at, len(described.Ranges))
		default:
			o.pass(name, "differs from the unsigned kernel's inside of the %d declared ranges only", len(described.Ranges))
		}
		if name == unsigned.BzImage {
			o.kernel = after
		}
		o.keys["certificate in "+name] = inside(described, after)
	}
	if o.kernel == nil {
		o.fail(unsigned.BzImage, "no byte ranges are declared for it")
	}
	return nil
}

// inside returns the bytes of the declared ranges.
func inside(described byterange.File, file []byte) []byte {
	var b bytes.Buffer
	for _, r := range described.Ranges {
		if r.Offset+r.Length <= int64(len(file)) {
			b.Write(file[r.Offset : r.Offset+r.Length])
		}
	}
	return b.Bytes()
}

// checkAgainst compares two organisations: the parts that signing does not change
// are the same, and the keys are not.
func (o *organisation) checkAgainst(first *organisation) error {
	for _, role := range []string{"certificate in " + unsigned.BzImage, "PCR key", "signature of the image", "signature of the root hash"} {
		mine, other := o.keys[role], first.keys[role]
		switch {
		case len(mine) == 0 || len(other) == 0:
			o.fail(role, "there is none in one of the two")
		case bytes.Equal(mine, other):
			o.fail(role, "the same as %s's: with one set of keys nothing is shown", first.name)
		default:
			o.pass(role, "another one than %s's", first.name)
		}
	}
	return o.compareDisks(first)
}
