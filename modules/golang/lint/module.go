package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"go/format"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// module is a Go module.
type module struct {
	dir     string
	files   []string // its Go files
	partial bool     // its code is complete only where Dagger loads it
}

// lintAll looks at the modules in and below folder and reports to out.
func lintAll(ctx context.Context, folder string, out io.Writer) (failed bool, err error) {
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
		if m.partial || len(m.files) == 0 {
			continue
		}
		for _, flags := range [][]string{nil, {"-vettool=" + self}} {
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
			if m != nil && strings.HasSuffix(path, ".go") && entry.Name() != "dagger.gen.go" {
				m.files = append(m.files, path)
			}
			return nil
		}
		m := owner[filepath.Dir(path)]
		if path != folder && entry.Name() != ".dagger" && strings.ContainsAny(entry.Name()[:1], "._") ||
			entry.Name() == "testdata" || m != nil && m.partial && entry.Name() == "internal" {
			return fs.SkipDir
		}
		text, err := os.ReadFile(filepath.Join(path, "go.mod"))
		if err == nil {
			m = &module{dir: path, partial: daggerModule.Match(text)}
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

// vetted reports whether `go vet` finds nothing in the code, with a tool or with the
// one of its own.
func (m *module) vetted(ctx context.Context, out io.Writer, flags ...string) (bool, error) {
	cmd := exec.CommandContext(ctx, "go", append(append([]string{"vet"}, flags...), "./...")...)
	cmd.Dir = m.dir
	cmd.Stdout, cmd.Stderr = out, out
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && ctx.Err() == nil {
		return false, nil
	}
	return err == nil, err
}
