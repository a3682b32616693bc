// Package rootfs turns a configured root tree into the device's root file
// system image: erofs, read-only, the same bytes for everybody who builds the
// same inputs.
package rootfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"runtime"
	"strconv"
	"strings"

	"github.com/mastercard/mangos/format/gpt"
	"github.com/mastercard/mangos/modules/image/fstree"
	"github.com/mastercard/mangos/modules/image/output"
	"github.com/mastercard/mangos/modules/image/tool"
)

// ErrRoot is wrapped by every error about what a root tree holds or lacks.
var ErrRoot = errors.New("unusable root tree")

// Options say what a root image is made of.
type Options struct {
	// Tree is the folder with the configured packages.
	Tree string
	// Overlays are folders put over it, in order.
	Overlays []string
	// Name and Version identify the image, in os-release.
	Name, Version string
	// Epoch is every time in the image, in seconds since 1970.
	Epoch int64
}

// emptied are folders whose content is made at boot. /var is one of them:
// systemd does not mount over a populated one.
var emptied = []string{"dev", "proc", "run", "sys", "tmp", "var"}

// Where dpkg's database stands in the image, and what in it is left by runs of
// dpkg and says nothing about packages.
const (
	dpkgFrom = "var/lib/dpkg"
	dpkgTo   = "usr/lib/dpkg-db"
)

var dpkgLeftover = regexp.MustCompile(`^(lock|lock-frontend|.*-old|triggers/Lock|updates/.*|tmp\.ci/.*)$`)

// required must be in a tree for it to be a root.
var required = []string{"usr/lib/systemd/systemd", "usr/sbin/init", "etc", "usr/lib/os-release"}

// vendorKeys are systemd's keyring, which systemd-pull takes where the organisation has
// none of its own: it holds the keys of other distributions.
var vendorKeys = []string{"usr/lib/systemd/import-pubring.gpg", "usr/lib/systemd/import-pubring.pgp"}

// Finalise puts the tree together: overlays, the package database, empty folders,
// os-release. It returns the tree and os-release. What a root lacks, or must not have, is
// [ErrRoot].
func Finalise(o Options) (*fstree.Tree, []byte, error) {
	t, err := fstree.Load(o.Tree)
	if err != nil {
		return nil, nil, err
	}
	if err := moveDpkg(t); err != nil {
		return nil, nil, err
	}
	for _, dir := range o.Overlays {
		if err := t.Overlay(dir); err != nil {
			return nil, nil, err
		}
	}
	for _, dir := range emptied {
		if err := t.Empty(dir); err != nil {
			return nil, nil, err
		}
	}
	release, err := setRelease(t, o.Name, o.Version)
	if err != nil {
		return nil, nil, err
	}
	// systemd mounts the machine id over this file; it must be there.
	if err := t.SetFile("etc/machine-id", nil, 0o444); err != nil {
		return nil, nil, err
	}
	for _, name := range required {
		if t.Get(name) == nil {
			return nil, nil, fmt.Errorf("/%s is missing: %w", name, ErrRoot)
		}
	}
	for _, name := range vendorKeys {
		if t.Get(name) != nil {
			return nil, nil, fmt.Errorf("/%s is there, only the organisation's release key may count: leave it out by the package set's paths: %w", name, ErrRoot)
		}
	}
	return t, release, nil
}

func moveDpkg(t *fstree.Tree) error {
	if t.Get(dpkgFrom+"/status") == nil {
		return fmt.Errorf("/%s/status is missing: %w", dpkgFrom, ErrRoot)
	}
	if err := t.Move(dpkgFrom, dpkgTo); err != nil {
		return err
	}
	for _, p := range t.Paths() {
		rest, ok := strings.CutPrefix(p, dpkgTo+"/")
		if ok && dpkgLeftover.MatchString(rest) && !t.Get(p).IsDir() {
			t.Delete(p)
		}
	}
	return nil
}

var (
	validName    = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)
	validVersion = regexp.MustCompile(`^[a-z0-9][a-z0-9.~^-]*$`)
)

// CheckVersion refuses a name or version that os-release, a file name or the
// longest partition label (name_version_verity_sig) cannot hold.
func CheckVersion(name, version string) error {
	if !validName.MatchString(name) {
		return fmt.Errorf("name %q: want lower-case letters, digits and dashes", name)
	}
	if !validVersion.MatchString(version) {
		return fmt.Errorf("version %q: want lower-case letters, digits, and the characters . ~ ^ -", version)
	}
	if err := gpt.CheckLabel(name + "_" + version + "_verity_sig"); err != nil {
		return fmt.Errorf("version %q is too long: %w", version, err)
	}
	return nil
}

// setRelease appends the image's name and version to os-release and returns
// the whole text.
func setRelease(t *fstree.Tree, name, version string) ([]byte, error) {
	if err := CheckVersion(name, version); err != nil {
		return nil, err
	}
	text, err := t.ReadFile("usr/lib/os-release", 64<<10)
	if err != nil {
		return nil, err
	}
	if text, err = appendRelease(text, name, version); err != nil {
		return nil, err
	}
	if err := t.SetFile("usr/lib/os-release", text, 0o644); err != nil {
		return nil, err
	}
	return text, t.SetSymlink("etc/os-release", "../usr/lib/os-release")
}

func appendRelease(text []byte, name, version string) ([]byte, error) {
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	for _, line := range lines {
		key, _, _ := strings.Cut(line, "=")
		key = strings.TrimSpace(key) // its readers do that
		if key == "IMAGE_ID" || key == "IMAGE_VERSION" {
			return nil, fmt.Errorf("/usr/lib/os-release has %s already, the build sets it: %w", key, ErrRoot)
		}
	}
	lines = append(lines, "IMAGE_ID="+name, "IMAGE_VERSION="+version)
	return []byte(strings.Join(lines, "\n") + "\n"), nil
}

// Build writes the root image to imagePath and its os-release to releasePath.
func Build(ctx context.Context, o Options, imagePath, releasePath string) error {
	t, release, err := Finalise(o)
	if err != nil {
		return fmt.Errorf("root: %w", err)
	}
	id := gpt.DeriveGUID("mangos root file system", o.Name, o.Version)
	if err := Erofs(ctx, t, imagePath, o.Name, id, o.Epoch); err != nil {
		return fmt.Errorf("root: %w", err)
	}
	return output.Bytes(releasePath, release)
}

// Erofs writes a tree as an erofs image, compressed with lz4hc. The label has
// at most 15 bytes. The image depends on the arguments alone: mkfs.erofs cuts
// its work in the same way for any number of workers, as long as it has any.
func Erofs(ctx context.Context, t *fstree.Tree, path, label string, id gpt.GUID, epoch int64) error {
	if len(label) > 15 {
		label = label[:15]
	}
	return output.Made(path, func(temporary string) error {
		_, err := tool.Command{
			Name: "mkfs.erofs",
			Args: []string{
				"--quiet", "-zlz4hc,level=9", "-C65536",
				"-T" + strconv.FormatInt(epoch, 10), "--all-time", "-U", id.String(), "-L", label,
				"--workers=" + strconv.Itoa(runtime.NumCPU()), "--tar=f", "--sort=none", temporary,
			},
			Epoch: epoch,
			Feed:  func(w io.Writer) error { return t.WriteTar(w, epoch) },
		}.Run(ctx)
		return err
	})
}
