// Package disk puts partitions together to a disk image.
package disk

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/mastercard/mangos/format/gpt"
	"github.com/mastercard/mangos/format/vfat"
	"github.com/mastercard/mangos/modules/image/output"
	"github.com/mastercard/mangos/modules/image/tool"
)

// ErrDisk is wrapped by every error about what a disk is to be made of.
var ErrDisk = errors.New("unusable disk")

// MinESP is the smallest EFI system partition, in bytes. FAT32 wants 65,525
// clusters, and a cluster here is a sector of 4096 bytes; smaller ones would be
// taken for FAT16 by some.
const MinESP = 300 << 20

// Logical sectors of 4096 bytes make a file system that mounts on disks of
// either sector size.
const espSector = "4096"

// espLabel is the label of the file system on an EFI system partition.
const espLabel = "ESP"

// ESPSpec is what the EFI system partition of size bytes with these files is made of:
// what ESP writes can be computed anew from it.
func ESPSpec(size, epoch int64, files map[string][]byte) vfat.Spec {
	id := gpt.DeriveGUID("mangos EFI system partition volume")
	return vfat.Spec{Size: size, Serial: binary.BigEndian.Uint32(id[:]), Label: espLabel, Time: time.Unix(epoch, 0), Files: files}
}

// ESP writes an EFI system partition of size bytes. files maps paths in it to
// files on disk. Its content and order, and epoch as every time, decide its
// bytes.
func ESP(ctx context.Context, out string, size int64, epoch int64, files map[string]string) error {
	if size < MinESP || size%4096 != 0 {
		return fmt.Errorf("EFI system partition of %d bytes, want a multiple of 4096 and at least %d: %w", size, MinESP, ErrDisk)
	}
	paths, folders, err := espPaths(files)
	if err != nil {
		return fmt.Errorf("EFI system partition: %w", err)
	}
	err = output.Made(out, func(temporary string) error {
		run := func(name string, args ...string) error {
			_, err := tool.Command{Name: name, Args: args, Epoch: epoch}.Run(ctx)
			return err
		}
		spec := ESPSpec(size, epoch, nil)
		if err := run("mkfs.vfat", "-F", "32", "-S", espSector, "-s", "1", "-n", spec.Label, "--invariant",
			"-i", fmt.Sprintf("%08x", spec.Serial), "-C", temporary, fmt.Sprint(size/1024)); err != nil {
			return err
		}
		for _, folder := range folders {
			if err := run("mmd", "-i", temporary, "::/"+folder); err != nil {
				return err
			}
		}
		for _, p := range paths {
			if err := run("mcopy", "-i", temporary, files[p], "::/"+p); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("EFI system partition: %w", err)
	}
	return nil
}

// espPaths returns the sorted paths of the files, and the folders that they
// need, outer ones first.
func espPaths(files map[string]string) (paths, folders []string, err error) {
	seen := map[string]bool{".": true}
	for p, source := range files {
		if !fs.ValidPath(p) || p == "." || strings.ContainsAny(p, `\:*?"<>|`) {
			return nil, nil, fmt.Errorf("%q is not a path for FAT: %w", p, ErrDisk)
		}
		if st, err := os.Stat(source); err != nil || !st.Mode().IsRegular() {
			return nil, nil, fmt.Errorf("%s for /%s is no file: %w", source, p, ErrDisk)
		}
		paths = append(paths, p)
		for dir := path.Dir(p); !seen[dir]; dir = path.Dir(dir) {
			seen[dir] = true
			folders = append(folders, dir)
		}
	}
	// Sorted, a folder stands before what is in it.
	slices.Sort(paths)
	slices.Sort(folders)
	return paths, folders, nil
}
