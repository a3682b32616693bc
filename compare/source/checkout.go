package source

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/mastercard/mangos/attest/tree"
)

// Part is a part of a checkout, and the SHA-256 that stands for it.
type Part struct {
	Name, SHA256 string
	// Holds are the names at the top of the checkout below which its files lie, sorted.
	Holds []string
}

// ErrCheckout: a folder that is no checkout of this repository.
var ErrCheckout = errors.New("no checkout")

// The parts of a checkout. A file is of the first part of which a pattern matches it,
// or a folder that it lies in.
var parts = []struct {
	name     string
	patterns []string
}{
	{"debian.lock.json", []string{"debian.lock.json"}},
	{"debian.sources.json", []string{"debian.sources.json"}},
	{"mangos.toml", []string{"mangos.toml"}},
	{"archive-keys.tree", []string{"modules/debian/keys"}},
	{"kernel-config.tree", []string{"modules/kernel/config"}},
	{"image-files.tree", []string{"modules/image/tree"}},
	{"launcher.tree", []string{"ci/dagger", "ci/engine", "ci/launcher"}},
	{"pipeline.tree", []string{"dagger.json", "ci", "modules/*/dagger.json", "modules/*/.dagger"}},
	{"programs.tree", []string{"go.mod", "go.sum", "attest", "compare", "format", "modules", "runtime"}},
	{Other, []string{"*"}},
}

// Other is the part of what nobody has said anything about: it may be what a build is
// made from.
const Other = "other.tree"

// unused is what no build reads: git's own, how tests are started and speed is measured,
// and what a build writes, the code that Dagger generates anew among it.
var unused = []string{
	".git", ".gitignore", ".ci", "ci/bench", "build",
	"ci/dagger.gen.go", "ci/internal", "modules/*/.dagger/dagger.gen.go", "modules/*/.dagger/internal",
}

// whole are folders of which a build takes every file, whatever its name.
var whole = []string{"modules/debian/keys", "modules/kernel/config", "modules/image/tree", "modules/*/.dagger"}

// Checkout stands for what of a checkout can change a build, part by part. All counts
// but what no build reads, and texts (*.md) and tests (*_test.go, testdata) outside of
// the folders that are taken whole: no program is compiled from those. A file that
// no part has been named for is in the part [Other], which is there for nothing else. A checkout that lacks any other part is an [ErrCheckout].
func Checkout(ctx context.Context, folder string) ([]Part, error) {
	entries, err := read(ctx, folder, func(top string) bool { return within(top, unused) })
	if err != nil {
		return nil, fmt.Errorf("read checkout: %w", err)
	}
	of := map[string][]tree.Entry{}
	for _, e := range entries {
		if counts(e.Path) {
			name := partOf(e.Path)
			of[name] = append(of[name], e)
		}
	}
	var list []Part
	for _, p := range parts {
		files := of[p.name]
		switch {
		case len(files) == 0 && p.name == Other:
			continue
		case len(files) == 0:
			return nil, fmt.Errorf("read checkout: %s: %w: it has no %s", folder, ErrCheckout, strings.Join(p.patterns, ", "))
		case strings.HasSuffix(p.name, FolderSuffix):
			list = append(list, Part{p.name, digest(files), tops(files)})
		case len(files) == 1 && files[0].Path == p.name && files[0].Type == 'f':
			list = append(list, Part{p.name, files[0].SHA256, tops(files)})
		default:
			return nil, fmt.Errorf("read checkout: %s: %w: %s is no file", folder, ErrCheckout, p.name)
		}
	}
	return list, nil
}

// tops are the names at the top.
func tops(files []tree.Entry) []string {
	var list []string
	for _, e := range files {
		top, _, _ := strings.Cut(e.Path, "/")
		list = append(list, top)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// counts tells whether the file of a checkout can change a build. The path is that below
// the checkout.
func counts(file string) bool {
	if within(file, unused) {
		return false
	}
	if within(file, whole) {
		return true
	}
	folders := strings.Split(file, "/")
	name := folders[len(folders)-1]
	return !strings.HasSuffix(name, ".md") && !strings.HasSuffix(name, "_test.go") && !slices.Contains(folders, "testdata")
}

func partOf(file string) string {
	for _, p := range parts {
		if within(file, p.patterns) {
			return p.name
		}
	}
	return Other
}

// within tells whether one of the patterns matches the path, or a folder that it lies in.
func within(file string, patterns []string) bool {
	names := strings.Split(file, "/")
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		n := strings.Count(pattern, "/") + 1
		if n > len(names) {
			return false
		}
		ok, err := path.Match(pattern, strings.Join(names[:n], "/"))
		return ok && err == nil
	})
}
