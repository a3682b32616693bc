package trace

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/mastercard/mangos/attest/pipeline"
)

// stepName finds the steps that an origin names.
var stepName = regexp.MustCompile(`\bstep ([a-z0-9-]+)`)

// way is how something got into the image: from what was fetched or made of the thing
// itself, over no other branch.
type way struct {
	edges []pipeline.Edge
	// start is the step that made, or fetched, what the thing is of; empty where no
	// product is that by itself. These have the digests of wanted.
	start  string
	wanted []string
}

// way finds the way of what is in a part of the image.
func (r *Release) way(result *Result) way {
	part := result.Component
	if result.Path != "" && !result.Folder {
		part += ":" + result.Path
	}
	all := r.pipeline.Way(part)
	var named []string
	for _, m := range stepName.FindAllStringSubmatch(result.Origin, -1) {
		if slices.ContainsFunc(all, func(e pipeline.Edge) bool { return e.From == m[1] || e.To == m[1] }) {
			named = append(named, m[1])
		}
	}
	w := way{}
	switch {
	case result.Program != nil:
		w.start, w.wanted = "programs", []string{result.SHA256}
	case slices.Contains(named, "source"):
		w.start, w.wanted = "source", []string{result.SHA256}
	case result.Package != nil:
		w.start, w.wanted = r.fetching(part, all, named), []string{result.Package.SHA256}
	case result.Source != nil:
		w.start = r.fetching(part, all, named)
		for _, f := range result.Source.Files {
			w.wanted = append(w.wanted, f.SHA256)
		}
	}
	if w.start != "" {
		named = append(named, w.start)
	}
	w.edges = r.pipeline.Way(part, named...)
	return w
}

// fetching is the step that fetched packages which a part is made of; empty if they have
// no way to the steps that are named.
func (r *Release) fetching(part string, all []pipeline.Edge, named []string) string {
	for _, e := range all {
		if !strings.HasPrefix(e.Pattern, lockedFolder) {
			continue
		}
		if len(named) == 0 || slices.ContainsFunc(r.pipeline.Way(part, e.From), func(e pipeline.Edge) bool { return slices.Contains(named, e.To) }) {
			return e.From
		}
	}
	return ""
}

// lockedFolder is where steps have files of the distribution.
const lockedFolder = "locked/"

// names are the steps on the way, in the order in which they run.
func (w *way) names(p *pipeline.Pipeline) []string {
	on := map[string]bool{}
	for _, e := range w.edges {
		on[e.From], on[e.To] = true, true
	}
	var names []string
	for _, s := range p.Steps {
		if on[s.Name] {
			names = append(names, s.Name)
		}
	}
	return names
}

// connect holds what a step used against what an earlier one on the way made. It
// returns the name of a product that was used, and what is wrong.
func (w *way) connect(e pipeline.Edge, from, to *step) (used string, faults []string) {
	digests := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(to.inputs)) {
		source, ok := e.Source(name)
		made, has := from.products[source]
		switch {
		case !ok || !has:
		case made != to.inputs[name]:
			faults = append(faults, fmt.Sprintf("step %s used %s with SHA-256 %s, step %s made it with %s", e.To, name, short(to.inputs[name]), e.From, short(made)))
		default:
			digests[made] = true
			if used == "" && (e.From != w.start || slices.Contains(w.wanted, made)) {
				used = source
			}
		}
	}
	if len(digests) == 0 && len(faults) == 0 {
		faults = append(faults, fmt.Sprintf("step %s used nothing that step %s made", e.To, e.From))
	}
	if e.From == w.start && len(faults) == 0 {
		for _, digest := range w.wanted {
			if !digests[digest] {
				faults = append(faults, fmt.Sprintf("step %s used nothing with SHA-256 %s that step %s made", e.To, short(digest), e.From))
			}
		}
	}
	return used, faults
}
