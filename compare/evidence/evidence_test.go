package evidence_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mastercard/mangos/attest/statement"
	"github.com/mastercard/mangos/compare/evidence"
	"github.com/mastercard/mangos/compare/evidencetest"
	"github.com/mastercard/mangos/compare/release"
	"github.com/mastercard/mangos/compare/releasetest"
	"github.com/mastercard/mangos/compare/repository"
	"github.com/mastercard/mangos/modules/kernel/artifact"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var (
	alpha = evidencetest.New("alpha")
	beta  = evidencetest.New("beta")
	gamma = evidencetest.New("gamma")
)

func options(o evidencetest.Organisation) evidence.Options {
	return evidence.Options{
		Organisation: o.ID, Builder: "https://example.org/b", Finished: evidencetest.Now, Key: o.Key,
		Inputs: []evidence.Item{{Name: "lock", SHA256: evidencetest.Digest("lock")}}, Warn: func(string) {},
	}
}

func publish(t *testing.T, o evidencetest.Organisation, dir, out string) *evidence.Evidence {
	t.Helper()
	set, err := release.OpenSet(filepath.Join(dir, "release"), "")
	must(t, err)
	defer set.Close()
	folder, err := evidence.Publish(context.Background(), set, options(o), out)
	must(t, err)
	return read(t, folder)
}

func read(t *testing.T, folder string) *evidence.Evidence {
	t.Helper()
	list, err := repository.Find(context.Background(), folder, "", nil)
	must(t, err)
	r := &evidence.Reader{Registry: evidencetest.Registry(t, alpha, beta, gamma), At: evidencetest.Now}
	e, err := r.Verify(context.Background(), list[0])
	must(t, err)
	return e
}

// TestPublishRecoversTheUnsignedSet: two organisations' signed releases give the
// same artifacts, those of the unsigned set, though all that is signed differs.
func TestPublishRecoversTheUnsignedSet(t *testing.T) {
	out := t.TempDir()
	var builds []*evidence.Build
	for _, o := range []evidencetest.Organisation{alpha, beta} {
		dir := t.TempDir()
		releasetest.Write(t, dir, releasetest.Options{Signature: o.ID})
		builds = append(builds, publish(t, o, dir, out).Build)
		for _, i := range builds[0].Artifacts {
			text, err := os.ReadFile(filepath.Join(dir, "unsigned", i.Name))
			must(t, err)
			if evidence.Digest(text) != i.SHA256 {
				t.Errorf("%s: %s is not the file of the unsigned set", o.ID, i.Name)
			}
		}
	}
	if !slices.Equal(builds[0].Artifacts, builds[1].Artifacts) || !slices.Equal(builds[0].Manifests, builds[1].Manifests) {
		t.Errorf("artifacts and manifests differ:\n%v\n%v", builds[0], builds[1])
	}
	if len(builds[0].Manifests) != len(builds[0].Artifacts)-1 { // all but vmlinux
		t.Errorf("%d manifests of %d artifacts", len(builds[0].Manifests), len(builds[0].Artifacts))
	}
}

// TestPublishHashes: what the release lists is held against its bytes.
func TestPublishHashes(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, dir string){
		"another root": func(t *testing.T, dir string) {
			other := t.TempDir()
			releasetest.Write(t, other, releasetest.Options{Root: []byte("another root")})
			replace(t, filepath.Join(dir, "release"), filepath.Join(other, "release"), "*.root-x86-64.*")
		},
		"another hash tree": func(t *testing.T, dir string) {
			other := t.TempDir()
			releasetest.Write(t, other, releasetest.Options{Root: []byte("another root")})
			replace(t, filepath.Join(dir, "release"), filepath.Join(other, "release"), "*.root-x86-64-verity.*")
		},
		"another kernel": func(t *testing.T, dir string) {
			other := t.TempDir()
			releasetest.Write(t, other, releasetest.Options{Kernel: 'x'})
			replace(t, filepath.Join(dir, "release"), filepath.Join(other, "release"), "*.efi")
		},
		"another initrd": func(t *testing.T, dir string) {
			other := t.TempDir()
			releasetest.Write(t, other, releasetest.Options{Initrd: "another"})
			replace(t, filepath.Join(dir, "release"), filepath.Join(other, "release"), "*.efi")
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			releasetest.Write(t, dir, releasetest.Options{})
			change(t, dir)
			set, err := release.OpenSet(filepath.Join(dir, "release"), "")
			must(t, err)
			defer set.Close()
			out := t.TempDir()
			if _, err := evidence.Publish(context.Background(), set, options(alpha), out); !errors.Is(err, release.ErrMismatch) && !errors.Is(err, artifact.ErrRanges) {
				t.Errorf("got %v", err)
			}
			if entries, _ := os.ReadDir(out); len(entries) > 0 {
				t.Error("something was written")
			}
		})
	}
}

