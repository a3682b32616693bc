package scenario

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/mastercard/mangos/modules/vm/probe"
	"github.com/mastercard/mangos/modules/vm/rogue"
)

// probePath is where the test extension has the probe.
const probePath = "usr/lib/mangos-test/probe"

// probeUnit starts the probe when the system has come to its last target. A target that an
// extension adds to upholds it, because the target's own job is older than the extension.
const probeUnit = `[Unit]
Description=Tell the Test Harness About This System
After=multi-user.target systemd-pcrphase.service

[Service]
Type=exec
ExecStart=/` + probePath + `
StandardInput=null
`

const unitFolder = "usr/lib/systemd/system/"

// testExtension makes the sysext with the probe.
func (l *Lab) testExtension(ctx context.Context, out string) error {
	tree := filepath.Join(l.Work, "test-extension")
	program, err := os.ReadFile(l.Probe)
	if err != nil {
		return err
	}
	err = errors.Join(
		writeTree(tree, probePath, program, 0o755),
		writeTree(tree, unitFolder+"mangos-probe.service", []byte(probeUnit), 0o644),
		writeTree(tree, sysextMarkFolder[1:]+"/"+probeMark, nil, 0o644),
		l.writePlants(ctx, filepath.Join(tree, probe.Plants)),
		os.MkdirAll(filepath.Join(tree, unitFolder, "multi-user.target.upholds"), 0o755),
		os.Symlink("../mangos-probe.service", filepath.Join(tree, unitFolder, "multi-user.target.upholds/mangos-probe.service")))
	if err != nil {
		return err
	}
	return l.extension(ctx, out, "sysext", "test", "site", 1, l.own(), tree)
}

// writePlants writes what the probe puts past the gate: each would be merged if nobody but
// systemd looked.
func (l *Lab) writePlants(ctx context.Context, folder string) error {
	image, sysext := filepath.Join(l.Work, "planted-image.tree"), filepath.Join(l.Work, "planted-sysext-image.tree")
	err := errors.Join(
		writeConfext(filepath.Join(folder, "planted-folder"), "planted-folder"),
		writeSysext(filepath.Join(folder, "planted-sysext-folder"), "planted-sysext-folder"),
		writeTree(filepath.Join(folder, "planted-mutable"), "mangos-test/planted-mutable", []byte("planted-mutable"), 0o644),
		writeConfext(image, "planted-image"),
		writeSysext(sysext, "planted-sysext-image"))
	if err != nil {
		return err
	}
	return errors.Join(
		makeErofs(ctx, filepath.Join(folder, "planted-image.raw"), image),
		makeErofs(ctx, filepath.Join(folder, "planted-sysext-image.raw"), sysext))
}

// writeSysext writes the tree of a system extension that puts a file of its name into
// sysextMarkFolder.
func writeSysext(tree, name string) error {
	return errors.Join(
		writeTree(tree, filepath.Join(sysextMarkFolder[1:], name), []byte(name), 0o644),
		writeTree(tree, "usr/lib/extension-release.d/extension-release."+name,
			[]byte("ID=mangos\nSYSEXT_LEVEL=1\nMANGOS_EXTENSION_NAME="+name+"\nMANGOS_EXTENSION_PURPOSE=site\nMANGOS_EXTENSION_COUNTER=1\n"), 0o644))
}

// writeConfext writes the tree of a configuration extension that puts a file of its name
// into markFolder.
func writeConfext(tree, name string) error {
	return errors.Join(
		writeTree(tree, filepath.Join(markFolder[1:], name), []byte(name), 0o644),
		writeTree(tree, "etc/extension-release.d/extension-release."+name,
			[]byte("ID=mangos\nCONFEXT_LEVEL=1\nMANGOS_EXTENSION_NAME="+name+"\nMANGOS_EXTENSION_PURPOSE=site\nMANGOS_EXTENSION_COUNTER=1\n"), 0o644))
}

func makeErofs(ctx context.Context, out, tree string) error {
	if output, err := exec.CommandContext(ctx, "mkfs.erofs", "--quiet", out, tree).CombinedOutput(); err != nil {
		return fmt.Errorf("make %s: mkfs.erofs: %w: %.300q", filepath.Base(out), err, output)
	}
	return nil
}

// markFolder is where the configuration extensions of the scenarios put a file with their
// own name, so that what was applied can be seen.
const markFolder = "/etc/mangos-test"

// sysextMarkFolder is the same for system extensions; probeMark is the test extension's.
const (
	sysextMarkFolder = "/usr/share/mangos-test"
	probeMark        = "probe"
)

// marks lists what extensions of both classes have put into their folders.
func (r *Run) marks(ctx context.Context) ([]string, error) {
	var all []string
	for _, folder := range []string{markFolder, sysextMarkFolder} {
		reply, err := r.ask(ctx, probe.List, folder)
		if err != nil && !errors.Is(err, ErrGuest) {
			return nil, err
		}
		all = append(all, reply.Names...)
	}
	return all, nil
}

// mark is a configuration extension that shows by a file whether it was applied.
type mark struct {
	name, purpose string
	counter       int
	mark, content string
	keys          rogue.Keys // empty: the organisation's
}

// markExtension makes a confext that puts content into markFolder under mark.
func (l *Lab) markExtension(ctx context.Context, out string, e mark) error {
	tree := out + ".tree"
	if err := writeTree(tree, filepath.Join(markFolder[1:], e.mark), []byte(e.content), 0o644); err != nil {
		return err
	}
	if e.keys.Key == "" {
		e.keys = l.own()
	}
	return l.extension(ctx, out, "confext", e.name, e.purpose, e.counter, e.keys, tree)
}

func writeTree(root, path string, content []byte, mode os.FileMode) error {
	full := filepath.Join(root, path)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		return err
	}
	return os.WriteFile(full, content, mode)
}
