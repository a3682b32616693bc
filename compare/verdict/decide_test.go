package verdict_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mastercard/mangos/compare/evidence"
	"github.com/mastercard/mangos/compare/evidencetest"
	"github.com/mastercard/mangos/compare/lineage"
	"github.com/mastercard/mangos/compare/organisation"
	"github.com/mastercard/mangos/compare/policy"
	"github.com/mastercard/mangos/compare/repository"
	"github.com/mastercard/mangos/compare/verdict"
)

// text is the verdict as it is printed, on one line.
func text(t *testing.T, v *verdict.Verdict) string {
	t.Helper()
	var out bytes.Buffer
	must(t, verdict.Text{All: true}.Write(&out, v))
	return strings.Join(strings.Fields(out.String()), " ")
}

// TestOutcomes changes one thing in the evidence of three that agree.
func TestOutcomes(t *testing.T) {
	for _, c := range []struct {
		name    string
		change  func(*scene)
		outcome verdict.Outcome
		code    int
		says    string
	}{
		{"all agree", func(*scene) {}, verdict.Reproduced, 0, "bzImage reproduced"},
		{"only one", func(s *scene) {
			must(s.t, os.RemoveAll(beta.Folder(s.dir)))
			must(s.t, os.RemoveAll(gamma.Folder(s.dir)))
		}, verdict.Inconclusive, 3, "1 of 2 needed agree"},
		{"dissent beside a met threshold", func(s *scene) {
			s.republish(func(b *evidence.Build) { evidencetest.Change(b, "bzImage") })
		}, verdict.Differs, 2, "culprit kernel made from the same; other: bzImage"},
		{"dissent in what follows", func(s *scene) {
			s.republish(func(b *evidence.Build) {
				evidencetest.Change(b, "root.erofs")
				evidencetest.Change(b, "roothash")
			})
		}, verdict.Differs, 2, "culprit root made from the same; other: root.erofs follows verity other: roothash; from other: root.erofs"},
		{"another lock", func(s *scene) {
			s.republish(func(b *evidence.Build) {
				b.Inputs[0].SHA256 = evidencetest.Digest("another lock")
				evidencetest.Change(b, "bzImage")
			})
		}, verdict.OtherInputs, 5, "debian.lock.json: " + evidencetest.Digest("another lock")[:12] + " instead of " + evidencetest.Digest("lock")[:12]},
		{"another parameter", func(s *scene) {
			s.republish(func(b *evidence.Build) { b.Parameters = map[string]string{"version": "1", "profile": "small"} })
		}, verdict.OtherInputs, 5, "parameter profile: small instead of none"},
		{"all from other inputs", func(s *scene) {
			s.policy = evidencetest.Policy(s.t, 1, "")
			for n, o := range []evidencetest.Organisation{alpha, beta, gamma} {
				o.Publish(s.t, o.Folder(s.dir), o.Build(func(b *evidence.Build) { b.Inputs[0].SHA256 = evidencetest.Digest(strings.Repeat("x", n)) }))
				must(s.t, os.Remove(filepath.Join(o.Folder(s.dir), evidence.RevealFile)))
			}
		}, verdict.OtherInputs, 5, "2 groups of organisations built from other inputs"},
		{"one requires more", func(s *scene) {
			s.policy = evidencetest.Policy(s.t, 2, `"required": ["alpha"]`)
			must(s.t, os.RemoveAll(alpha.Folder(s.dir)))
		}, verdict.Inconclusive, 3, "must agree: alpha"},
		{"a required one disagrees", func(s *scene) {
			s.policy = evidencetest.Policy(s.t, 2, `"required": ["gamma"]`)
			s.republish(func(b *evidence.Build) { evidencetest.Change(b, "bzImage") })
		}, verdict.Differs, 2, "must agree: gamma"},
		{"an artifact that one does not tell of", func(s *scene) {
			s.policy = evidencetest.Policy(s.t, 3, "")
			s.republish(func(b *evidence.Build) {
				b.Artifacts = b.Artifacts[1:]
				b.Components = b.Components[1:]
			})
		}, verdict.Inconclusive, 3, "bzImage inconclusive " + evidencetest.Digest("bzImage")[:12] + " 2 of 3"},
		{"an ignored stranger", func(s *scene) {
			s.registry = evidencetest.Registry(s.t, alpha, beta)
			s.policy = evidencetest.Policy(s.t, 2, `"unknownOrganisations": "ignore"`)
		}, verdict.Reproduced, 0, "gamma ignored: unknown organisation"},
		{"nobody but ignored strangers", func(s *scene) {
			s.registry = evidencetest.Registry(s.t, evidencetest.New("delta"))
			s.policy = evidencetest.Policy(s.t, 1, `"unknownOrganisations": "ignore"`)
		}, verdict.Inconclusive, 3, "nobody's build is verified: nothing is known of the release"},
		{"the same evidence in two places", func(s *scene) {
			elsewhere := s.t.TempDir()
			must(s.t, os.CopyFS(elsewhere, os.DirFS(s.dir)))
			s.places = append(s.places, elsewhere)
		}, verdict.Reproduced, 0, "3 of 2"},
		{"a commitment alone", func(s *scene) {
			must(s.t, os.Remove(s.file(evidence.BuildFile)))
			must(s.t, os.Remove(s.file(evidence.RevealFile)))
		}, verdict.Reproduced, 0, "gamma has committed, and not revealed yet: no vote"},
		{"a signed negative result", func(s *scene) {
			s.republish(func(b *evidence.Build) { evidencetest.Change(b, "bzImage") })
			s.result("alpha", "bzImage")
		}, verdict.Differs, 2, "gamma got something else than alpha: bzImage"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t)
			c.change(s)
			v := s.decide()
			if v.Outcome != c.outcome || v.ExitCode != c.code {
				t.Errorf("%s, exit code %d; want %s, %d", v.Outcome, v.ExitCode, c.outcome, c.code)
			}
			if got := text(t, v); !strings.Contains(got, c.says) {
				t.Errorf("it does not say %q:\n%s", c.says, got)
			}
		})
	}
}

