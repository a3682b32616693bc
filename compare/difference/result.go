package difference

import (
	"fmt"
	"slices"
	"sort"

	"github.com/mastercard/mangos/compare/cause"
	"github.com/mastercard/mangos/compare/component"
)

// Result is what a comparison found.
type Result struct {
	// Findings, the most telling first.
	Findings []Finding `json:"findings"`
	// Counts of all findings by class, also of those that are not kept.
	Counts map[cause.Class]int `json:"counts"`
	// Total counts all findings.
	Total int `json:"total"`
	// Stopped says that the comparison ended at the first cause.
	Stopped bool `json:"stopped,omitempty"`

	max      int
	all      int // findings, also those that are told already
	causes   int // of those, findings that are not derived
	told     int // findings that are not derived and told
	unsigned int // of those, findings outside of what is signed
	versions bool
	seen     map[string][][]Step // what is told, with the paths to it
}

func newResult(limit int) *Result {
	return &Result{Counts: map[cause.Class]int{}, max: limit, seen: map[string][][]Step{}}
}

// Same reports whether nothing differs.
func (r *Result) Same() bool { return r.Total == 0 }

// OnlySigned reports whether all that differs belongs to what organisations
// sign: no dissent.
func (r *Result) OnlySigned() bool { return r.Total > 0 && r.told > 0 && r.unsigned == 0 }

func (r *Result) add(f Finding) {
	r.all++
	if f.Class != cause.Derived {
		r.causes++
	}
	if r.known(f) {
		return
	}
	r.Total++
	r.Counts[f.Class]++
	if f.Class != cause.Derived {
		r.told++
		if !f.Signed {
			r.unsigned++
		}
	}
	// Twice the limit is kept while the walk goes on, then the best half.
	if len(r.Findings) >= 2*r.max {
		r.sort()
		r.Findings = r.Findings[:r.max]
	}
	r.Findings = append(r.Findings, f)
}

// known reports whether the same is told already. A release holds the same things
// several times: the root file system in the disk image and by itself, the kernel
// in the unified image. What differs in one of them differs in all.
func (r *Result) known(f Finding) bool {
	key := fmt.Sprintf("%q %q %q %q %q %v", f.Class, f.What, f.A, f.B, f.Only, f.Ranges)
	for _, path := range r.seen[key] {
		if sameWithin(path, f.Path) {
			return true
		}
	}
	if len(r.seen) < 2*r.max {
		r.seen[key] = append(r.seen[key], f.Path)
	}
	return false
}

// sameWithin reports whether one of the paths, without what holds the artifact,
// is the end of the other.
func sameWithin(a, b []Step) bool {
	if x, y := artifacts(a), artifacts(b); len(x) == 0 || len(y) == 0 || slices.Equal(x, y) {
		return false
	}
	a, b = inner(a), inner(b)
	n := min(len(a), len(b))
	return slices.Equal(a[len(a)-n:], b[len(b)-n:])
}

// artifacts are the steps down to the artifact, none if there is none.
func artifacts(path []Step) []Step {
	n := slices.IndexFunc(path, func(s Step) bool { return s.Kind == component.Artifact })
	return path[:n+1]
}

// inner are the steps below the artifact and what is decompressed of it.
func inner(path []Step) []Step {
	path = path[len(artifacts(path)):]
	for len(path) > 0 && path[0].Kind == component.Member && path[0].Name == "content" {
		path = path[1:]
	}
	return path
}

// finish sorts what was found. What only follows from signatures belongs to
// what is signed itself.
func (r *Result) finish(stopped bool) {
	r.Stopped = stopped
	if r.OnlySigned() {
		for n := range r.Findings {
			r.Findings[n].Signed = true
		}
	}
	r.sort()
	if len(r.Findings) > r.max {
		r.Findings = r.Findings[:r.max]
	}
}

func (r *Result) sort() {
	sort.SliceStable(r.Findings, func(i, j int) bool {
		a, b := &r.Findings[i], &r.Findings[j]
		if a.Signed != b.Signed {
			return b.Signed
		}
		if x, y := a.Class.Rank(), b.Class.Rank(); x != y {
			return x < y
		}
		// A package as a whole says more than one of its files.
		if x, y := a.File() == "", b.File() == ""; x != y && a.Class == cause.Version {
			return x
		}
		return false
	})
}
