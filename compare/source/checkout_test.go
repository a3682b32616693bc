package source

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// small has a file of each part, and some that do not count.
func small() map[string]string {
	files := map[string]string{}
	for _, name := range []string{
		"debian.lock.json", "debian.sources.json", "mangos.toml", "dagger.json", "go.mod", "go.sum", "README.md",
		".git/HEAD", ".gitignore", ".ci/run", "build/mangos_1.efi",
		"attest/a.go", "attest/a_test.go", "attest/testdata/a", "compare/README.md", "runtime/r.go",
		"ci/main.go", "ci/README.md", "ci/dagger", "ci/engine/go.mod", "ci/launcher/main.go", "ci/bench/main.go",
		"modules/debian/keys/a.asc", "modules/kernel/config/base.config", "modules/kernel/compile/compile.sh",
		"modules/image/tree/root/usr/lib/systemd/system/a.service", "modules/golang/dagger.json", "modules/golang/.dagger/main.go",
	} {
		files[name] = "text of " + name
	}
	return files
}

// checkout are the parts of a checkout by name.
func checkout(t *testing.T, files map[string]string) map[string]string {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, files)
	list, err := Checkout(t.Context(), dir)
	must(t, err)
	digests := map[string]string{}
	for _, p := range list {
		digests[p.Name] = p.SHA256
	}
	return digests
}

// changed are the names of parts that are not the same, sorted.
func changed(a, b map[string]string) []string {
	names := map[string]bool{}
	for name := range a {
		names[name] = a[name] != b[name]
	}
	for name := range b {
		names[name] = a[name] != b[name]
	}
	return slices.DeleteFunc(slices.Sorted(maps.Keys(names)), func(name string) bool { return !names[name] })
}

// TestCheckout changes, or adds, one file at a time: what can change a build makes the
// part that it is of another one, and nothing else does.
func TestCheckout(t *testing.T) {
	before := checkout(t, small())
	for file, want := range map[string]string{
		"README.md": "", "compare/README.md": "", "ci/README.md": "", "attest/new.md": "",
		"attest/a_test.go": "", "attest/testdata/a": "", "runtime/testdata/deep/er": "",
		".git/HEAD": "", ".ci/run": "", ".gitignore": "", "ci/bench/main.go": "", "build/mangos_1.efi": "",
		"ci/dagger.gen.go": "", "ci/internal/dagger/dagger.gen.go": "", "modules/golang/.dagger/internal/x.go": "",

		"debian.lock.json": "debian.lock.json", "debian.sources.json": "debian.sources.json", "mangos.toml": "mangos.toml",
		"modules/debian/keys/a.asc":         "archive-keys.tree",
		"modules/kernel/config/base.config": "kernel-config.tree", "modules/kernel/config/README.md": "kernel-config.tree",
		"modules/image/tree/root/usr/lib/systemd/system/a.service": "image-files.tree",
		"modules/image/tree/root/etc/new.md":                       "image-files.tree",
		"modules/image/tree/root/testdata/x_test.go":               "image-files.tree",
		"ci/main.go": "pipeline.tree", "dagger.json": "pipeline.tree", "modules/golang/dagger.json": "pipeline.tree",
		"modules/golang/.dagger/main.go": "pipeline.tree", "modules/golang/.dagger/fetch.md": "pipeline.tree",
		"ci/dagger": "launcher.tree", "ci/engine/go.mod": "launcher.tree", "ci/launcher/main.go": "launcher.tree",
		"attest/a.go": "programs.tree", "go.mod": "programs.tree", "go.sum": "programs.tree", "runtime/dagger.gen.go": "programs.tree",
		"modules/kernel/compile/compile.sh": "programs.tree", "format/new.go": "programs.tree", "modules/build/x.go": "programs.tree",
		"go.work": Other, "vendor/modules.txt": Other, ".env": Other, ".dagger/x": Other,
	} {
		files := small()
		files[file] = "another text"
		if got := strings.Join(changed(before, checkout(t, files)), " "); got != want {
			t.Errorf("%s: another %q, want %q", file, got, want)
		}
	}
}

// TestCheckoutMoved: a file that is gone, or lies elsewhere, is a change too.
func TestCheckoutMoved(t *testing.T) {
	before := checkout(t, small())
	files := small()
	files["ci/launcher/b.go"] = files["runtime/r.go"]
	delete(files, "runtime/r.go")
	if got := changed(before, checkout(t, files)); !slices.Equal(got, []string{"launcher.tree", "programs.tree"}) {
		t.Errorf("others are %q", got)
	}
}

// TestNoCheckout: one that lacks a part is not taken for a smaller one.
func TestNoCheckout(t *testing.T) {
	for _, gone := range []string{
		"debian.lock.json", "debian.sources.json", "mangos.toml", "modules/debian/keys/a.asc", "modules/kernel/config/base.config",
		"modules/image/tree/root/usr/lib/systemd/system/a.service",
	} {
		files := small()
		delete(files, gone)
		dir := t.TempDir()
		write(t, dir, files)
		if _, err := Checkout(t.Context(), dir); !errors.Is(err, ErrCheckout) {
			t.Errorf("without %s: %v", gone, err)
		}
	}
	dir, files := t.TempDir(), small()
	delete(files, "mangos.toml")
	write(t, dir, files)
	must(t, os.Symlink("README.md", filepath.Join(dir, "mangos.toml")))
	if _, err := Checkout(t.Context(), dir); !errors.Is(err, ErrCheckout) {
		t.Errorf("a link in the place of mangos.toml: %v", err)
	}
	if _, err := Checkout(t.Context(), filepath.Join(dir, "README.md")); err == nil {
		t.Error("a file is a checkout")
	}
}

// root is this checkout.
const root = "../.."

// TestThisCheckout: it has all parts, and what others have not is told.
func TestThisCheckout(t *testing.T) {
	list, err := Checkout(t.Context(), root)
	must(t, err)
	if len(list) < len(parts)-1 || !slices.Contains(list[len(parts)-2].Holds, "go.sum") {
		t.Errorf("its parts are %v", list)
	}
}

// TestNothingUncountedIsCompiled: no program takes a file that does not count into itself,
// and the pipeline compiles them from a source without such files.
func TestNothingUncountedIsCompiled(t *testing.T) {
	directive := regexp.MustCompile(`(?m)^\s*//go:embed (.*)$`)
	found := 0
	must(t, filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return err
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		below, err := filepath.Rel(root, filepath.Dir(file))
		for _, m := range directive.FindAllStringSubmatch(string(text), -1) {
			for _, name := range strings.Fields(m[1]) {
				found++
				if !counts(path.Join(below, name)) || strings.ContainsAny(name, "*?[") {
					t.Errorf("%s embeds %s: whether that counts is not known", file, name)
				}
			}
		}
		return err
	}))
	if found == 0 {
		t.Error("no program embeds anything: nothing was looked at")
	}
	text, err := os.ReadFile(filepath.Join(root, "ci/main.go"))
	must(t, err)
	if want := `"**/*.md", "**/*_test.go", "**/testdata"]` + "\n\tsource *dagger.Directory"; !strings.Contains(string(text), want) {
		t.Errorf("ci/main.go does not leave out of the source of programs what does not count: %s", want)
	}
}