// TestParrot: who publishes what another had revealed does not count beside it,
// and is seen.
func TestParrot(t *testing.T) {
	s := &scene{t: t, dir: t.TempDir(), registry: evidencetest.Registry(t, alpha, beta, gamma), policy: evidencetest.Policy(t, 2, ""), at: evidencetest.Now}
	s.places = []string{s.dir}
	alpha.Publish(t, alpha.Folder(s.dir), alpha.Build(nil))
	alpha.Reveal(t, s.dir) // nobody else had committed
	gamma.Publish(t, gamma.Folder(s.dir), gamma.Build(nil))
	gamma.Reveal(t, s.dir, alpha)

	v := s.decide()
	if v.Outcome != verdict.Inconclusive {
		t.Errorf("a parrot counts: %s", v.Outcome)
	}
	if got := text(t, v); !strings.Contains(got, "1 of 2 needed agree; 1 more may have copied") || !strings.Contains(got, "may have copied from alpha") {
		t.Errorf("the parrot is not seen:\n%s", got)
	}
	// A commitment that is made to look early is not the one that was seen.
	beta.Publish(t, beta.Folder(s.dir), beta.Build(func(b *evidence.Build) { b.Machine.Cores = 1 }))
	alpha.Reveal(t, s.dir, beta)
	if before := s.decide(); !slices.Contains(of(before, "beta").Before, "alpha") {
		t.Error("beta had committed before alpha revealed")
	}
	beta.Publish(t, beta.Folder(s.dir), beta.Build(nil))
	if v := s.decide(); slices.Contains(of(v, "beta").Before, "alpha") {
		t.Error("another commitment than the one that alpha saw counts as early")
	}
	// The reader may choose to count it, and is told.
	s.policy = evidencetest.Policy(t, 2, `"commitment": "shown"`)
	v = s.decide()
	if v.Outcome != verdict.Reproduced || !strings.Contains(text(t, v), "may have copied from alpha") {
		t.Errorf("%s:\n%s", v.Outcome, text(t, v))
	}
}

func of(v *verdict.Verdict, id string) verdict.Evidence {
	for _, e := range v.Evidence {
		if e.Organisation == id {
			return e
		}
	}
	return verdict.Evidence{}
}

