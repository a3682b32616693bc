package sbom

import (
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
	for name, id := range map[string]sourceid.Identity{
		"both":  {Commit: upstream, CommitProof: "git archive", DebianCommit: debian},
		"alone": {DebianCommit: debian},
		"none":  {},
	} {
		id.Name, id.Version, id.Level = "p", "1", sourceid.LevelCommit
		b := builder{in: Input{Sources: &sourceid.Set{Sources: []sourceid.Identity{id}}}, levels: map[sourceid.Level]int{}}
		p := &spdx.Package{}
		b.identify(p, source)
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
