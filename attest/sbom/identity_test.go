package sbom

import (
	"slices"
	"strings"
	"testing"

	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"

	"github.com/mastercard/mangos/attest/sourceid"
	"github.com/mastercard/mangos/modules/debian/lock"
)

// TestDebianCommit: a commit of Debian's history is called that, and stands beside
// upstream's.
func TestDebianCommit(t *testing.T) {
	upstream, debian := strings.Repeat("ab", 20), strings.Repeat("cd", 20)
	source := &lock.Source{Name: "p", Version: "1"}
	for name, row := range map[string]struct {
		id   sourceid.Identity
		says string
	}{
		"both": {sourceid.Identity{Level: sourceid.LevelCommit, Commit: upstream, CommitProof: "git archive", DebianCommit: debian},
			"upstream commit proven 1, Debian's (dgit) commit only 0, tree identified 0, version only 0."},
		"alone": {sourceid.Identity{Level: sourceid.LevelCommit, DebianCommit: debian},
			"upstream commit proven 0, Debian's (dgit) commit only 1, tree identified 0, version only 0."},
		"none": {sourceid.Identity{Level: sourceid.LevelTree},
			"upstream commit proven 0, Debian's (dgit) commit only 0, tree identified 1, version only 0."},
	} {
		id := row.id
		id.Name, id.Version = "p", "1"
		b := builder{in: Input{Sources: &sourceid.Set{Sources: []sourceid.Identity{id}}}}
		p := &spdx.Package{}
		b.identify(p, source)
		if text := b.comment(); !strings.HasSuffix(text, " Sources: "+row.says) {
			t.Errorf("%s: %q does not say %q", name, text, row.says)
		}
		got := map[string]string{}
		for _, ref := range p.PackageExternalReferences {
			got[ref.Locator] = ref.ExternalRefComment
		}
		for locator, want := range map[string]string{"swh:1:rev:" + upstream: "proven by: git archive", "swh:1:rev:" + debian: DebianCommit} {
			if there := strings.HasSuffix(locator, ":"+id.Commit) || strings.HasSuffix(locator, ":"+id.DebianCommit); there != (got[locator] == want) {
				t.Errorf("%s: %s is %q", name, locator, got[locator])
			}
		}
	}
}

// TestGaps: what kept a source from being known better is said, with the reason.
func TestGaps(t *testing.T) {
	files := []lock.File{{Path: "pool/a.dsc"}}
	s := &lock.Source{Name: "a", Version: "1", Files: files}
	for name, c := range map[string]struct {
		id   *sourceid.Identity
		want []string
	}{
		"whole":   {&sourceid.Identity{Level: sourceid.LevelTree, Files: files}, nil},
		"missing": {&sourceid.Identity{Level: sourceid.LevelTree, Files: files, Missing: []string{"a.dsc"}, Why: "no mirror has it"}, []string{"source a 1, identity tree: not to be had when it was looked at: a.dsc (no mirror has it)"}},
		"other":   {&sourceid.Identity{Level: sourceid.LevelTree}, []string{"source a 1, identity version: nobody has looked at these files"}},
		"none":    {nil, []string{"source a 1, identity version: nobody has looked at these files"}},
	} {
		b := builder{in: Input{Sources: &sourceid.Set{}}}
		if c.id != nil {
			c.id.Name, c.id.Version = "a", "1"
			b.in.Sources.Sources = []sourceid.Identity{*c.id}
		}
		p := &spdx.Package{PackageName: "a", PackageVersion: "1", PrimaryPackagePurpose: "SOURCE"}
		b.identify(p, s)
		if got := Gaps(&spdx.Document{Packages: []*spdx.Package{p, {PackageName: "b"}}}); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}
