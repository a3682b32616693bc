package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"go/format"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// module is a Go module.
type module struct {
	dir     string
	files   []string // its Go files
	dagger  bool     // a Dagger module, of whose code Dagger generates a part
	partial bool     // that part is not here
}

// lintAll looks at the modules in and below folder and reports to out. With whole, a
// module of which a part is missing is a fault.
func lintAll(ctx context.Context, folder string, whole bool, out io.Writer) (failed bool, err error) {
	modules, err := find(folder)
	if err != nil {
		return false, fmt.Errorf("find modules: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return false, fmt.Errorf("find this program: %w", err)
	}
	good, bad := 0, 0
	count := func(ok bool) {
		if ok {
			good++
		} else {
			bad++
		}
	}
	for _, m := range modules {
		ok, err := m.formatted(out)
		if err != nil {
			return false, fmt.Errorf("look at the form of %s: %w", m.dir, err)
		}
		count(ok)
		if m.partial {
			fmt.Fprintf(out, "%s: only its form was looked at: Dagger has not generated its code here\n", m.dir)
			if whole {
				bad++
			}
			continue
		}
		if len(m.files) == 0 {
			continue
		}
		tags, err := m.tags()
		if err != nil {
			return false, fmt.Errorf("find build tags of %s: %w", m.dir, err)
		}
		tagged := "-tags=" + strings.Join(tags, ",")
		for _, flags := range [][]string{{tagged}, {tagged, "-vettool=" + self}} {
			if ok, err = m.vetted(ctx, out, flags...); err != nil {
				return false, fmt.Errorf("vet %s: %w", m.dir, err)
			}
			count(ok)
		}
	}
	if good+bad == 0 {
		return false, fmt.Errorf("no Go module in or below %s", folder)
	}
	fmt.Fprintf(out, "%d passed, %d failed\n", good, bad)
	return bad > 0, nil
}

var daggerModule = regexp.MustCompile(`(?m)^module dagger/`)

// generatedFile is in each Dagger module whose code is whole.
const generatedFile = "dagger.gen.go"

// find returns the modules in and below folder. Generated code of Dagger modules and
// what the go command leaves out belong to none.
func find(folder string) ([]*module, error) {
	var modules []*module
	owner := map[string]*module{} // by folder
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !entry.IsDir() {
			m := owner[filepath.Dir(path)]
			if m != nil && strings.HasSuffix(path, ".go") && entry.Name() != generatedFile {
				m.files = append(m.files, path)
			}
			return nil
		}
		m := owner[filepath.Dir(path)]
		if path != folder && entry.Name() != ".dagger" && strings.ContainsAny(entry.Name()[:1], "._") ||
			entry.Name() == "testdata" || m != nil && m.dagger && entry.Name() == "internal" {
			return fs.SkipDir
		}
		text, err := os.ReadFile(filepath.Join(path, "go.mod"))
		if err == nil {
			m = &module{dir: path, dagger: daggerModule.Match(text)}
			_, err := os.Stat(filepath.Join(path, generatedFile))
			m.partial = m.dagger && err != nil
			modules = append(modules, m)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		owner[path] = m
		return nil
	})
	return modules, err
}

// formatted reports whether all files look as gofmt writes them.
func (m *module) formatted(out io.Writer) (bool, error) {
	good := true
	for _, file := range m.files {
		text, err := os.ReadFile(file)
		if err != nil {
			return false, err
		}
		want, err := format.Source(text)
		switch {
		case err != nil:
			fmt.Fprintf(out, "%s: %v\n", file, err)
		case !bytes.Equal(text, want):
			fmt.Fprintf(out, "%s: not formatted: run gofmt -w on it\n", file)
		default:
			continue
		}
		good = false
	}
	return good, nil
}

// packages returns the patterns of the module's packages: of a Dagger module, those with
// a file that is not generated.
func (m *module) packages() []string {
	if !m.dagger {
		return []string{"./..."}
	}
	folders := map[string]bool{}
	for _, file := range m.files {
		folders["."+strings.TrimPrefix(filepath.Dir(file), m.dir)] = true
	}
	return slices.Sorted(maps.Keys(folders))
}

// vetted reports whether `go vet` finds nothing in the code, with a tool or with the
// one of its own.
func (m *module) vetted(ctx context.Context, out io.Writer, flags ...string) (bool, error) {
	cmd := exec.CommandContext(ctx, "go", slices.Concat([]string{"vet"}, flags, m.packages())...)
	cmd.Dir = m.dir
	cmd.Stdout, cmd.Stderr = out, out
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && ctx.Err() == nil {
		return false, nil
	}
	return err == nil, err
}
