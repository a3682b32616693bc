package sdk

import (
	"archive/tar"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// epoch is the modification time of everything in the image.
var epoch = time.Unix(0, 0).UTC()

// treeLayer writes the tree at root as it is: owners, modes, symbolic links
// and hard links; devices, sockets and FIFOs are refused.
func treeLayer(root string) func(*tar.Writer) error {
	return func(tw *tar.Writer) error {
		links := map[[2]uint64]string{}
		return filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			name, err := filepath.Rel(root, file)
			if err != nil || name == "." {
				return err
			}
			return addTreeEntry(tw, links, file, filepath.ToSlash(name), d)
		})
	}
}

func addTreeEntry(tw *tar.Writer, links map[[2]uint64]string, file, name string, d fs.DirEntry) error {
	info, err := d.Info()
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("%s: no owner is known", file)
	}
	hdr := &tar.Header{
		Name: name, ModTime: epoch, Format: tar.FormatPAX,
		Mode: int64(stat.Mode & 0o7777), Uid: int(stat.Uid), Gid: int(stat.Gid),
	}
	switch info.Mode().Type() {
	case fs.ModeDir:
		hdr.Typeflag, hdr.Name = tar.TypeDir, name+"/"
	case fs.ModeSymlink:
		hdr.Typeflag = tar.TypeSymlink
		if hdr.Linkname, err = os.Readlink(file); err != nil {
			return err
		}
	case 0:
		hdr.Typeflag, hdr.Size = tar.TypeReg, info.Size()
		inode := [2]uint64{stat.Dev, stat.Ino}
		if first, seen := links[inode]; seen && stat.Nlink > 1 {
			hdr.Typeflag, hdr.Size, hdr.Linkname = tar.TypeLink, 0, first
		}
		links[inode] = name
	default:
		if info.Mode()&fs.ModeCharDevice != 0 && strings.HasPrefix(name, "dev/") {
			return nil // every container has its own /dev
		}
		return fmt.Errorf("%s: cannot be stored in an image (%s)", file, info.Mode().Type())
	}
	return writeEntry(tw, hdr, file)
}

// goLayer writes the Go toolchain, as the module cache holds it, below
// usr/local/go: there nothing is executable, and the go.mod files of the
// standard library carry a name of their own.
func goLayer(dir string) func(*tar.Writer) error {
	return func(tw *tar.Writer) error {
		return filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(dir, file)
			if err != nil {
				return err
			}
			rel = filepath.ToSlash(rel)
			hdr := &tar.Header{Name: path.Join("usr/local/go", rel), ModTime: epoch, Mode: 0o644, Format: tar.FormatPAX}
			if d.IsDir() {
				hdr.Typeflag, hdr.Mode, hdr.Name = tar.TypeDir, 0o755, hdr.Name+"/"
				return tw.WriteHeader(hdr)
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			if !info.Mode().IsRegular() {
				return fmt.Errorf("%s: not a regular file", file)
			}
			if strings.HasPrefix(rel, "bin/") || strings.HasPrefix(rel, "pkg/tool/") {
				hdr.Mode = 0o755
			}
			if path.Base(rel) == "_go.mod" {
				hdr.Name = path.Join("usr/local/go", path.Dir(rel), "go.mod")
			}
			hdr.Typeflag, hdr.Size = tar.TypeReg, info.Size()
			return writeEntry(tw, hdr, file)
		})
	}
}

// codegenLayer writes the code generator and the empty folders over which the
// engine mounts Go's caches: without them it fails.
func codegenLayer(codegen string) func(*tar.Writer) error {
	return func(tw *tar.Writer) error {
		for _, dir := range []string{"go/", "go/bin/", "go/pkg/", "go/pkg/mod/", "go/src/", "root/", "root/.cache/", "root/.cache/go-build/"} {
			mode := int64(0o755)
			if strings.HasPrefix(dir, "root/") {
				mode = 0o700
			}
			if err := tw.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: mode, ModTime: epoch, Format: tar.FormatPAX}); err != nil {
				return err
			}
		}
		info, err := os.Stat(codegen)
		if err != nil {
			return err
		}
		return writeEntry(tw, &tar.Header{Typeflag: tar.TypeReg, Name: "usr/local/bin/codegen",
			Mode: 0o755, Size: info.Size(), ModTime: epoch, Format: tar.FormatPAX}, codegen)
	}
}

// writeEntry writes the header and, for a regular file, its content.
func writeEntry(tw *tar.Writer, hdr *tar.Header, file string) error {
	if err := tw.WriteHeader(hdr); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if hdr.Typeflag != tar.TypeReg {
		return nil
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.Copy(tw, f); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}