// replace puts the file of another release in place of the one that matches.
func replace(t *testing.T, dir, from, pattern string) {
	t.Helper()
	old, err := filepath.Glob(filepath.Join(dir, pattern))
	must(t, err)
	fresh, err := filepath.Glob(filepath.Join(from, pattern))
	must(t, err)
	if len(old) != 1 || len(fresh) != 1 {
		t.Fatalf("%s: %v, %v", pattern, old, fresh)
	}
	text, err := os.ReadFile(fresh[0])
	must(t, err)
	must(t, os.WriteFile(old[0], text, 0o644))
}

// TestOrder: who is named in whose reveal cannot have copied.
func TestOrder(t *testing.T) {
	dir := t.TempDir()
	all := []evidencetest.Organisation{alpha, beta, gamma}
	for _, o := range all {
		o.Publish(t, o.Folder(dir), o.Build(nil))
	}
	alpha.Reveal(t, dir, beta) // gamma had not committed yet
	beta.Reveal(t, dir, alpha, gamma)
	gamma.Reveal(t, dir, alpha, beta)
	var list []*evidence.Evidence
	for _, o := range all {
		list = append(list, read(t, o.Folder(dir)))
	}
	o := evidence.NewOrder(list)
	for _, c := range []struct {
		x, y                string
		before, independent bool
	}{
		{"alpha", "beta", true, true}, {"beta", "alpha", true, true},
		{"gamma", "alpha", false, false}, {"alpha", "gamma", true, false},
		{"beta", "gamma", true, true}, {"beta", "none", false, false}, {"none", "beta", false, false},
	} {
		if o.Before(c.x, c.y) != c.before || o.Independent(c.x, c.y) != c.independent {
			t.Errorf("%s before %s: %v, independent %v", c.x, c.y, o.Before(c.x, c.y), o.Independent(c.x, c.y))
		}
	}
	if votes := o.Votes([]string{"alpha", "beta", "gamma"}); len(votes) != 2 || !slices.Contains(votes, "beta") {
		t.Errorf("votes: %v", votes)
	}
	if votes := o.Votes([]string{"gamma"}); len(votes) != 1 {
		t.Errorf("one alone: %v", votes)
	}
	if votes := o.Votes(nil); len(votes) != 0 {
		t.Errorf("nobody: %v", votes)
	}
	if from := o.Copies("gamma", []string{"alpha", "beta", "gamma"}); !slices.Equal(from, []string{"alpha"}) {
		t.Errorf("gamma may have copied from %v", from)
	}
}

