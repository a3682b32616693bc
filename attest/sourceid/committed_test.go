package sourceid

import (
	"testing"

	"github.com/mastercard/mangos/modules/debian/lock"
)

// TestCommitted holds the identities in git against the lock in git: a source that was
// locked later would count as known by its version only, and nobody would have looked.
func TestCommitted(t *testing.T) {
	l, err := lock.Load("../../debian.lock.json")
	if err != nil {
		t.Fatal(err)
	}
	set, err := Load("../../debian.sources.json")
	if err != nil {
		t.Fatal(err)
	}
	sources, err := l.SelectSources("root", "initrd", "microcode")
	if err != nil {
		t.Fatal(err)
	}
	const remedy = "make it anew: ci/dagger call sources -o debian.sources.json"
	for _, s := range sources {
		id := set.Find(s.Source.Name, s.Source.Version)
		if id == nil || !id.Of(s.Source.Files) {
			t.Errorf("debian.sources.json does not tell of %s %s as the lock has it; %s", s.Source.Name, s.Source.Version, remedy)
		}
	}
	if len(set.Sources) != len(sources) {
		t.Errorf("debian.sources.json tells of %d sources, the image has %d; %s", len(set.Sources), len(sources), remedy)
	}
}
