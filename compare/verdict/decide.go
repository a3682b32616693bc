package verdict

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/mastercard/mangos/compare/evidence"
	"github.com/mastercard/mangos/compare/policy"
	"github.com/mastercard/mangos/compare/repository"
)

// readers is how many folders are read at the same time.
const readers = 8

// Decide reads the folders and decides. An error means that nothing could be
// decided: there is evidence of several releases, or reading was broken off. No
// evidence is inconclusive. Evidence that does not verify is no error, but an outcome.
func Decide(ctx context.Context, folders []*repository.Folder, o Options) (*Verdict, error) {
	release, err := oneRelease(folders, o.Release)
	if err != nil {
		return nil, fmt.Errorf("verdict: %w", err)
	}
	v := &Verdict{
		Format: Format, Release: release, At: o.At.UTC().Format(time.RFC3339),
		Policy: o.Policy.SHA256, Organisations: o.Registry.SHA256,
		Reasons: []string{}, Evidence: []Evidence{}, Inputs: []Inputs{}, Artifacts: []Artifact{},
		Splits: []Split{}, Results: []Result{}, Statements: []Statement{},
	}
	j := &judge{Verdict: v, options: o}
	if err := j.read(ctx, folders); err != nil {
		return nil, fmt.Errorf("verdict: %w", err)
	}
	j.order = evidence.NewOrder(v.verified)
	j.group()
	j.tellOrder()
	j.artifacts()
	j.splits()
	j.results()
	j.conclude()
	return v, nil
}

// oneRelease is the release that is judged.
func oneRelease(folders []*repository.Folder, wanted string) (string, error) {
	names := map[string]bool{}
	for _, f := range folders {
		if wanted == "" || f.Release == wanted {
			names[f.Release] = true
		}
	}
	list := slices.Sorted(maps.Keys(names))
	switch len(list) {
	case 0:
		return wanted, nil // zero evidence is an outcome too
	case 1:
		return list[0], nil
	}
	return "", fmt.Errorf("%w: %q; name one (--release)", ErrReleases, list)
}

// judge is a verdict in the making.
type judge struct {
	*Verdict
	options Options
	order   *evidence.Order
	// builds are those that are judged, by organisation.
	builds map[string]*evidence.Evidence
}

// read verifies all folders of the release.
func (j *judge) read(ctx context.Context, folders []*repository.Folder) error {
	reader := &evidence.Reader{Registry: j.options.Registry, At: j.options.At, MaxAge: j.options.Policy.MaxAge}
	var wanted []*repository.Folder
	for _, f := range folders {
		if f.Release == j.Release {
			wanted = append(wanted, f)
		}
	}
	list, errs := make([]*evidence.Evidence, len(wanted)), make([]error, len(wanted))
	var group sync.WaitGroup
	slots := make(chan struct{}, readers)
	for i, f := range wanted {
		group.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			list[i], errs[i] = reader.Verify(ctx, f)
		})
	}
	group.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	byOrganisation := map[string][]*evidence.Evidence{}
	for i, f := range wanted {
		if errs[i] != nil {
			j.refuse(f, errs[i])
			continue
		}
		byOrganisation[f.Organisation] = append(byOrganisation[f.Organisation], list[i])
	}
	for _, id := range slices.Sorted(maps.Keys(byOrganisation)) {
		j.merge(byOrganisation[id])
	}
	return nil
}

func (j *judge) refuse(f *repository.Folder, err error) {
	e := Evidence{Organisation: f.Organisation, Place: f.Place, Status: Refused, Reason: err.Error()}
	if errors.Is(err, evidence.ErrUnknown) && j.options.Policy.Unknown == policy.Ignore {
		e.Status = Ignored
	}
	if o := j.options.Registry.Find(f.Organisation); o != nil {
		e.Name = o.Name
	}
	j.Evidence = append(j.Evidence, e)
}

// merge takes the evidence of one organisation from several places together: it
// is one vote. An organisation that tells different things is not believed.
func (j *judge) merge(list []*evidence.Evidence) {
	slices.SortStableFunc(list, func(x, y *evidence.Evidence) int { return cmp.Compare(len(y.Files), len(x.Files)) })
	best := list[0]
	for _, e := range list[1:] {
		if e.Build == nil || best.Build == nil || sameStory(e.Build, best.Build) {
			continue
		}
		for _, of := range [][2]*evidence.Evidence{{e, best}, {best, e}} {
			j.refuse(of[0].Folder, fmt.Errorf("%w: %s published another %s at %s",
				evidence.ErrBroken, e.Organisation, evidence.BuildFile, of[1].Folder.Place))
		}
		return
	}
	j.verified = append(j.verified, best)
	for _, name := range slices.Sorted(maps.Keys(best.Files)) {
		j.Statements = append(j.Statements, Statement{best.Organisation, name, best.Folder.Place, best.Files[name]})
	}
}

func sameStory(a, b *evidence.Build) bool {
	return a.InputsDigest() == b.InputsDigest() && evidence.ArtifactsDigest(a) == evidence.ArtifactsDigest(b)
}

// group sorts the builds by their inputs. The largest group is judged.
func (j *judge) group() {
	groups := map[string]*Inputs{}
	first := map[string]*evidence.Build{}
	for _, e := range j.verified {
		if e.Build == nil {
			continue
		}
		digest := e.Build.InputsDigest()
		if groups[digest] == nil {
			groups[digest], first[digest] = &Inputs{SHA256: digest}, e.Build
		}
		groups[digest].Organisations = append(groups[digest].Organisations, e.Organisation)
	}
	for _, digest := range slices.Sorted(maps.Keys(groups)) {
		j.Inputs = append(j.Inputs, *groups[digest])
	}
	slices.SortStableFunc(j.Inputs, func(x, y Inputs) int { return cmp.Compare(len(y.Organisations), len(x.Organisations)) })
	j.builds = map[string]*evidence.Evidence{}
	for i := range j.Inputs {
		g := &j.Inputs[i]
		if i > 0 {
			g.Differences = evidence.DifferentInputs(first[j.Inputs[0].SHA256], first[g.SHA256])
		}
		for _, e := range j.verified {
			if i == 0 && slices.Contains(g.Organisations, e.Organisation) {
				j.builds[e.Organisation] = e
			}
		}
	}
}

// tellOrder writes down the evidence that was verified, and who committed before
// whom.
func (j *judge) tellOrder() {
	var revealed []string
	for _, e := range j.verified {
		if e.Build != nil {
			revealed = append(revealed, e.Organisation)
		}
	}
	for _, e := range j.verified {
		t := Evidence{
			Organisation: e.Organisation, Name: j.options.Registry.Find(e.Organisation).Name, Place: e.Folder.Place,
			Status: Committed, Key: e.Key, HasCommitted: e.Commitment != nil, HasRevealed: e.Reveal != nil,
		}
		if b := e.Build; b != nil {
			t.Status, t.Builder, t.Finished, t.Inputs, t.Machine = NotComparable, b.Builder, b.Finished.UTC().Format(time.RFC3339), b.InputsDigest(), &b.Machine
			if j.builds[e.Organisation] != nil {
				t.Status = Counted
			}
			for _, id := range revealed {
				switch {
				case id == e.Organisation:
				case j.order.Before(e.Organisation, id):
					t.Before = append(t.Before, id)
				default:
					t.After = append(t.After, id)
				}
			}
		}
		j.Evidence = append(j.Evidence, t)
	}
	slices.SortStableFunc(j.Evidence, func(x, y Evidence) int { return cmp.Compare(x.Organisation, y.Organisation) })
}