// TestExchange: a hostile shared place is neither written through nor believed.
func TestExchange(t *testing.T) {
	ctx := context.Background()
	private, shared := t.TempDir(), t.TempDir()
	alpha.Publish(t, alpha.Folder(private), alpha.Build(nil))
	beta.Publish(t, beta.Folder(shared), beta.Build(nil))
	victim := filepath.Join(t.TempDir(), "victim")
	must(t, os.WriteFile(victim, []byte("precious"), 0o644))

	t.Run("the release's folder is a link", func(t *testing.T) {
		elsewhere, place := t.TempDir(), t.TempDir()
		must(t, os.Symlink(elsewhere, filepath.Join(place, evidencetest.Release)))
		if _, err := evidence.Commit(ctx, alpha.Folder(private), place); !errors.Is(err, evidence.ErrExists) {
			t.Errorf("got %v", err)
		}
		if entries, _ := os.ReadDir(elsewhere); len(entries) > 0 {
			t.Error("written through a link")
		}
	})
	t.Run("our folder holds something else", func(t *testing.T) {
		place := t.TempDir()
		must(t, os.MkdirAll(alpha.Folder(place), 0o755))
		must(t, os.Symlink(victim, filepath.Join(alpha.Folder(place), evidence.BuildFile)))
		if _, _, err := evidence.RevealTo(ctx, alpha.Folder(private), place, alpha.Key); !errors.Is(err, evidence.ErrExists) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("our key is a link there", func(t *testing.T) {
		_, err := evidence.Commit(ctx, alpha.Folder(private), shared)
		must(t, err)
		key := filepath.Join(alpha.Folder(shared), evidence.KeyFile)
		must(t, os.Remove(key))
		must(t, os.Symlink(victim, key))
		_, seen, err := evidence.RevealTo(ctx, alpha.Folder(private), shared, alpha.Key)
		must(t, err)
		if text, _ := os.ReadFile(victim); string(text) != "precious" {
			t.Error("written through a link")
		}
		if !slices.Equal(seen, []string{"beta"}) {
			t.Errorf("seen: %v", seen)
		}
		if e := read(t, alpha.Folder(shared)); e.Reveal == nil || e.Commitment == nil || e.Build == nil {
			t.Errorf("revealed: %+v", e)
		}
	})
	t.Run("another commitment of ours is there", func(t *testing.T) {
		place := t.TempDir()
		alpha.Publish(t, alpha.Folder(place), alpha.Build(func(b *evidence.Build) { b.Machine.Cores = 5 }))
		must(t, os.Remove(filepath.Join(alpha.Folder(place), evidence.BuildFile)))
		if _, _, err := evidence.RevealTo(ctx, alpha.Folder(private), place, alpha.Key); !errors.Is(err, evidence.ErrBroken) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("another's key", func(t *testing.T) {
		if _, _, err := evidence.RevealTo(ctx, alpha.Folder(private), t.TempDir(), beta.Key); !errors.Is(err, evidence.ErrNotOurs) {
			t.Errorf("got %v", err)
		}
		if _, err := evidence.SignResults(ctx, alpha.Folder(private), nil, beta.Key); !errors.Is(err, evidence.ErrNotOurs) {
			t.Errorf("got %v", err)
		}
	})
}

func statementOf(t testing.TB, b *evidence.Build) *statement.Statement {
	t.Helper()
	s, err := b.Statement()
	must(t, err)
	return s
}

// TestParseBuild changes one thing in a good statement.
func TestParseBuild(t *testing.T) {
	good, err := statementOf(t, alpha.Build(nil)).Encode()
	must(t, err)
	for _, c := range []struct{ name, from, to, message string }{
		{"good", "", "", ""},
		{"an unknown external parameter", `"externalParameters":{`, `"externalParameters":{"x":1,`, "externalParameters"},
		{"an unknown member elsewhere", `"internalParameters":{`, `"internalParameters":{"x":1,`, ""},
		{"another build type", "evidence/release-v1.md", "evidence/release-v9.md", "buildType"},
		{"a release that is a path", `"release":"mangos_1"`, `"release":"../mangos_1"`, "no name of a release"},
		{"an organisation that is a path", `"mangos_organisation":"alpha"`, `"mangos_organisation":"../alpha"`, "no identifier"},
		{"no inputs", `"resolvedDependencies":[`, `"resolvedDependencies":[],"x":[`, "no inputs"},
		{"a doubled input", `"name":"source.tree"`, `"name":"debian.lock.json"`, "stands there twice"},
		{"an input that is an artifact", `"name":"source.tree"`, `"name":"roothash"`, "both an input and an artifact"},
		{"a date that is none", `"finishedOn":"2026`, `"finishedOn":"x2026`, "finishedOn"},
		{"a hostile machine", `"cpu":"a processor`, `"cpu":"\u001b[2J`, "description of a machine"},
		{"a component out of order", `"materials":["root.erofs"]`, `"materials":["roothash"]`, "invalid lineage"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if !bytes.Contains(good, []byte(c.from)) {
				t.Fatalf("no %s in %s", c.from, good)
			}
			s, err := statement.Parse(bytes.Replace(good, []byte(c.from), []byte(c.to), 1))
			must(t, err)
			b, err := evidence.ParseBuild(s)
			if c.message == "" {
				must(t, err)
				if want := alpha.Build(nil); b.Release != want.Release || len(b.Artifacts) != len(want.Artifacts) || b.Machine != want.Machine {
					t.Errorf("read %+v", b)
				}
				return
			}
			if !errors.Is(err, evidence.ErrInvalid) || !strings.Contains(err.Error(), c.message) {
				t.Errorf("got %v, want %q", err, c.message)
			}
		})
	}
}

func TestManifestNamesStayInside(t *testing.T) {
	for _, name := range []string{"manifests/sub/roothash.jsonl", "roothash.jsonl", "manifests/none.jsonl", "manifests/roothash"} {
		b := alpha.Build(nil)
		b.Manifests = []evidence.Item{{Name: name, SHA256: evidencetest.Digest("x")}}
		if _, err := b.Statement(); err == nil {
			t.Errorf("%s is taken for a manifest", name)
		}
	}
}

// FuzzBuild: what is read is valid, and the same when it is written and read
// again.
func FuzzBuild(f *testing.F) {
	text, err := statementOf(f, alpha.Build(nil)).Encode()
	must(f, err)
	f.Add(text)
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := statement.Parse(text)
		if err != nil {
			return
		}
		for _, parse := range []func(*statement.Statement) error{
			func(s *statement.Statement) error { _, err := evidence.ParseCommitment(s); return err },
			func(s *statement.Statement) error { _, err := evidence.ParseReveal(s); return err },
			func(s *statement.Statement) error { _, err := evidence.ParseResults(s); return err },
		} {
			if err := parse(s); err != nil && !errors.Is(err, evidence.ErrInvalid) {
				t.Errorf("an error of no kind: %v", err)
			}
		}
		b, err := evidence.ParseBuild(s)
		if err != nil {
			if !errors.Is(err, evidence.ErrInvalid) {
				t.Errorf("an error of no kind: %v", err)
			}
			return
		}
		again, err := b.Statement()
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		c, err := evidence.ParseBuild(again)
		if err != nil || b.InputsDigest() != c.InputsDigest() || evidence.ArtifactsDigest(b) != evidence.ArtifactsDigest(c) {
			t.Errorf("read again it is another: %v", err)
		}
	})
}
