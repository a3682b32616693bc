package verdict_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mastercard/mangos/compare/evidence"
	"github.com/mastercard/mangos/compare/evidencetest"
	"github.com/mastercard/mangos/compare/organisation"
	"github.com/mastercard/mangos/compare/policy"
	"github.com/mastercard/mangos/compare/repository"
	"github.com/mastercard/mangos/compare/verdict"
)

var (
	alpha = evidencetest.New("alpha")
	beta  = evidencetest.New("beta")
	gamma = evidencetest.New("gamma")
)

// scene is three organisations that agree, until a test changes something.
type scene struct {
	t        *testing.T
	dir      string
	registry *organisation.Registry
	policy   *policy.Policy
	at       time.Time
	places   []string
}

func newScene(t *testing.T) *scene {
	s := &scene{
		t: t, dir: t.TempDir(), registry: evidencetest.Registry(t, alpha, beta, gamma),
		policy: evidencetest.Policy(t, 2, ""), at: evidencetest.Now,
	}
	s.places = []string{s.dir}
	evidencetest.Exchange(t, s.dir, alpha.Build(nil), beta.Build(nil), gamma.Build(nil))
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (s *scene) decide() *verdict.Verdict {
	s.t.Helper()
	var folders []*repository.Folder
	for _, place := range s.places {
		list, err := repository.Find(context.Background(), place, "", nil)
		must(s.t, err)
		folders = append(folders, list...)
	}
	v, err := verdict.Decide(context.Background(), folders, verdict.Options{Registry: s.registry, Policy: s.policy, At: s.at})
	must(s.t, err)
	return v
}

// file is a file of gamma, the hostile one.
func (s *scene) file(name string) string { return filepath.Join(gamma.Folder(s.dir), name) }

func (s *scene) replace(name string, change func([]byte) []byte) {
	s.t.Helper()
	text, err := os.ReadFile(s.file(name))
	must(s.t, err)
	must(s.t, os.WriteFile(s.file(name), change(text), 0o644))
}

// payload changes the statement inside of a bundle, whose signature then does
// not fit.
func payload(from, to string) func([]byte) []byte {
	return func(text []byte) []byte {
		var b struct {
			Envelope struct {
				Payload []byte `json:"payload"`
			} `json:"dsseEnvelope"`
		}
		if json.Unmarshal(text, &b) != nil || !bytes.Contains(b.Envelope.Payload, []byte(from)) {
			panic("no " + from)
		}
		changed := bytes.Replace(b.Envelope.Payload, []byte(from), []byte(to), 1)
		return bytes.Replace(text, []byte(base64.StdEncoding.EncodeToString(b.Envelope.Payload)), []byte(base64.StdEncoding.EncodeToString(changed)), 1)
	}
}

// result lets gamma sign that its build differs from another's.
func (s *scene) result(of string, differs ...string) {
	s.t.Helper()
	mine, err := os.ReadFile(s.file(evidence.BuildFile))
	must(s.t, err)
	other, err := os.ReadFile(filepath.Join(evidencetest.New(of).Folder(s.dir), evidence.BuildFile))
	must(s.t, err)
	r := evidence.Results{Build: evidence.Digest(mine), List: []evidence.Result{
		{Organisation: of, Build: evidence.Digest(other), Differs: differs},
	}}
	statement, err := r.Statement()
	must(s.t, err)
	gamma.Sign(s.t, gamma.Folder(s.dir), evidence.ResultsFile, statement)
}

// republish lets gamma sign another build properly, and reveal it.
func (s *scene) republish(change func(*evidence.Build)) {
	s.t.Helper()
	gamma.Publish(s.t, gamma.Folder(s.dir), gamma.Build(change))
	gamma.Reveal(s.t, s.dir, alpha, beta)
}

// forge lets gamma sign properly what this program would not write: a text in the
// predicate of its statement is another one.
func (s *scene) forge(change func(*evidence.Build), from, to string) {
	s.t.Helper()
	good, err := gamma.Build(change).Statement()
	must(s.t, err)
	if !bytes.Contains(good.Predicate, []byte(from)) {
		s.t.Fatalf("no %s in %s", from, good.Predicate)
	}
	good.Predicate = bytes.Replace(good.Predicate, []byte(from), []byte(to), 1)
	gamma.Sign(s.t, gamma.Folder(s.dir), evidence.BuildFile, good)
}

// TestHostile changes one thing in gamma's evidence. It must be refused, with a
// message that says why, and must not pass; the others still agree.
func TestHostile(t *testing.T) {
	for _, c := range []struct {
		name    string
		change  func(*scene)
		message string
	}{
		{"changed statement", func(s *scene) { s.replace(evidence.BuildFile, payload(`"version":"1"`, `"version":"2"`)) },
			"build.sigstore.json: signature does not verify"},
		{"changed commitment", func(s *scene) { s.replace(evidence.CommitmentFile, payload("mangos_1", "mangos_2")) },
			"commitment.sigstore.json: signature does not verify"},
		{"another key's signature", func(s *scene) {
			impostor := evidencetest.Organisation{ID: "gamma", Key: evidencetest.Key("impostor")}
			impostor.Publish(s.t, gamma.Folder(s.dir), gamma.Build(nil))
			gamma.WriteKey(s.t, gamma.Folder(s.dir), gamma.Key.Public())
		}, "signature does not verify"},
		{"unregistered key", func(s *scene) {
			impostor := evidencetest.Organisation{ID: "gamma", Key: evidencetest.Key("impostor")}
			impostor.Publish(s.t, gamma.Folder(s.dir), gamma.Build(nil))
		}, "is not registered for gamma"},
		{"one key under two names", func(s *scene) {
			twin := evidencetest.Organisation{ID: "gamma", Key: alpha.Key}
			twin.Publish(s.t, gamma.Folder(s.dir), gamma.Build(nil))
		}, "is that of alpha, and lies in the folder of gamma"},
		{"another's folder under our name", func(s *scene) {
			must(s.t, os.RemoveAll(gamma.Folder(s.dir)))
			must(s.t, os.CopyFS(gamma.Folder(s.dir), os.DirFS(alpha.Folder(s.dir))))
		}, "is that of alpha, and lies in the folder of gamma"},
		{"in the name of another", func(s *scene) {
			gamma.Publish(s.t, gamma.Folder(s.dir), alpha.Build(nil))
		}, `it speaks for "alpha", and lies in the folder of "gamma"`},
		{"replayed from another release", func(s *scene) {
			s.republish(func(b *evidence.Build) { b.Release = "mangos_0" })
		}, `it is about release "mangos_0", and lies in the folder of "mangos_1"`},
		{"too old", func(s *scene) {
			s.policy = evidencetest.Policy(s.t, 2, `"maxAgeDays": 30`)
			s.republish(func(b *evidence.Build) { b.Finished = evidencetest.Now.AddDate(0, 0, -31) })
		}, "31 days old; the policy accepts 30"},
		{"of the future", func(s *scene) {
			s.republish(func(b *evidence.Build) { b.Finished = evidencetest.Now.AddDate(0, 0, 2) })
		}, "it bears the date 2026-06-03, which has not come yet"},
		{"key expired", func(s *scene) {
			end := evidencetest.Now.AddDate(0, -1, 0)
			s.registry.Find("gamma").Keys[0].NotAfter = &end
		}, "of gamma expired on 2026-05-01"},
		{"key not valid yet", func(s *scene) {
			start := evidencetest.Now.AddDate(0, 1, 0)
			s.registry.Find("gamma").Keys[0].NotBefore = &start
		}, "of gamma is valid from 2026-07-01 on"},
		{"another builder", func(s *scene) {
			s.registry.Find("gamma").Builders = []string{"https://example.org/builder/gamma"}
			s.republish(func(b *evidence.Build) { b.Builder = "https://example.org/builder/laptop" })
		}, `"https://example.org/builder/laptop" is no builder that is registered for gamma`},
		{"truncated", func(s *scene) { s.replace(evidence.BuildFile, func(b []byte) []byte { return b[:len(b)/2] }) },
			"build.sigstore.json: invalid evidence"},
		{"empty", func(s *scene) { s.replace(evidence.BuildFile, func([]byte) []byte { return nil }) },
			"the text ends where a value is due"},
		{"oversized", func(s *scene) {
			s.replace(evidence.BuildFile, func(b []byte) []byte {
				return append(b, bytes.Repeat([]byte(" "), evidence.MaxBuild)...)
			})
		}, "build.sigstore.json: read build.sigstore.json: larger than the limit"},
		{"duplicate key in the JSON", func(s *scene) {
			s.replace(evidence.BuildFile, func(b []byte) []byte {
				return bytes.Replace(b, []byte(`{"mediaType"`), []byte(`{"mediaType":"x","mediaType"`), 1)
			})
		}, `duplicate key`},
		{"key in another case", func(s *scene) {
			s.replace(evidence.BuildFile, func(b []byte) []byte {
				return bytes.Replace(b, []byte(`"mediaType"`), []byte(`"mediatype"`), 1)
			})
		}, "key in the wrong case"},
		{"two signatures", func(s *scene) {
			s.replace(evidence.BuildFile, func(b []byte) []byte {
				return bytes.Replace(b, []byte(`"signatures":[`), []byte(`"signatures":[{"sig":"AAAA"},`), 1)
			})
		}, "exactly one signature is required"},
		{"a statement of another type", func(s *scene) {
			c := evidence.Commitment{Release: evidencetest.Release, Organisation: "gamma", Build: evidencetest.Digest("")}
			other, err := c.Statement()
			must(s.t, err)
			gamma.Sign(s.t, gamma.Folder(s.dir), evidence.BuildFile, other)
		}, "build.sigstore.json: invalid evidence: a statement of type"},
		{"a commitment to something else", func(s *scene) {
			text, err := os.ReadFile(s.file(evidence.CommitmentFile))
			must(s.t, err)
			s.republish(func(b *evidence.Build) { b.Machine.Cores = 3 })
			must(s.t, os.WriteFile(s.file(evidence.CommitmentFile), text, 0o644))
		}, "gamma committed to another build.sigstore.json than the one that it revealed"},
		{"a reveal of something else", func(s *scene) {
			text, err := os.ReadFile(s.file(evidence.RevealFile))
			must(s.t, err)
			s.republish(func(b *evidence.Build) { b.Machine.Cores = 3 })
			must(s.t, os.WriteFile(s.file(evidence.RevealFile), text, 0o644))
		}, "reveal.sigstore.json: evidence contradicts itself: it is about another build.sigstore.json"},
		{"no key", func(s *scene) { must(s.t, os.Remove(s.file(evidence.KeyFile))) }, "attest.pub: "},
		{"a link out of the folder", func(s *scene) {
			outside := filepath.Join(s.t.TempDir(), "outside")
			must(s.t, os.Rename(s.file(evidence.BuildFile), outside))
			must(s.t, os.Symlink(outside, s.file(evidence.BuildFile)))
		}, "not a plain file in its folder"},
		{"a pipe that nobody writes to", func(s *scene) {
			must(s.t, os.Remove(s.file(evidence.BuildFile)))
			must(s.t, syscall.Mkfifo(s.file(evidence.BuildFile), 0o644))
		}, "not a plain file in its folder"},
		{"two stories", func(s *scene) {
			elsewhere := s.t.TempDir()
			s.places = append(s.places, elsewhere)
			gamma.Publish(s.t, gamma.Folder(elsewhere), gamma.Build(func(b *evidence.Build) { evidencetest.Change(b, "bzImage") }))
		}, "gamma published another build.sigstore.json at"},
		{"unknown organisation", func(s *scene) {
			s.registry = evidencetest.Registry(s.t, alpha, beta)
		}, `unknown organisation: "gamma" is not in the organisations file`},
		{"an unknown folder that commands the terminal", func(s *scene) {
			must(s.t, os.Rename(gamma.Folder(s.dir), filepath.Join(s.dir, evidencetest.Release, "\x1b[2J\u202egamma")))
		}, `is not in the organisations file`},
		{"a signed path as the name of a manifest", func(s *scene) {
			s.forge(func(b *evidence.Build) {
				b.Manifests = []evidence.Item{{Name: evidence.ManifestName("bzImage"), SHA256: evidencetest.Digest("x")}}
			}, "manifests/bzImage.jsonl", "../../alpha/attest.pub")
		}, `name "../../alpha/attest.pub" holds the path element ".."`},
		{"a signed path as the name of an organisation", func(s *scene) {
			s.forge(nil, `"mangos_organisation":"gamma"`, `"mangos_organisation":"../gamma"`)
		}, `"../gamma" is no identifier`},
		{"a signed machine that commands the terminal", func(s *scene) {
			s.forge(nil, `"cpu":"a processor`, `"cpu":"\u001b[2J\u202ea processor`)
		}, "invalid description of a machine"},
		{"a result that its own build contradicts", func(s *scene) {
			s.result("alpha", "bzImage")
		}, "gamma signed of the build of alpha what its own statement contradicts"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t)
			if v := s.decide(); v.Outcome != verdict.Reproduced {
				t.Fatalf("before the change: %s: %v", v.Outcome, v.Reasons)
			}
			c.change(s)
			v := s.decide()
			if v.Outcome != verdict.Unverified || v.ExitCode != 4 {
				t.Errorf("outcome %s, exit code %d", v.Outcome, v.ExitCode)
			}
			var out bytes.Buffer
			must(t, verdict.Text{}.Write(&out, v))
			if flat := strings.Join(strings.Fields(out.String()), " "); !strings.Contains(flat, c.message) && !refusedWith(v, c.message) {
				t.Errorf("no message %q in:\n%s", c.message, out.String())
			}
			for _, line := range strings.Split(out.String(), "\n") {
				if len([]rune(line)) > 80 {
					t.Errorf("%d columns: %s", len([]rune(line)), line)
				}
			}
			if strings.ContainsAny(out.String(), "\x1b\u202e") {
				t.Errorf("printed unescaped: %q", out.String())
			}
			for _, a := range v.Artifacts {
				if len(a.Clusters) != 1 || len(a.Clusters[0].Votes) < 2 {
					t.Errorf("%s: %+v: the others' agreement is gone", a.Name, a.Clusters)
				}
			}
		})
	}
}

func refusedWith(v *verdict.Verdict, message string) bool {
	for _, e := range v.Evidence {
		if strings.Contains(e.Reason, message) {
			return true
		}
	}
	return false
}

// TestSignedTextsAreEscaped: what an organisation chose freely stands in the
// verdict as text.
func TestSignedTextsAreEscaped(t *testing.T) {
	s := newScene(t)
	s.republish(func(b *evidence.Build) {
		b.Parameters = map[string]string{"version": "\x1b]0;title\a\u202e1", "\x1b[31m": "x"}
	})
	v := s.decide()
	if v.Outcome != verdict.OtherInputs {
		t.Errorf("outcome %s: %v", v.Outcome, v.Reasons)
	}
	got := text(t, v)
	if strings.ContainsAny(got, "\x1b\a\u202e") {
		t.Errorf("printed unescaped: %q", got)
	}
	for _, want := range []string{`\x1b]0;title`, `\x1b[31m`, `\u202e`} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is not shown:\n%s", want, got)
		}
	}
}
