package trace

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func lay(t testing.TB, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		err := os.WriteFile(path, []byte(name), 0o644)
		if target, ok := strings.CutSuffix(name, ".link"); ok {
			err = errors.Join(os.Remove(path), os.Symlink(target, path))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestItems: plain files are known each by itself, whatever folders they lie in;
// a tree with anything else is one item, in which every detail counts.
func TestItems(t *testing.T) {
	plain := lay(t, "a", "b/c/d")
	items, err := Items(t.Context(), "/in", plain)
	if err != nil || len(items) != 2 || items[0].Name != "/in/a" || items[1].Name != "/in/b/c/d" || items[1].Path != plain+"/b/c/d" || items[1].Kind != File {
		t.Errorf("%+v, %v", items, err)
	}
	file, err := Items(t.Context(), "/in/a", plain+"/a")
	if err != nil || len(file) != 1 || file[0].SHA256 != items[0].SHA256 || file[0].Size != 1 {
		t.Errorf("%+v, %v", file, err)
	}
	var trees []Item
	for _, change := range []func(dir string) error{
		func(string) error { return nil },
		func(dir string) error { return os.Chmod(dir, 0o700) }, // the folder itself does not count
		func(dir string) error { return os.Chmod(dir+"/a", 0o600) },
		func(dir string) error { return os.WriteFile(dir+"/a", []byte("b"), 0o644) },
	} {
		dir := lay(t, "a", "b.link")
		if err := change(dir); err != nil {
			t.Fatal(err)
		}
		items, err := Items(t.Context(), "/in", dir)
		if err != nil || len(items) != 1 || items[0].Kind != Tree {
			t.Fatalf("%+v, %v", items, err)
		}
		trees = append(trees, items[0])
	}
	if trees[0].SHA256 != trees[1].SHA256 || trees[0].SHA256 == trees[2].SHA256 || trees[0].SHA256 == trees[3].SHA256 {
		t.Errorf("trees: %+v", trees)
	}
	if empty, err := Items(t.Context(), "/in", t.TempDir()); err != nil || len(empty) != 1 || empty[0].Kind != Tree {
		t.Errorf("an empty folder: %+v, %v", empty, err)
	}
	if _, err := Items(t.Context(), "/in", "/no/such/place"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func step(build string) *Step {
	now := time.Now().UTC()
	return &Step{Build: build, Command: []string{"cp"}, Started: now, Ended: now, Inputs: []Item{}, Results: []Item{
		{Name: "/out/x", Path: "/y", Kind: File, SHA256: strings.Repeat("0", 64)},
	}}
}

func TestSaveLoad(t *testing.T) {
	folder := t.TempDir()
	for _, build := range []string{"one", "two", "one"} {
		if err := step(build).Save(folder); err != nil {
			t.Fatal(err)
		}
	}
	steps, err := Load(folder, "one")
	if err != nil || len(steps) != 2 || steps[0].Results[0].Name != "/out/x" {
		t.Errorf("%+v, %v", steps, err)
	}
	if steps, err := Load(folder, "none"); err != nil || len(steps) > 0 {
		t.Errorf("%+v, %v", steps, err)
	}
	if err := step("../x").Save(folder); !errors.Is(err, ErrInvalid) {
		t.Errorf("got %v", err)
	}
	if _, err := Load(folder, ".."); !errors.Is(err, ErrInvalid) {
		t.Errorf("got %v", err)
	}
	// A trace of another build that somebody put there.
	if err := os.Rename(folder+"/two", folder+"/three"); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(folder, "three"); !errors.Is(err, ErrInvalid) {
		t.Errorf("got %v", err)
	}
}

func TestParseRefuses(t *testing.T) {
	for name, change := range map[string]func(*Step){
		"another format":  func(s *Step) { s.Format = "x" },
		"no command":      func(s *Step) { s.Command = nil },
		"ends first":      func(s *Step) { s.Ended = s.Ended.Add(-time.Hour) },
		"a short digest":  func(s *Step) { s.Results[0].SHA256 = "00" },
		"an unknown kind": func(s *Step) { s.Results[0].Kind = "x" },
		"no name":         func(s *Step) { s.Results[0].Name = "" },
	} {
		s := step("x")
		s.Format = Format
		change(s)
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse(text); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	s := step("x")
	s.Format = Format
	text, err := json.Marshal(s)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"format":"mangos-step-trace-1","Build":"x"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := Parse(text)
		if err != nil {
			return
		}
		again, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse(again); err != nil {
			t.Errorf("%s is not read again: %v", again, err)
		}
	})
}
