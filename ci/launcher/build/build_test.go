package build

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestRead reads the real ci/engine.
func TestRead(t *testing.T) {
	src, err := Read("../../engine")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(src.Version, "v0.") || !strings.HasPrefix(src.Toolchain, "1.") || len(src.Key) != 16 {
		t.Errorf("got %+v", src)
	}
}

// TestPinsAgree: every go.mod of the project that names a toolchain names the same.
func TestPinsAgree(t *testing.T) {
	line := regexp.MustCompile(`(?m)^toolchain go.*$`)
	pins := map[string]string{}
	for _, file := range []string{"../../../go.mod", "../../engine/go.mod", "../go.mod"} {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		pins[line.FindString(string(data))] = file
	}
	if len(pins) != 1 {
		t.Errorf("toolchains differ: %v", pins)
	}
}

// TestKey: whatever the programs depend on is in the key.
func TestKey(t *testing.T) {
	files := []string{"go.mod", "go.sum", "distconsts/go.mod", "distconsts/distconsts.go"}
	read := func(changed string) string {
		dir := t.TempDir()
		for _, name := range files {
			text := "module x\n\ntoolchain go1.2.3\n\nrequire github.com/dagger/dagger v0.1.2\n"
			if name == changed {
				text += "\n"
			}
			file := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		src, err := Read(dir)
		if err != nil {
			t.Fatal(err)
		}
		return src.Key
	}
	plain := read("")
	if read("") != plain {
		t.Error("the key depends on the folder's name")
	}
	for _, name := range files {
		if read(name) == plain {
			t.Errorf("a change of %s does not change the key", name)
		}
	}
}

// TestPresent: a program is there when something is in it.
func TestPresent(t *testing.T) {
	bin := t.TempDir()
	if Present(bin, CLI) {
		t.Error("a missing program is present")
	}
	for text, want := range map[string]bool{"": false, "x": true} {
		if err := os.WriteFile(filepath.Join(bin, CLI), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
		if got := Present(bin, CLI); got != want {
			t.Errorf("with %q in it: %v", text, got)
		}
	}
}

func TestReadBad(t *testing.T) {
	dir := t.TempDir()
	if _, err := Read(dir); err == nil {
		t.Error("an empty folder was read")
	}
}
