package scenario

import (
	"context"
	"errors"
	"os"
	"path/filepath"

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
		os.MkdirAll(filepath.Join(tree, unitFolder, "multi-user.target.upholds"), 0o755),
		os.Symlink("../mangos-probe.service", filepath.Join(tree, unitFolder, "multi-user.target.upholds/mangos-probe.service")))
	if err != nil {
		return err
	}
	return l.extension(ctx, out, "sysext", "test", "site", 1, l.own(), tree)
}

// markFolder is where the configuration extensions of the scenarios put a file with their
// own name, so that what was applied can be seen.
const markFolder = "/etc/mangos-test"

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
