package verdict

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mastercard/mangos/compare/evidence"
	"github.com/mastercard/mangos/compare/lineage"
	"github.com/mastercard/mangos/compare/policy"
)

// artifacts decides of each artifact that any of the judged builds tells of.
func (j *judge) artifacts() {
	clusters := map[string]map[string][]string{} // by artifact and digest
	for _, id := range slices.Sorted(maps.Keys(j.builds)) {
		for _, i := range j.builds[id].Build.Artifacts {
			if clusters[i.Name] == nil {
				clusters[i.Name] = map[string][]string{}
			}
			clusters[i.Name][i.SHA256] = append(clusters[i.Name][i.SHA256], id)
		}
	}
	// Most artifacts have the same clusters: votes are counted once for each.
	votes := map[string][]string{}
	count := func(list []string) []string {
		if j.options.Policy.Commitment != policy.Required {
			return list
		}
		key := strings.Join(list, " ")
		if _, ok := votes[key]; !ok {
			votes[key] = j.order.Votes(list)
			slices.Sort(votes[key])
		}
		return votes[key]
	}
	for _, name := range slices.Sorted(maps.Keys(clusters)) {
		a := Artifact{Name: name, Kind: evidence.Kind(name), Clusters: []Cluster{}}
		a.Threshold = j.options.Policy.Threshold(a.Kind)
		for digest, list := range clusters[name] {
			a.Clusters = append(a.Clusters, Cluster{digest, list, count(list)})
		}
		slices.SortFunc(a.Clusters, func(x, y Cluster) int {
			return cmp.Or(cmp.Compare(len(y.Votes), len(x.Votes)), cmp.Compare(len(y.Organisations), len(x.Organisations)), cmp.Compare(x.SHA256, y.SHA256))
		})
		j.decide(&a)
		j.Artifacts = append(j.Artifacts, a)
	}
	// What needs a reader's eye comes first, and packages last.
	rank := func(a Artifact) int {
		return slices.Index([]Outcome{Differs, Inconclusive, Reproduced}, a.Outcome)
	}
	slices.SortStableFunc(j.Artifacts, func(x, y Artifact) int {
		return cmp.Or(cmp.Compare(slices.Index(policy.Kinds, x.Kind), slices.Index(policy.Kinds, y.Kind)), cmp.Compare(rank(x), rank(y)))
	})
}

// decide looks at the cluster with the most votes, and whether it is the only
// one.
func (j *judge) decide(a *Artifact) {
	best := a.Clusters[0]
	switch {
	case len(a.Clusters) > 1:
		a.Outcome = Differs
	case len(best.Votes) >= a.Threshold && len(j.missing(best)) == 0:
		a.Outcome = Reproduced
	default:
		a.Outcome = Inconclusive
	}
	if len(best.Votes) < a.Threshold {
		a.Reason = tooFew(len(best.Votes), a.Threshold)
		if n := len(best.Organisations) - len(best.Votes); n > 0 {
			a.Reason += fmt.Sprintf("; %d more may have copied", n)
		}
	} else if list := j.missing(best); len(list) > 0 {
		a.Reason = "must agree: " + strings.Join(list, ", ")
	}
}

func tooFew(votes, threshold int) string {
	return fmt.Sprintf("%d of %d needed agree", votes, threshold)
}

// missing are the organisations that the policy requires and that are not among
// those of the cluster.
func (j *judge) missing(c Cluster) []string {
	var list []string
	for _, id := range j.options.Policy.Required {
		if !slices.Contains(c.Organisations, id) {
			list = append(list, id)
		}
	}
	return list
}

