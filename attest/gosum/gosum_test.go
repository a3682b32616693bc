package gosum

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/module"
)

const example = "a.org/x v1.0.0 h1:one=\na.org/x v1.0.0/go.mod h1:two=\n\na.org/x v1.0.0 h1:one=\n"

func TestParse(t *testing.T) {
	sums, err := Parse([]byte(example))
	if err != nil || len(sums) != 1 || sums[module.Version{Path: "a.org/x", Version: "v1.0.0"}] != "h1:one=" {
		t.Errorf("%v, %v", sums, err)
	}
}

func TestRefusals(t *testing.T) {
	for _, text := range []string{
		"a.org/x v1.0.0\n", "a.org/x v1.0.0 one=\n", "a b c d\n", "a.org/x v1.0.0 h1:one=\na.org/x v1.0.0 h1:two=\n", strings.Repeat("\n", MaxSize+1),
	} {
		if sums, err := Parse([]byte(text)); !errors.Is(err, ErrSyntax) {
			t.Errorf("%.60q: %v, %v", text, sums, err)
		}
	}
	path := filepath.Join(t.TempDir(), "go.sum")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 2<<30); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); !errors.Is(err, ErrSyntax) {
		t.Errorf("2 GB: %v", err)
	}
}

// TestOwn: the go command's own file.
func TestOwn(t *testing.T) {
	sums, err := Load("../../go.sum")
	if err != nil || len(sums) < 10 {
		t.Errorf("%d, %v", len(sums), err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(example))
	f.Add([]byte("a v/go.mod h1:\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		sums, err := Parse(text)
		if (err == nil) == errors.Is(err, ErrSyntax) {
			t.Errorf("%v", err)
		}
		for m, sum := range sums {
			if m.Path == "" || m.Version == "" || !strings.HasPrefix(sum, "h1:") {
				t.Errorf("%v %q", m, sum)
			}
		}
	})
}
