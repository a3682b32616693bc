// Package initrd makes the initial RAM file system of the device.
package initrd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"runtime"
	"strconv"
	"strings"

	"github.com/mastercard/mangos/modules/image/fstree"
	"github.com/mastercard/mangos/modules/image/output"
	"github.com/mastercard/mangos/modules/image/tool"
)

// ErrInitrd is wrapped by every error about what an initrd holds or lacks.
var ErrInitrd = errors.New("unusable initrd tree")

// Options say what an initrd is made of.
type Options struct {
	// Tree is the folder with the unpacked packages.
	Tree string
	// Overlays are folders put over it, in order.
	Overlays []string
}

const systemd = "usr/lib/systemd/systemd"

// mergedUsr are the symlinks of a root whose programs all lie in /usr. The
// packages to unpack need not bring them.
var mergedUsr = map[string]string{
	"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64",
}

// folders must be there to be mounted on.
var folders = []string{"dev", "etc", "proc", "root", "run", "sys", "sysroot", "tmp", "var"}

// Finalise puts the tree together and checks that it has what it needs and no
// shell.
func Finalise(o Options) (*fstree.Tree, error) {
	t, err := fstree.Load(o.Tree)
	if err != nil {
		return nil, err
	}
	for name, target := range mergedUsr {
		if t.Get(name) != nil {
			continue
		}
		if err := errors.Join(t.MakeDirs(target), t.SetSymlink(name, target)); err != nil {
			return nil, err
		}
	}
	for _, dir := range o.Overlays {
		if err := t.Overlay(dir); err != nil {
			return nil, err
		}
	}
	for _, name := range folders {
		if err := t.MakeDirs(name); err != nil {
			return nil, err
		}
	}
	return t, check(t)
}

func check(t *fstree.Tree) error {
	if e := t.Get(systemd); e == nil || !e.IsRegular() {
		return fmt.Errorf("/%s is missing: %w", systemd, ErrInitrd)
	}
	if t.Get("init") == nil {
		return fmt.Errorf("/init, which the kernel starts, is missing: %w", ErrInitrd)
	}
	if t.Get("etc/initrd-release") == nil && t.Get("usr/lib/initrd-release") == nil {
		return fmt.Errorf("/etc/initrd-release is missing: %w", ErrInitrd)
	}
	for _, name := range t.Paths() {
		e := t.Get(name)
		if e.IsDir() {
			continue
		}
		if isShell(path.Base(name)) || e.IsSymlink() && isShell(path.Base(e.Target)) {
			return fmt.Errorf("/%s is a shell or an interpreter, none may be here: %w", name, ErrInitrd)
		}
	}
	return nil
}

// shells are programs that run what somebody types or a script says. Versioned
// names (python3.13) count as well.
var shells = []string{
	"ash", "bash", "busybox", "csh", "dash", "elvish", "fish", "ksh", "ksh93", "lksh", "mksh", "posh",
	"rbash", "rc", "sash", "sh", "static-sh", "sulogin", "tcsh", "toybox", "yash", "zsh",
	"awk", "gawk", "lua", "mawk", "perl", "python", "ruby", "tclsh",
}

func isShell(base string) bool {
	versionless := strings.TrimRight(base, "0123456789.-")
	for _, s := range shells {
		if base == s || versionless == s {
			return true
		}
	}
	return false
}

// Build writes the initrd to path: a newc archive, compressed by zstd. The
// result depends on the tree alone: zstd cuts its work in the same way for any
// number of workers, as long as it has any.
func Build(ctx context.Context, o Options, path string) error {
	t, err := Finalise(o)
	if err != nil {
		return fmt.Errorf("initrd: %w", err)
	}
	err = output.Made(path, func(temporary string) error {
		_, err := tool.Command{
			Name: "zstd",
			Args: []string{"--quiet", "-12", "-T" + strconv.Itoa(runtime.NumCPU()), "-o", temporary},
			Feed: t.WriteCpio,
		}.Run(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("initrd: %w", err)
	}
	return nil
}

// CommandLinePath is where the gate finds the built-in command line.
const CommandLinePath = "etc/mangos/cmdline"

// Append writes the initrd, padded to 4 bytes, followed by a small
// uncompressed archive that holds the built-in kernel command line. The kernel
// unpacks one after the other, so the large one need not be made again for
// each root hash.
func Append(w io.Writer, initrd io.Reader, commandLine string) error {
	n, err := io.Copy(w, initrd)
	if err != nil {
		return fmt.Errorf("initrd: %w", err)
	}
	if _, err := w.Write(make([]byte, (4-n%4)%4)); err != nil {
		return fmt.Errorf("initrd: %w", err)
	}
	t := fstree.New()
	if err := t.MakeDirs(path.Dir(CommandLinePath)); err != nil {
		return fmt.Errorf("initrd: %w", err)
	}
	if err := t.SetFile(CommandLinePath, []byte(commandLine), 0o444); err != nil {
		return fmt.Errorf("initrd: %w", err)
	}
	return t.WriteCpio(w)
}