// splits finds, for each group of organisations with the same results, at which
// components it parts from the first group.
func (j *judge) splits() {
	groups := map[string][]string{}
	for _, id := range slices.Sorted(maps.Keys(j.builds)) {
		key := evidence.ArtifactsDigest(j.builds[id].Build)
		groups[key] = append(groups[key], id)
	}
	keys := slices.SortedFunc(maps.Keys(groups), func(x, y string) int {
		return cmp.Or(cmp.Compare(len(groups[y]), len(groups[x])), cmp.Compare(groups[x][0], groups[y][0]))
	})
	for _, key := range keys[min(1, len(keys)):] {
		a, b := groups[keys[0]], groups[key]
		s := Split{A: a, B: b, Components: []lineage.Outcome{}}
		for _, o := range lineage.Compare(j.builds[a[0]].Build.Side(), j.builds[b[0]].Build.Side()) {
			if o.State != lineage.Same {
				s.Components = append(s.Components, o)
			}
		}
		slices.SortStableFunc(s.Components, func(x, y lineage.Outcome) int {
			order := []lineage.State{lineage.Culprit, lineage.OneSide, lineage.Follows}
			return cmp.Compare(slices.Index(order, x.State), slices.Index(order, y.State))
		})
		j.Splits = append(j.Splits, s)
	}
}

// results lists what organisations signed of each other's builds.
func (j *judge) results() {
	builds := map[string]*evidence.Evidence{}
	for _, e := range j.verified {
		builds[e.Organisation] = e
	}
	for _, e := range j.verified {
		if e.Results == nil {
			continue
		}
		for _, x := range e.Results.List {
			r := Result{By: e.Organisation, Of: x.Organisation, Verdict: Reproduced, Differs: x.Differs}
			switch {
			case x.Inputs:
				r.Verdict = OtherInputs
			case len(x.Differs) > 0:
				r.Verdict = Differs
			}
			other := builds[x.Organisation]
			r.Current = other != nil && other.Files[evidence.BuildFile] == x.Build
			j.Results = append(j.Results, r)
		}
	}
}

// conclude takes the outcome of the whole from its parts, the worst first.
func (j *judge) conclude() {
	found := map[Outcome]int{}
	for _, a := range j.Artifacts {
		found[a.Outcome]++
	}
	for _, e := range j.Evidence {
		if e.Status == Refused {
			found[Unverified]++
		}
	}
	for _, r := range j.Results {
		if r.Current && j.contradicts(r) {
			found[Unverified]++
			j.Reasons = append(j.Reasons, fmt.Sprintf("%s signed of the build of %s what its own statement contradicts", r.By, r.Of))
		}
	}
	if len(j.Inputs) > 1 {
		found[OtherInputs] = len(j.Inputs) - 1
	}
	if len(j.Artifacts) == 0 {
		found[Inconclusive]++
		j.Reasons = append(j.Reasons, "nobody's build is verified: nothing is known of the release")
	}
	j.Outcome = Reproduced
	for _, o := range []Outcome{Differs, Unverified, OtherInputs, Inconclusive} {
		if found[o] > 0 {
			j.Outcome = o
			break
		}
	}
	j.ExitCode = j.Outcome.ExitCode()
	j.reasons(found)
}

func (j *judge) reasons(found map[Outcome]int) {
	add := func(n int, one, many string) {
		if n == 1 {
			j.Reasons = append(j.Reasons, "1 "+one)
		} else if n > 1 {
			j.Reasons = append(j.Reasons, fmt.Sprintf("%d %s", n, many))
		}
	}
	add(found[Differs], "artifact differs", "artifacts differ")
	add(found[Unverified], "piece of evidence does not verify", "pieces of evidence do not verify")
	add(found[OtherInputs], "group of organisations built from other inputs", "groups of organisations built from other inputs")
	if len(j.Artifacts) > 0 {
		add(found[Inconclusive], "artifact is inconclusive: "+j.why(), "artifacts are inconclusive: "+j.why())
	}
}

// why is the reason of the first artifact that is inconclusive.
func (j *judge) why() string {
	for _, a := range j.Artifacts {
		if a.Outcome == Inconclusive {
			return a.Reason
		}
	}
	return ""
}

// contradicts tells that a signed result is not what the two builds say.
func (j *judge) contradicts(r Result) bool {
	a, b := j.builds[r.By], j.builds[r.Of]
	if a == nil || b == nil {
		return false
	}
	same := evidence.ArtifactsDigest(a.Build) == evidence.ArtifactsDigest(b.Build)
	return same != (r.Verdict == Reproduced)
}
