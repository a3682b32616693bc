package difference

import (
	"sort"

	"github.com/mastercard/mangos/compare/cause"
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
	causes   int // findings that are not derived
	unsigned int // of those, findings outside of what is signed
	versions bool
}

func newResult(limit int) *Result {
	return &Result{Counts: map[cause.Class]int{}, max: limit}
}

// Same reports whether nothing differs.
func (r *Result) Same() bool { return r.Total == 0 }

// OnlySigned reports whether all that differs belongs to what organisations
// sign: no dissent.
func (r *Result) OnlySigned() bool { return r.Total > 0 && r.causes > 0 && r.unsigned == 0 }

func (r *Result) add(f Finding) {
	r.Total++
	r.Counts[f.Class]++
	if f.Class != cause.Derived {
		r.causes++
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
