// Package firmware compares the firmware that a kernel's drivers ask for with what
// its images hold.
//
// A driver asks for firmware by the name of a file below /usr/lib/firmware. Of a
// built-in driver that name stands in the kernel's data: the section in which a
// module lists its names is not in vmlinux. A driver that probes before the root
// is there gets the file from the initrd: the kernel's loader waits until that is
// unpacked (Linux, Documentation/driver-api/firmware/direct-fs-lookup.rst,
// "Firmware and initramfs").
package firmware

import (
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/mastercard/mangos/format/cpio"
	"github.com/mastercard/mangos/format/erofs"
	"github.com/mastercard/mangos/format/vmlinux"
)

// Folder is where the kernel looks for firmware, below /.
const Folder = "usr/lib/firmware"

// ErrFirmware is wrapped by what says that images do not hold what is asked for.
var ErrFirmware = errors.New("firmware is not what the kernel asks for")

// maxMembers bounds the number of members of an initrd and of files of a root's
// folder of firmware.
const maxMembers = 1 << 20

// name is a string as firmware is asked for: the end that firmware files have is
// what tells it from other text. A percent sign stands in a pattern that a driver
// fills in.
var name = regexp.MustCompile(`\x00([A-Za-z0-9_.%+-]+(?:/[A-Za-z0-9_.%+-]+)*\.(?:bin|cld|dat|db|fw|hex|img|inp|mem|pkg|sbin|ucode))\x00`)

// Asked returns the names that stand in what is loaded of a vmlinux, sorted.
func Asked(kernel []byte) ([]string, error) {
	segments, err := vmlinux.Segments(kernel)
	if err != nil {
		return nil, fmt.Errorf("firmware asked for: %w", err)
	}
	var names []string
	for _, s := range segments {
		data := kernel[s.Offset : s.Offset+s.Size]
		for {
			at := name.FindSubmatchIndex(data)
			if at == nil {
				break
			}
			names = append(names, string(data[at[2]:at[3]]))
			data = data[at[3]:] // the NUL may begin the next one
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// File is a file of firmware in an image. Target is what a link leads to, a path
// below the folder, and empty for other files.
type File struct{ Name, Target string }

// file describes an entry at a path below the folder.
func file(name, link string) File {
	if link != "" {
		link = path.Join(path.Dir(name), link)
	}
	return File{name, link}
}

// InInitrd lists the firmware in an initrd: an archive compressed by zstd.
func InInitrd(r io.Reader) ([]File, error) {
	d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, fmt.Errorf("firmware in initrd: %w", err)
	}
	defer d.Close()
	var files []File
	archive := cpio.NewReader(d)
	for range maxMembers {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, fmt.Errorf("firmware in initrd: %w", err)
		}
		below, ok := strings.CutPrefix(h.Name, Folder+"/")
		if !ok || h.Mode&typeMask == typeDir {
			continue
		}
		link := ""
		if h.Mode&typeMask == typeLink {
			text, err := io.ReadAll(io.LimitReader(archive, cpio.MaxName))
			if err != nil {
				return nil, fmt.Errorf("firmware in initrd: %w", err)
			}
			link = string(text)
		}
		files = append(files, file(below, link))
	}
	return nil, fmt.Errorf("firmware in initrd: more than %d members: %w", maxMembers, ErrFirmware)
}

// File types in a mode, stat(2).
const typeMask, typeDir, typeLink = 0o170000, 0o040000, 0o120000

// InRoot lists the firmware in a root file system image.
func InRoot(r io.ReaderAt, size int64) ([]File, error) {
	image, err := erofs.Open(r, size)
	if err != nil {
		return nil, fmt.Errorf("firmware in root: %w", err)
	}
	dir, err := image.Root()
	if err != nil {
		return nil, fmt.Errorf("firmware in root: %w", err)
	}
	for _, step := range strings.Split(Folder, "/") {
		if dir, err = child(image, dir, step); err != nil {
			return nil, fmt.Errorf("firmware in root: %w", err)
		}
		if dir == nil {
			return nil, nil
		}
	}
	var files []File
	if err := walk(image, dir, "", &files); err != nil {
		return nil, fmt.Errorf("firmware in root: %w", err)
	}
	return files, nil
}

// child returns a folder's entry, or nil if it has none of that name.
func child(image *erofs.Image, dir *erofs.Inode, name string) (*erofs.Inode, error) {
	entries, err := dir.ReadDir()
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if e.Name == name {
			return image.Inode(e.NID)
		}
	}
	return nil, nil
}

func walk(image *erofs.Image, dir *erofs.Inode, at string, files *[]File) error {
	entries, err := dir.ReadDir()
	if err != nil {
		return err
	}
	if strings.Count(at, "/") > 32 || len(*files)+len(entries) > maxMembers {
		return fmt.Errorf("/%s/%s: too deep or too many: %w", Folder, at, ErrFirmware)
	}
	for _, e := range entries {
		name := path.Join(at, e.Name)
		inode, err := image.Inode(e.NID)
		if err != nil {
			return err
		}
		link := ""
		switch {
		case inode.IsDir():
			if err := walk(image, inode, name, files); err != nil {
				return err
			}
			continue
		case inode.IsSymlink():
			if link, err = inode.Readlink(); err != nil {
				return err
			}
		}
		*files = append(*files, file(name, link))
	}
	return nil
}

// Check compares what is asked for with the firmware in an image, which what
// names. without are names that are left out knowingly: each must be asked for and
// not be there.
func Check(what string, asked, without []string, files []File) error {
	there := map[string]File{}
	for _, f := range files {
		there[f.Name] = f
	}
	wanted := map[string]bool{}
	var missing, left []string
	for _, name := range asked {
		if slices.Contains(without, name) {
			continue
		}
		f, ok := there[name]
		for hops := 0; ok && f.Target != "" && hops < 8; hops++ {
			wanted[f.Name] = true
			f, ok = there[f.Target]
		}
		if !ok || f.Target != "" {
			missing = append(missing, name)
			continue
		}
		wanted[f.Name] = true
	}
	for _, name := range without {
		if _, ok := there[name]; ok || !slices.Contains(asked, name) {
			left = append(left, name)
		}
	}
	var more []string
	for _, f := range files {
		if !wanted[f.Name] {
			more = append(more, f.Name)
		}
	}
	var problems []string
	for _, p := range []struct {
		text  string
		names []string
	}{
		{"asked for and missing (find them in the distribution, or list them under `without`)", missing},
		{"there, and no driver asks for them", more},
		{"listed under `without`, and there or not asked for", left},
	} {
		if len(p.names) > 0 {
			problems = append(problems, p.text+": "+strings.Join(p.names, ", "))
		}
	}
	if problems != nil {
		return fmt.Errorf("%s: %w: %s", what, ErrFirmware, strings.Join(problems, "; "))
	}
	return nil
}
