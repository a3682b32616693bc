// Package rebuild judges a second build of the same inputs: that it took place,
// in another world, and that what it made is the same, byte for byte.
//
// That it took place is shown by the traces that its steps left (see
// modules/sandbox/trace): each file of the second build must be what one of these
// steps made, and each input of a step must be what another of them made, or be
// of those that a second build is given. Files and trees are known by their
// content alone, so that no name, cache or order has to be trusted.
package rebuild

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/mastercard/mangos/attest/tree"
	"github.com/mastercard/mangos/compare/checklist"
	"github.com/mastercard/mangos/compare/explanation"
	"github.com/mastercard/mangos/compare/side"
	"github.com/mastercard/mangos/modules/sandbox/trace"
)

// Rebuild is a second build beside the first.
type Rebuild struct {
	// First and Second are folders with what the builds made. The files of one
	// stand in the other under the same names. A folder NAME.tree is one thing, in
	// which links, owners and modes count.
	First, Second string
	// Steps are the traces that the second build left, and Since is when it was
	// asked for: no step can have started earlier.
	Steps []trace.Step
	Since time.Time
	// Given names inputs of its steps that are the first build's, or nobody's:
	// paths as steps usually find them, with all that lies below.
	Given []string
}

// maxFiles bounds the files of one build.
const maxFiles = 10_000

// Check holds the second build against the first, and its steps against what a
// second build is. An error means that something could not be read.
func (r *Rebuild) Check(ctx context.Context) (*checklist.List, error) {
	l := &checklist.List{}
	r.times(l)
	r.worlds(l)
	r.inputs(l)
	if err := r.files(ctx, l); err != nil {
		return nil, fmt.Errorf("check second build: %w", err)
	}
	return l, nil
}

// times checks that the steps ran, and when.
func (r *Rebuild) times(l *checklist.List) {
	var early []string
	for i := range r.Steps {
		if s := &r.Steps[i]; s.Started.Before(r.Since) {
			early = append(early, fmt.Sprintf("%s (at %s)", title(s), s.Started.UTC().Format(time.DateTime)))
		}
	}
	asked := r.Since.UTC().Format(time.DateTime + " UTC")
	switch {
	case len(r.Steps) == 0:
		l.Fail("steps", "the second build did not run: none of its steps left a trace")
	case len(early) > 0:
		l.Fail("steps", "not of this build, for which was asked at %s: %s", asked, list(early))
	default:
		l.Pass("steps", "%d left a trace, all after %s, when the second build was asked for", len(r.Steps), asked)
	}
}

// title is what a step is called in reports.
func title(s *trace.Step) string {
	name := path.Base(s.Command[0])
	if len(s.Command) > 1 && !strings.HasPrefix(s.Command[1], "-") && !strings.Contains(s.Command[1], "/") {
		name += " " + s.Command[1]
	}
	return name
}

// made finds the step that made a file or tree with this content.
func (r *Rebuild) made(kind, digest string) *trace.Step {
	for i := range r.Steps {
		for _, item := range r.Steps[i].Results {
			if item.Kind == kind && item.SHA256 == digest {
				return &r.Steps[i]
			}
		}
	}
	return nil
}

// inputs checks where each step has its inputs from.
func (r *Rebuild) inputs(l *checklist.List) {
	for i := range r.Steps {
		s := &r.Steps[i]
		what := "inputs of " + title(s)
		given, made := map[string]bool{}, 0
		var strange []string
		for _, item := range s.Inputs {
			name, ok := r.given(item.Name)
			switch {
			case r.made(item.Kind, item.SHA256) != nil:
				made++
			case ok:
				given[name] = true
			default:
				strange = append(strange, item.Name)
			}
		}
		switch {
		case len(strange) > 0:
			l.Fail(what, "%s: not made by the second build: from a cache, or by a step that left no trace", list(strange))
		case len(s.Inputs) == 0:
			l.Fail(what, "none is known")
		default:
			text := fmt.Sprintf("%d made by the second build", made)
			if len(given) > 0 {
				text += "; given: " + strings.Join(slices.Sorted(maps.Keys(given)), ", ")
			}
			l.Pass(what, "%s", text)
		}
	}
}

// given returns the name in Given that an input falls under.
func (r *Rebuild) given(name string) (string, bool) {
	for _, g := range r.Given {
		if name == g || strings.HasPrefix(name, g+"/") {
			return g, true
		}
	}
	return "", false
}

// list joins names, the first few of them.
func list(names []string) string {
	const most = 5
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}

