package sourceid

import (
	"debug/buildinfo"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
)

// program lays out a module of which not everything belongs to its program.
func program(t *testing.T) (string, *buildinfo.BuildInfo) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"go.mod":             "module example.com/m\n\ngo 1.25\n",
		"go.sum":             "",
		"cmd/p/main.go":      "package main\n\nimport (\n\t_ \"os\"\n\n\t_ \"example.com/m/a\"\n)\n\nfunc main() {}\n",
		"cmd/p/main_test.go": "package main\n\nimport _ \"example.com/m/unused\"\n",
		"a/a.go":             "package a\n\nimport (\n\t_ \"embed\"\n\n\t_ \"example.com/m/a/b\"\n)\n\n//go:embed data text.txt\nvar X string\n",
		"a/a_windows.go":     "package a\n\nimport _ \"example.com/m/unused\"\n",
		"a/tagged.go":        "//go:build special\n\npackage a\n",
		"a/text.txt":         "text",
		"a/other.txt":        "of nobody",
		"a/data/x":           "x",
		"a/data/.hidden":     "hidden",
		"a/data/_d/y":        "hidden",
		"a/b/b.go":           "package b\n",
		"a/b/b_amd64.s":      "// empty\n",
		"unused/u.go":        "package unused\n",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir, &buildinfo.BuildInfo{
		Path: "example.com/m/cmd/p", Main: debug.Module{Path: "example.com/m"},
		Settings: []debug.BuildSetting{{Key: "GOOS", Value: "linux"}, {Key: "GOARCH", Value: "amd64"}, {Key: "CGO_ENABLED", Value: "0"}},
	}
}

// TestReadProgram: the tree is git's of the files that the program is compiled from, and
// of no others.
func TestReadProgram(t *testing.T) {
	dir, info := program(t)
	p, err := ReadProgram(dir, info)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"a/a.go", "a/b/b.go", "a/b/b_amd64.s", "a/data/x", "a/text.txt", "cmd/p/main.go", "go.mod", "go.sum"}
	if !slices.Equal(p.Files, want) {
		t.Errorf("files: got %q, want %q", p.Files, want)
	}
	git(t, dir, "init", "-q")
	git(t, dir, append([]string{"add", "--"}, want...)...)
	if tree := git(t, dir, "write-tree"); p.Tree.SWHID() != "swh:1:dir:"+tree {
		t.Errorf("got %s, git has %s", p.Tree.SWHID(), tree)
	}
	if err := os.Chmod(filepath.Join(dir, "a/a.go"), 0o755); err != nil {
		t.Fatal(err)
	}
	if again, err := ReadProgram(dir, info); err != nil || again.Tree != p.Tree {
		t.Errorf("with another mode: %+v, %v", again, err)
	}
	info.Settings = append(info.Settings, debug.BuildSetting{Key: "-tags", Value: "x,special"})
	if tagged, err := ReadProgram(dir, info); err != nil || !slices.Contains(tagged.Files, "a/tagged.go") || tagged.Tree == p.Tree {
		t.Errorf("with a tag: %+v, %v", tagged, err)
	}
}

// TestProgramChanges: whatever the compiler is given changes the tree, and nothing else.
func TestProgramChanges(t *testing.T) {
	for name, changes := range map[string]bool{
		"a/a.go": true, "a/b/b_amd64.s": true, "a/text.txt": true, "a/data/x": true, "go.sum": true, "go.mod": true,
		"a/other.txt": false, "a/data/.hidden": false, "unused/u.go": false, "cmd/p/main_test.go": false, ".git/HEAD": false,
	} {
		dir, info := program(t)
		git(t, dir, "init", "-q")
		before, err := ReadProgram(dir, info)
		if err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		f.WriteString("\n// more\n")
		f.Close()
		after, err := ReadProgram(dir, info)
		if err != nil || (after.Tree != before.Tree) != changes {
			t.Errorf("%s: %+v, then %+v, %v", name, before, after, err)
		}
	}
}

// TestProgramRefusals: a folder that lacks something, or is another module's, is not the
// source of the program.
func TestProgramRefusals(t *testing.T) {
	for name, change := range map[string]func(dir string, info *buildinfo.BuildInfo) error{
		"another module": func(_ string, info *buildinfo.BuildInfo) error {
			info.Main.Path, info.Path = "example.com/n", "example.com/n/cmd/p"
			return nil
		},
		"a package elsewhere":  func(_ string, info *buildinfo.BuildInfo) error { info.Path = "example.com/n/cmd/p"; return nil },
		"a package above":      func(_ string, info *buildinfo.BuildInfo) error { info.Path += "/../../.."; return nil },
		"a package less":       func(dir string, _ *buildinfo.BuildInfo) error { return os.RemoveAll(filepath.Join(dir, "a/b")) },
		"an embedded one less": func(dir string, _ *buildinfo.BuildInfo) error { return os.Remove(filepath.Join(dir, "a/text.txt")) },
		"a link": func(dir string, _ *buildinfo.BuildInfo) error {
			return errors.Join(os.Remove(filepath.Join(dir, "a/text.txt")), os.Symlink("other.txt", filepath.Join(dir, "a/text.txt")))
		},
	} {
		dir, info := program(t)
		if err := change(dir, info); err != nil {
			t.Fatal(err)
		}
		if p, err := ReadProgram(dir, info); !errors.Is(err, ErrProgram) {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
}

// TestCompiler holds the list of files against what the go command says of a program of
// this repository.
func TestCompiler(t *testing.T) {
	const name = "./runtime/cmd/gate"
	info := &buildinfo.BuildInfo{
		Path: "github.com/mastercard/mangos/runtime/cmd/gate", Main: debug.Module{Path: "github.com/mastercard/mangos"},
		Settings: []debug.BuildSetting{{Key: "GOOS", Value: "linux"}, {Key: "GOARCH", Value: "amd64"}, {Key: "CGO_ENABLED", Value: "0"}},
	}
	p, err := ReadProgram("../..", info)
	if err != nil {
		t.Fatal(err)
	}
	list := exec.Command("go", "list", "-deps", "-f",
		`{{if .Module}}{{if .Module.Main}}{{range .GoFiles}}{{$.Dir}}/{{.}}
{{end}}{{range .SFiles}}{{$.Dir}}/{{.}}
{{end}}{{range .EmbedFiles}}{{$.Dir}}/{{.}}
{{end}}{{end}}{{end}}`, name)
	list.Dir = "../.."
	list.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0")
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"go.mod", "go.sum"}
	for file := range strings.FieldsSeq(string(out)) {
		want = append(want, strings.TrimPrefix(file, root+"/"))
	}
	if slices.Sort(want); !slices.Equal(p.Files, want) {
		t.Errorf("got %q, the go command says %q", p.Files, want)
	}
}
