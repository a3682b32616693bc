package main

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// checkout is the folder of a variation that the folders of --in and --out are
// moved to.
const checkout = "another/checkout"

// moved returns words of a command, or variables, with the paths below the folders
// of --in and --out as a variation has them. A path is a whole word, or what follows the
// first "=" of one.
func (o options) moved(words ...string) []string {
	out := slices.Clone(words)
	if o.Elsewhere == "" {
		return out
	}
	for i, word := range words {
		if at, ok := o.pathIn(word, slices.Concat(o.In, o.Out)); ok {
			out[i] = word[:at] + filepath.Join(o.Elsewhere, checkout) + word[at:]
		}
	}
	return out
}

// pathIn returns where in a word a path begins that is one of the folders, or
// lies below it.
func (o options) pathIn(word string, folders []string) (at int, ok bool) {
	for _, at := range []int{0, strings.IndexByte(word, '=') + 1} {
		for _, folder := range folders {
			if rest, ok := strings.CutPrefix(word[at:], folder); ok && (rest == "" || rest[0] == '/') {
				return at, true
			}
		}
	}
	return 0, false
}

// given returns the paths in folders of --in or --out that the command is given, as words,
// working folder or variables of --env, but for those in a folder that it is given as a
// whole.
func (o options) given(folders []string) []string {
	var paths []string
	for _, word := range slices.Concat(o.Command, o.Env, []string{o.Dir}) {
		if at, ok := o.pathIn(word, folders); ok {
			paths = append(paths, path.Clean(word[at:]))
		}
	}
	slices.Sort(paths)
	var outer []string // a folder stands before what is in it
	for _, p := range paths {
		if !slices.ContainsFunc(outer, func(o string) bool { return p == o || strings.HasPrefix(p, o+"/") }) {
			outer = append(outer, p)
		}
	}
	return outer
}

// move puts the folders of --in and --out of a variation where its command finds
// them, and leaves empty ones in their places.
func move(o options) error {
	if o.Elsewhere == "" {
		return nil
	}
	for _, folder := range slices.Concat(o.In, o.Out) {
		to := o.moved(folder)[0]
		// The umask is the command's already.
		if err := os.MkdirAll(to, 0o755); err != nil {
			return fmt.Errorf("move %s: %w", folder, err)
		}
		if err := unix.Mount(folder, to, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("move %s: %w", folder, err)
		}
		if err := unix.Mount("tmpfs", folder, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=555,size=4k"); err != nil {
			return fmt.Errorf("move %s: %w", folder, err)
		}
	}
	return nil
}

// protect makes the folders of --in read-only where the command finds them, with all
// that is mounted in them.
func protect(o options) error {
	for _, folder := range o.In {
		at := o.moved(folder)[0]
		if o.Elsewhere == "" { // else it was mounted there by [move]
			if err := unix.Mount(at, at, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
				return fmt.Errorf("make %s read-only: %w", folder, err)
			}
		}
		readOnly := &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}
		if err := unix.MountSetattr(unix.AT_FDCWD, at, unix.AT_RECURSIVE, readOnly); err != nil {
			return fmt.Errorf("make %s read-only (which takes Linux 5.12): %w", folder, err)
		}
	}
	// This process may stand in what lay there before, and /proc leads to where it stands.
	if err := unix.Chdir("/"); err != nil {
		return fmt.Errorf("leave the working folder: %w", err)
	}
	return nil
}
