package sourceid

import (
	"debug/buildinfo"
	"encoding/hex"
	"errors"
	"fmt"
	"go/build"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
)

// Limits of a program's source.
const (
	maxGoMod    = 1 << 20
	maxPackages = 4096
)

// ErrProgram: a folder does not have what a program was compiled from.
var ErrProgram = errors.New("not the source of the program")

// Program is the source that a Go program was compiled from, as far as its own module
// goes: go.mod, go.sum, and of each package of the module that is linked into it the files
// that the compiler was given, in their places. It compiles to the program by itself, with
// the toolchain that go.mod and the modules that go.sum names.
type Program struct {
	// Files are the files' paths below the module's folder, sorted.
	Files []string
	// Tree is the tree of these files and no others, none of them executable: no compiler
	// looks at that, and a copy of a checkout may have lost it.
	Tree Tree
}

// ReadProgram reads the source of a program below dir, the folder of its module. What it
// depends on is what the program says of its build and the files: no state of the
// machine, or of a repository that the folder may be a checkout of.
func ReadProgram(dir string, info *buildinfo.BuildInfo) (*Program, error) {
	r := programReader{dir: dir, module: info.Main.Path, context: buildContext(info), files: map[string]bool{"go.mod": true, "go.sum": true}}
	p, err := r.read(info.Path)
	if err != nil {
		return nil, fmt.Errorf("read source of the program %.200q: %w", info.Path, err)
	}
	return p, nil
}

// buildContext chooses files as the program's compilation did.
func buildContext(info *buildinfo.BuildInfo) build.Context {
	c := build.Default
	c.Compiler, c.CgoEnabled, c.BuildTags, c.UseAllFiles = "gc", false, nil, false
	for _, s := range info.Settings {
		switch s.Key {
		case "GOOS":
			c.GOOS = s.Value
		case "GOARCH":
			c.GOARCH = s.Value
		case "CGO_ENABLED":
			c.CgoEnabled = s.Value == "1"
		case "-tags":
			c.BuildTags = strings.Split(s.Value, ",")
		}
	}
	return c
}

// programReader collects the files of a program's packages.
type programReader struct {
	dir, module string
	context     build.Context
	files       map[string]bool
}

func (r *programReader) read(program string) (*Program, error) {
	if err := r.checkModule(); err != nil {
		return nil, err
	}
	seen := map[string]bool{program: true}
	for queue := []string{program}; len(queue) > 0; queue = queue[1:] {
		imports, err := r.pkg(queue[0])
		if err != nil {
			return nil, err
		}
		for _, name := range imports {
			if _, own := r.below(name); own && !seen[name] {
				seen[name] = true
				queue = append(queue, name)
			}
		}
		if len(seen) > maxPackages {
			return nil, fmt.Errorf("%w: it has more than %d packages", ErrProgram, maxPackages)
		}
	}
	return r.tree()
}

// checkModule makes sure that the folder is the one of the program's module.
func (r *programReader) checkModule() error {
	f, err := os.Open(filepath.Join(r.dir, "go.mod"))
	if err != nil {
		return err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxGoMod))
	if err != nil {
		return err
	}
	if got := modfile.ModulePath(text); got == "" || got != r.module {
		return fmt.Errorf("%w: the folder %s is of the module %.200q, the program of %.200q", ErrProgram, r.dir, got, r.module)
	}
	return nil
}

// below is the folder of a package of the module, below the module's.
func (r *programReader) below(pkg string) (string, bool) {
	if pkg == r.module {
		return ".", true
	}
	rest, ok := strings.CutPrefix(pkg, r.module+"/")
	return rest, ok && fs.ValidPath(rest)
}

// pkg takes the files of a package of the module, and returns what it imports.
func (r *programReader) pkg(name string) ([]string, error) {
	below, ok := r.below(name)
	if !ok {
		return nil, fmt.Errorf("%w: the package %.200q is not of the module %.200q", ErrProgram, name, r.module)
	}
	p, err := r.context.ImportDir(filepath.Join(r.dir, filepath.FromSlash(below)), 0)
	if err != nil {
		return nil, fmt.Errorf("package %.200q: %w: %w", name, ErrProgram, err)
	}
	for _, list := range [][]string{p.GoFiles, p.CgoFiles, p.CFiles, p.CXXFiles, p.HFiles, p.FFiles, p.SFiles, p.SwigFiles, p.SwigCXXFiles, p.SysoFiles} {
		for _, file := range list {
			r.files[path.Join(below, file)] = true
		}
	}
	for _, pattern := range p.EmbedPatterns {
		if err := r.embedded(below, pattern); err != nil {
			return nil, fmt.Errorf("package %.200q: embedded %.200q: %w", name, pattern, err)
		}
	}
	return p.Imports, nil
}

// embedded takes the files that a pattern of go:embed means.
func (r *programReader) embedded(below, pattern string) error {
	pattern, all := strings.CutPrefix(pattern, "all:")
	tree := os.DirFS(filepath.Join(r.dir, filepath.FromSlash(below)))
	names, err := fs.Glob(tree, pattern)
	if err != nil {
		return err
	}
	if len(names) == 0 {
		return fmt.Errorf("%w: no file is there", ErrProgram)
	}
	for _, top := range names {
		err := fs.WalkDir(tree, top, func(name string, e fs.DirEntry, err error) error {
			hidden := name != top && !all && strings.ContainsAny(path.Base(name)[:1], "._")
			switch {
			case err != nil:
				return err
			case hidden && e.IsDir():
				return fs.SkipDir
			case !hidden && !e.IsDir():
				r.files[path.Join(below, name)] = true
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// tree makes the tree of the files that were found.
func (r *programReader) tree() (*Program, error) {
	p := &Program{Files: slices.Sorted(maps.Keys(r.files))}
	b := treeReader{root: newFolder()}
	for _, name := range p.Files {
		n, err := readNode(filepath.Join(r.dir, filepath.FromSlash(name)))
		if err == nil {
			err = b.put(name, n)
		}
		if err != nil {
			return nil, err
		}
	}
	id := b.root.hash()
	p.Tree.ID = hex.EncodeToString(id[:])
	return p, nil
}

// readNode reads a regular file.
func readNode(name string) (*node, error) {
	st, err := os.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: %s is not a regular file", ErrProgram, name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	n := &node{mode: "100644"}
	n.id, err = blob(f, st.Size())
	return n, err
}
