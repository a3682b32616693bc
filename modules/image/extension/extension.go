// Package extension makes signed extension images: a file system with a folder
// of files that is laid over the device's /etc (confext) or /usr (sysext), its
// hash tree and its signature, in one disk image.
//
// Specification: UAPI group, "Extension Images" and "Discoverable Disk Image".
package extension

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/mastercard/mangos/format/gpt"
	"github.com/mastercard/mangos/format/verity"
	"github.com/mastercard/mangos/modules/image/disk"
	"github.com/mastercard/mangos/modules/image/fstree"
	"github.com/mastercard/mangos/modules/image/output"
	"github.com/mastercard/mangos/modules/image/rootfs"
	"github.com/mastercard/mangos/modules/image/sign"
)

// ErrExtension is wrapped by every error about what an extension is made of.
var ErrExtension = errors.New("unusable extension")

// Class is the kind of an extension.
type Class string

// The two classes.
const (
	Confext Class = "confext"
	Sysext  Class = "sysext"
)

// layout tells for a class the folder that it may hold, where its metadata
// stands, and the variable with its level.
var layout = map[Class]struct{ folder, release, level string }{
	Confext: {"etc", "etc/extension-release.d/extension-release.", "CONFEXT_LEVEL"},
	Sysext:  {"usr", "usr/lib/extension-release.d/extension-release.", "SYSEXT_LEVEL"},
}

// Options say what an extension is made of.
type Options struct {
	// Tree is the folder with its files, below etc/ or usr/.
	Tree  string
	Class Class
	// Name, Purpose and Counter are bound by the signature: the device refuses
	// an image with another name, another purpose than it asks for, or a lower
	// counter than it has seen.
	Name, Purpose string
	Counter       int64
	// ID is the ID of the os-release of images it is for.
	ID string
	// Reload makes systemd reload its units when the extension is merged.
	Reload bool
	Epoch  int64
}

var (
	validName    = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,30}$`)
	validPurpose = regexp.MustCompile(`^[a-z][a-z0-9-]{0,30}$`)
)

// level is the interface between images and extensions: os-release of the image
// has the same number.
const level = "1"

// Build writes the extension image, signed by key, to out.
func Build(ctx context.Context, o Options, key sign.Key, cert *sign.Certificate, out string) error {
	t, err := o.tree()
	if err != nil {
		return fmt.Errorf("extension %s: %w", o.Name, err)
	}
	err = output.Made(out, func(temporary string) error {
		in := func(name string) string { return filepath.Join(filepath.Dir(temporary), name) }
		id := gpt.DeriveGUID("mangos extension", string(o.Class), o.Name, strconv.FormatInt(o.Counter, 10))
		if err := rootfs.Erofs(ctx, t, in("root"), o.Name, id, o.Epoch); err != nil {
			return err
		}
		root, err := sealVerity(ctx, in("root"), in("tree"), in("signature"), key, cert)
		if err != nil {
			return err
		}
		parts := disk.VerityParts(root, [3]string{"verity-sig", "verity", "root"}, [3]int64{},
			[3]string{in("signature"), in("tree"), in("root")})
		return disk.Write(temporary, 512, gpt.DeriveGUID("mangos extension disk", root.String()), parts)
	})
	if err != nil {
		return fmt.Errorf("extension %s: %w", o.Name, err)
	}
	return nil
}

// sealVerity writes the hash tree and the signature partition of an image.
func sealVerity(ctx context.Context, data, tree, signature string, key sign.Key, cert *sign.Certificate) (root verity.RootHash, err error) {
	f, err := os.Open(data)
	if err != nil {
		return root, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return root, err
	}
	t, err := verity.Build(f, st.Size(), verity.Salt())
	if err != nil {
		return root, err
	}
	s, err := sign.Verity(ctx, t.Root, key, cert)
	if err != nil {
		return root, err
	}
	content, err := s.Encode()
	if err != nil {
		return root, err
	}
	return t.Root, errors.Join(os.WriteFile(tree, t.Bytes(), 0o644), os.WriteFile(signature, content, 0o644))
}

// tree loads the files, refuses what does not belong, and sets the metadata.
func (o Options) tree() (*fstree.Tree, error) {
	l, ok := layout[o.Class]
	switch {
	case !ok:
		return nil, fmt.Errorf("class %q, want confext or sysext: %w", o.Class, ErrExtension)
	case !validName.MatchString(o.Name):
		return nil, fmt.Errorf("name %q: want up to 31 lower-case letters, digits and dashes: %w", o.Name, ErrExtension)
	case !validPurpose.MatchString(o.Purpose):
		return nil, fmt.Errorf("purpose %q: want up to 31 lower-case letters, digits and dashes: %w", o.Purpose, ErrExtension)
	case o.Counter < 1 || o.Counter == math.MaxInt64:
		return nil, fmt.Errorf("counter %d: want a positive number: %w", o.Counter, ErrExtension)
	}
	t := fstree.New()
	if err := t.Overlay(o.Tree); err != nil {
		return nil, err
	}
	for _, p := range t.Paths() {
		if p != "." && p != l.folder && !strings.HasPrefix(p, l.folder+"/") {
			return nil, fmt.Errorf("/%s: a %s holds nothing but /%s: %w", p, o.Class, l.folder, ErrExtension)
		}
	}
	return t, o.setRelease(t, l.release, l.level)
}

// setRelease writes the metadata, or completes what the folder brings. What the
// folder says otherwise than the options do is refused, and so is metadata
// under another name.
func (o Options) setRelease(t *fstree.Tree, prefix, levelVariable string) error {
	want := [][2]string{
		{"ID", o.ID}, {levelVariable, level},
		{"MANGOS_EXTENSION_NAME", o.Name}, {"MANGOS_EXTENSION_PURPOSE", o.Purpose},
		{"MANGOS_EXTENSION_COUNTER", strconv.FormatInt(o.Counter, 10)},
	}
	if o.Reload {
		want = append(want, [2]string{"EXTENSION_RELOAD_MANAGER", "1"})
	}
	path := prefix + o.Name
	for _, p := range t.Paths() {
		if strings.HasPrefix(p, filepath.Dir(prefix)+"/") && p != path {
			return fmt.Errorf("/%s: metadata of another extension: %w", p, ErrExtension)
		}
	}
	var lines []string
	has := map[string]string{}
	if t.Get(path) != nil {
		text, err := t.ReadFile(path, 64<<10)
		if err != nil {
			return err
		}
		if lines, err = parseRelease(string(text), has); err != nil {
			return fmt.Errorf("/%s: %w", path, err)
		}
	}
	for _, kv := range want {
		switch given, ok := has[kv[0]]; {
		case !ok:
			lines = append(lines, kv[0]+"="+kv[1])
		case given != kv[1]:
			return fmt.Errorf("/%s has %s=%q, the arguments say %q: %w", path, kv[0], given, kv[1], ErrExtension)
		}
	}
	if err := t.MakeDirs(filepath.Dir(path)); err != nil {
		return err
	}
	return t.SetFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o644)
}

// parseRelease reads lines NAME=VALUE, values plain or in double quotes.
func parseRelease(text string, into map[string]string) (lines []string, err error) {
	for _, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		k, v, ok := strings.Cut(line, "=")
		v = strings.TrimSuffix(strings.TrimPrefix(v, `"`), `"`)
		if _, twice := into[k]; !ok || twice || strings.ContainsAny(v, "\"'\\$`") {
			return nil, fmt.Errorf("line %q is no NAME=VALUE, or a second one: %w", line, ErrExtension)
		}
		into[k] = v
		lines = append(lines, line)
	}
	return lines, nil
}
