package steps_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/mastercard/mangos/compare/evidence"
	"github.com/mastercard/mangos/compare/evidencetest"
	"github.com/mastercard/mangos/compare/steps"
	"github.com/mastercard/mangos/compare/stepstest"
)

var (
	packages = stepstest.Step{Name: "packages-root", Materials: map[string]string{"selection/root.json": "s"}, Products: map[string]string{"locked/a.deb": "a"}}
	tree     = stepstest.Step{Name: "tree-root", Materials: map[string]string{"locked/a.deb": "a"}, Products: map[string]string{"root.tree": "t"},
		Parameters: map[string]string{"profile": "small"}}
)

func TestRead(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a [release]*")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := steps.Read(dir); !errors.Is(err, steps.ErrNone) {
		t.Errorf("an empty folder: %v", err)
	}
	stepstest.Write(t, dir, tree, packages)
	// A statement of another kind is no step.
	o := evidencetest.New("alpha")
	c := evidence.Commitment{Release: "mangos_1", Organisation: o.ID, Build: evidencetest.Digest("x")}
	s, err := c.Statement()
	if err != nil {
		t.Fatal(err)
	}
	o.Sign(t, dir, "other.sigstore.json", s)
	side, err := steps.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(side.Lineage) != 2 || side.Lineage[0].Name != "packages-root" || side.Lineage[1].Name != "tree-root" {
		t.Fatalf("not in the pipeline's order: %+v", side.Lineage)
	}
	if got := side.Lineage[1].Materials; !slices.Equal(got, []string{"locked/a.deb", "command of tree-root", "parameter profile of tree-root"}) {
		t.Errorf("materials %q", got)
	}
	if side.Digest("root.tree") != evidencetest.Digest("t") || side.Digest("parameter profile of tree-root") != "small" {
		t.Error("wrong digests")
	}
}

func TestReadRefuses(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, dir string){
		"two digests of one thing": func(t *testing.T, dir string) {
			other := packages
			other.Name, other.Products = "packages-build", map[string]string{"locked/a.deb": "other"}
			stepstest.Write(t, dir, other)
		},
		"a step twice": func(t *testing.T, dir string) {
			text, err := os.ReadFile(filepath.Join(dir, "mangos_1.tree-root.sigstore.json"))
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, "x.sigstore.json"), text, 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
		},
		"text that is no attestation": func(t *testing.T, dir string) { write(t, dir, "x.sigstore.json", "{") },
		"a link out of the folder": func(t *testing.T, dir string) {
			if err := os.Symlink("/etc/passwd", filepath.Join(dir, "x.sigstore.json")); err != nil {
				t.Fatal(err)
			}
		},
		"a pipe": func(t *testing.T, dir string) {
			if err := syscall.Mkfifo(filepath.Join(dir, "x.sigstore.json"), 0o644); err != nil {
				t.Fatal(err)
			}
		},
		"a huge file": func(t *testing.T, dir string) {
			write(t, dir, "x.sigstore.json", "")
			if err := os.Truncate(filepath.Join(dir, "x.sigstore.json"), 1<<30); err != nil {
				t.Fatal(err)
			}
		},
		"many files": func(t *testing.T, dir string) {
			for n := range 200 {
				write(t, dir, string(rune('a'+n/26))+string(rune('a'+n%26))+".sigstore.json", "{}")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			stepstest.Write(t, dir, tree, packages)
			change(t, dir)
			side, err := steps.Read(dir)
			if err == nil || errors.Is(err, steps.ErrNone) {
				t.Errorf("read as %+v, %v", side.Lineage, err)
			}
		})
	}
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestNamesOfMaterials: what a step had under the name of something else stands for
// itself.
func TestNamesOfMaterials(t *testing.T) {
	dir := t.TempDir()
	other := tree
	other.Materials = map[string]string{"locked/a.deb": "another", "b": "b"}
	stepstest.Write(t, dir, packages, other,
		stepstest.Step{Name: "programs", Materials: map[string]string{"b": "b"}, Products: map[string]string{"program/gate": "gate", "program/proxy": "proxy"}},
		stepstest.Step{Name: "erofs", Products: map[string]string{"root.erofs": "root"}, Materials: map[string]string{
			"device/root/usr/lib/mangos/gate": "gate", "device/root/usr/lib/mangos/proxy": "none of theirs"}})
	side, err := steps.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	// In the pipeline's order: programs, packages-root, tree-root, erofs.
	if got := side.Lineage[3].Materials[:2]; !slices.Equal(got, []string{"program/gate", "device/root/usr/lib/mangos/proxy"}) {
		t.Errorf("materials %q", got)
	}
	if got := side.Lineage[2].Materials[:2]; !slices.Equal(got, []string{"b", "locked/a.deb of tree-root"}) {
		t.Errorf("materials %q", got)
	}
	if side.Digest("locked/a.deb") != evidencetest.Digest("a") || side.Digest("locked/a.deb of tree-root") != evidencetest.Digest("another") {
		t.Error("wrong digests")
	}
}
