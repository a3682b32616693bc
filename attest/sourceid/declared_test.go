package sourceid

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/mastercard/mangos/modules/debian/archive"
	"github.com/mastercard/mangos/modules/debian/lock"
)

const index = `Package: p
Version: 1-1
Directory: pool/p
Checksums-Sha256:
 0000000000000000000000000000000000000000000000000000000000000000 7 p_1-1.dsc
 1111111111111111111111111111111111111111111111111111111111111111 9 p_1.orig.tar.xz
Vcs-Git: https://example.com/index.git
Vcs-Browser: https://example.com/index
Dgit: 0123456789abcdef0123456789abcdef01234567 debian archive/debian/1-1 https://example.com
Git-Tag-Info: tag=abcdefabcdefabcdefabcdefabcdefabcdefabcd fp=0123
`

// TestDescribe: the index has what a description that was not to be had would have told.
func TestDescribe(t *testing.T) {
	indexed, err := archive.Sources([]byte(index), func(string, string) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	files := []lock.File{
		{Path: "pool/p/p_1-1.dsc", Size: 7, SHA256: strings.Repeat("0", 64)},
		{Path: "pool/p/p_1.orig.tar.xz", Size: 9, SHA256: strings.Repeat("1", 64)},
	}
	for name, c := range map[string]struct {
		change func(*Identity)
		good   func(*Identity) bool
	}{
		"no description": {
			func(id *Identity) { id.Missing, id.Why = []string{"p_1-1.dsc"}, "why" },
			func(id *Identity) bool {
				return id.Level == LevelCommit && id.Commit == "" && id.DebianCommit == "0123456789abcdef0123456789abcdef01234567" &&
					id.VcsGit == "https://example.com/index.git" && id.VcsBrowser == "https://example.com/index" &&
					id.Tag == "abcdefabcdefabcdefabcdefabcdefabcdefabcd" && id.Missing == nil && id.Gap() == ""
			},
		},
		"nothing": {
			func(id *Identity) { id.Missing, id.Why = []string{"p_1-1.dsc", "p_1.orig.tar.xz"}, "gone" },
			func(id *Identity) bool {
				return slices.Equal(id.Missing, []string{"p_1.orig.tar.xz"}) && id.Gap() == "p_1.orig.tar.xz (gone)"
			},
		},
		"a description": {
			func(id *Identity) { id.VcsGit = "https://example.com/dsc.git" },
			func(id *Identity) bool {
				return id.VcsGit == "https://example.com/dsc.git" && id.VcsBrowser == "https://example.com/index"
			},
		},
	} {
		s := Set{Sources: []Identity{{Name: "p", Version: "1-1", Files: files, Level: LevelVersion}}}
		c.change(&s.Sources[0])
		if err := s.Describe(indexed); err != nil || !c.good(&s.Sources[0]) {
			t.Errorf("%s: %+v, %v", name, s.Sources[0], err)
		}
	}
	other := append(slices.Clone(files[:1]), lock.File{Path: files[1].Path, Size: 9, SHA256: strings.Repeat("2", 64)})
	for name, id := range map[string]Identity{
		"another source":        {Name: "q", Version: "1-1", Files: files},
		"another version":       {Name: "p", Version: "2", Files: files},
		"a file of other bytes": {Name: "p", Version: "1-1", Files: other},
		"a file less":           {Name: "p", Version: "1-1", Files: files[:1]},
	} {
		s := Set{Sources: []Identity{id}}
		if err := s.Describe(indexed); !errors.Is(err, ErrIndexed) || s.Sources[0].VcsGit != "" {
			t.Errorf("%s: %+v, %v", name, s.Sources[0], err)
		}
	}
}