// TestOneOrganisationTwoKeys: a second key is no second vote.
func TestOneOrganisationTwoKeys(t *testing.T) {
	s := newScene(t)
	must(t, os.RemoveAll(beta.Folder(s.dir)))
	must(t, os.RemoveAll(gamma.Folder(s.dir)))
	second := evidencetest.Organisation{ID: "alpha", Key: evidencetest.Key("second")}
	text := fmt.Sprintf(`{"format": "mangos-organisations-1", "organisations": [{"id": "alpha", "keys": [{"sha256": %q}, {"sha256": %q}]}]}`,
		alpha.KeyID(t), second.KeyID(t))
	var err error
	s.registry, err = organisation.Parse([]byte(text))
	must(t, err)
	elsewhere := t.TempDir()
	second.Publish(t, second.Folder(elsewhere), second.Build(nil))
	s.places = append(s.places, elsewhere)
	for _, rule := range []string{policy.Required, policy.Shown} {
		s.policy = evidencetest.Policy(t, 2, fmt.Sprintf(`"commitment": %q`, rule))
		v := s.decide()
		if v.ExitCode != 3 || len(v.Artifacts[0].Clusters[0].Votes) != 1 || len(v.Evidence) != 1 {
			t.Errorf("%s: %s: a second key gives a second vote: %+v", rule, v.Outcome, v.Artifacts)
		}
	}
}

func TestNothing(t *testing.T) {
	v, err := verdict.Decide(context.Background(), nil, verdict.Options{
		Registry: evidencetest.Registry(t, alpha), Policy: evidencetest.Policy(t, 1, ""), At: evidencetest.Now,
	})
	must(t, err)
	if v.Outcome != verdict.Inconclusive || v.ExitCode != 3 || len(v.Reasons) == 0 {
		t.Errorf("%s, exit code %d, %v", v.Outcome, v.ExitCode, v.Reasons)
	}
	if _, err := v.VSA(); err == nil {
		t.Error("a summary of nothing")
	}
}

func TestSeveralReleases(t *testing.T) {
	s := newScene(t)
	folders, err := repository.Find(context.Background(), s.dir, "", nil)
	must(t, err)
	other := *folders[0]
	other.Release = "mangos_2"
	o := verdict.Options{Registry: s.registry, Policy: s.policy, At: s.at}
	if _, err := verdict.Decide(context.Background(), append(folders, &other), o); !errors.Is(err, verdict.ErrReleases) {
		t.Errorf("got %v", err)
	}
	o.Release = evidencetest.Release
	if v, err := verdict.Decide(context.Background(), append(folders, &other), o); err != nil || v.Outcome != verdict.Reproduced {
		t.Errorf("one of them named: %v", err)
	}
}

// TestLeavingOutNeverHelps: whatever subset of the evidence is kept, the verdict
// is never better than with all of it, unless what is left out was refused, of
// other inputs, or dissent; and then the threshold must still be met.
func TestLeavingOutNeverHelps(t *testing.T) {
	s := newScene(t)
	s.policy = evidencetest.Policy(t, 3, "")
	if v := s.decide(); v.Outcome != verdict.Reproduced {
		t.Fatal(v.Reasons)
	}
	for _, o := range []evidencetest.Organisation{alpha, beta, gamma} {
		s := newScene(t)
		s.policy = evidencetest.Policy(t, 3, "")
		must(t, os.RemoveAll(o.Folder(s.dir)))
		if v := s.decide(); v.Outcome != verdict.Inconclusive {
			t.Errorf("without %s: %s", o.ID, v.Outcome)
		}
	}
}

func TestSplitNamesCulpritFirst(t *testing.T) {
	s := newScene(t)
	s.republish(func(b *evidence.Build) {
		evidencetest.Change(b, "root.erofs")
		evidencetest.Change(b, "roothash")
	})
	v := s.decide()
	if len(v.Splits) != 1 || len(v.Splits[0].Components) != 2 || v.Splits[0].Components[0].State != lineage.Culprit {
		t.Fatalf("%+v", v.Splits)
	}
	if b := v.Splits[0].B; len(b) != 1 || b[0] != "gamma" {
		t.Errorf("they part from %v", b)
	}
}