// files compares the two builds' files, and checks that the second's are its own.
func (r *Rebuild) files(ctx context.Context, l *checklist.List) error {
	first, err := walk(r.First)
	if err != nil {
		return err
	}
	second, err := walk(r.Second)
	if err != nil {
		return err
	}
	if len(first) == 0 {
		l.Fail("files", "the first build has none")
	}
	names := maps.Clone(first)
	maps.Copy(names, second)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		switch {
		case !second[name]:
			l.Fail(name, "the second build did not make it")
			continue
		case !first[name]:
			l.Fail(name, "only the second build made it")
			continue
		}
		compare := r.file
		if strings.HasSuffix(name, treeSuffix) {
			compare = r.tree
		}
		if err := compare(ctx, l, name); err != nil {
			return err
		}
	}
	return nil
}

// treeSuffix ends the name of a folder that is compared as one thing.
const treeSuffix = ".tree"

// tree compares one tree.
func (r *Rebuild) tree(ctx context.Context, l *checklist.List, name string) error {
	a, err := tree.Read(ctx, filepath.Join(r.First, name))
	if err != nil {
		return err
	}
	b, err := tree.Read(ctx, filepath.Join(r.Second, name))
	if err != nil {
		return err
	}
	// The folder itself belongs to who made it, not to what is in it.
	self := func(e tree.Entry) bool { return e.Path == "." }
	a, b = slices.DeleteFunc(a, self), slices.DeleteFunc(b, self)
	sumA, sumB := tree.Digest(a), tree.Digest(b)
	if sumA == sumB {
		l.Pass(name, "the same, %d entries, sha256 %s", len(b), sumB)
	} else {
		l.Fail(name, "differs: sha256 %s, the second time %s", sumA, sumB)
		l.Explain(differing(a, b))
	}
	r.origin(l, name, trace.Tree, sumB)
	return nil
}

// differing names the entries that are in one tree only, or not the same in both.
func differing(a, b []tree.Entry) string {
	lines := func(entries []tree.Entry) map[string]string {
		found := map[string]string{}
		for _, e := range entries {
			found[e.Path] = string(tree.Manifest([]tree.Entry{e}))
		}
		return found
	}
	first, second := lines(a), lines(b)
	all := maps.Clone(first)
	maps.Copy(all, second)
	var paths []string
	for p := range all {
		if first[p] != second[p] {
			paths = append(paths, p)
		}
	}
	slices.Sort(paths)
	return "  " + list(paths) + "\n"
}

// file compares one file.
func (r *Rebuild) file(ctx context.Context, l *checklist.List, name string) error {
	a, b := filepath.Join(r.First, name), filepath.Join(r.Second, name)
	sumA, _, err := tree.HashFile(a, false)
	if err != nil {
		return err
	}
	sumB, size, err := tree.HashFile(b, false)
	if err != nil {
		return err
	}
	if sumA == sumB {
		l.Pass(name, "the same, %d bytes, sha256 %s", size, sumA)
	} else {
		l.Fail(name, "differs: sha256 %s, the second time %s", sumA, sumB)
		details, err := explain(ctx, a, b)
		if err != nil {
			details = "cannot be explained: " + err.Error()
		}
		l.Explain(details)
	}
	r.origin(l, name, trace.File, sumB)
	return ctx.Err()
}

// origin wants a step of the second build to have made what has this digest.
func (r *Rebuild) origin(l *checklist.List, name, kind, digest string) {
	if s := r.made(kind, digest); s != nil {
		l.Pass(name, "made by `%s` of the second build, in %.1f s from %s", title(s), s.Ended.Sub(s.Started).Seconds(),
			s.Started.UTC().Format(time.TimeOnly+" UTC"))
	} else {
		l.Fail(name, "not made by the second build: from a cache, or by a step that left no trace")
	}
}

// explain says where and why two files differ.
func explain(ctx context.Context, pathA, pathB string) (string, error) {
	a, err := side.Open(ctx, pathA)
	if err != nil {
		return "", err
	}
	defer a.Close()
	b, err := side.Open(ctx, pathB)
	if err != nil {
		return "", err
	}
	defer b.Close()
	x, err := explanation.Explain(ctx, a, b, explanation.Options{})
	if err != nil {
		return "", err
	}
	var text strings.Builder
	err = explanation.Text{Limit: 10}.Write(&text, x)
	return text.String(), err
}

// walk lists the regular files and the trees below a folder. It holds nothing else but
// folders.
func walk(root string) (map[string]bool, error) {
	files := map[string]bool{}
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		isTree := d != nil && d.IsDir() && strings.HasSuffix(p, treeSuffix)
		if err != nil || d.IsDir() && !isTree {
			return err
		}
		if !d.IsDir() && !d.Type().IsRegular() {
			return fmt.Errorf("%s is no regular file", p)
		}
		if len(files) >= maxFiles {
			return errors.New("too many files")
		}
		name, err := filepath.Rel(root, p)
		files[filepath.ToSlash(name)] = true
		if isTree && err == nil {
			err = fs.SkipDir
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", root, err)
	}
	return files, nil
}
