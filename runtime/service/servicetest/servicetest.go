// Package servicetest holds the image's units against systemd's own judgement.
package servicetest

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// units is where systemd and the image have their units.
const units = "/usr/lib/systemd/system"

// Image is what the image has besides its packages: its tree for the root.
type Image struct{ Tree string }

// analyze calls systemd-analyze.
func analyze(t *testing.T, args ...string) (string, error) {
	t.Helper()
	path, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skipf("systemd-analyze is not here: %v", err)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "SYSTEMD_COLORS=0")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// CheckUnits wants systemd to find no fault in units of the image: what they need is
// there, and each setting is known. A fault must be found while program, which they
// start, is not there; others is what the image has besides.
func (i Image) CheckUnits(t *testing.T, program string, others []string, names ...string) {
	t.Helper()
	root := t.TempDir()
	for _, from := range []string{units, filepath.Join(i.Tree, units)} {
		entries, err := os.ReadDir(from)
		if err != nil {
			t.Skipf("systemd's own units are not here: %v", err)
		}
		for _, e := range entries {
			if !e.Type().IsRegular() || from == units && filepath.Ext(e.Name()) != ".target" && filepath.Ext(e.Name()) != ".slice" {
				continue
			}
			text, err := os.ReadFile(filepath.Join(from, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			put(t, filepath.Join(root, units, e.Name()), text, 0o644)
		}
	}
	for _, other := range others {
		put(t, filepath.Join(root, other), []byte("#!/bin/sh\n"), 0o755)
	}
	verify := func() (string, error) {
		return analyze(t, append([]string{"verify", "--root=" + root, "--recursive-errors=one"}, names...)...)
	}
	if out, err := verify(); err == nil || !strings.Contains(out, program+" is not executable") {
		t.Errorf("without the program: %v\n%s", err, out)
	}
	put(t, filepath.Join(root, program), []byte("#!/bin/sh\n"), 0o755)
	if out, err := verify(); err != nil || out != "" {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}

// CheckExposure wants a service to have exactly these liberties of those that systemd
// knows to forbid, sorted by their names in its JSON, and no higher exposure than
// threshold, in tenths.
func (i Image) CheckExposure(t *testing.T, service string, threshold int, liberties []string) {
	t.Helper()
	out, err := analyze(t, "security", "--offline=yes", "--no-pager", fmt.Sprintf("--threshold=%d", threshold), "--json=short", filepath.Join(i.Tree, units, service))
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var settings []struct {
		Set  *bool
		Name string `json:"json_field"`
	}
	if err := json.Unmarshal([]byte(out), &settings); err != nil {
		t.Fatal(err)
	}
	var free []string
	for _, s := range settings {
		if s.Set != nil && !*s.Set {
			free = append(free, s.Name)
		}
	}
	slices.Sort(free)
	if len(settings) < 60 || !slices.Equal(free, liberties) {
		t.Errorf("%s: of %d, not forbidden: %q", service, len(settings), free)
	}
}

// CheckNotEnabled wants no link in the image to units whose name holds name: an
// organisation's extension turns them on.
func (i Image) CheckNotEnabled(t *testing.T, name string) {
	t.Helper()
	err := filepath.WalkDir(i.Tree, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type()&fs.ModeSymlink != 0 && strings.Contains(e.Name(), name) {
			t.Errorf("%s", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, path string, content []byte, mode fs.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, mode); err != nil {
		t.Fatal(err)
	}
}
