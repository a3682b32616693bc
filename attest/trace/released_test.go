package trace

import (
	"crypto"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestReleased: a file of the release is read. It must be the one that SHA256SUMS lists,
// and, with keys or a policy, that a trusted statement has as a product.
func TestReleased(t *testing.T) {
	const disk = "mangos_0.1.raw.zst"
	relist := func(t *testing.T, dir, name, content string) {
		sums, err := os.ReadFile(filepath.Join(dir, "SHA256SUMS"))
		if err != nil {
			t.Fatal(err)
		}
		kept := slices.DeleteFunc(strings.SplitAfter(string(sums), "\n"), func(l string) bool { return strings.HasSuffix(l, " *"+name+"\n") })
		write(t, dir, name, content)
		write(t, dir, "SHA256SUMS", strings.Join(kept, "")+digest(content)+" *"+name+"\n")
	}
	for name, row := range map[string]struct {
		change   func(t *testing.T, dir string)
		asked    string
		err      error
		vouched  bool
		contents string
	}{
		"as it was made":            {func(*testing.T, string) {}, disk, nil, true, "disk"},
		"a byte changed":            {func(t *testing.T, dir string) { write(t, dir, disk, "dish") }, disk, ErrDiffers, false, ""},
		"a byte changed, by digest": {func(t *testing.T, dir string) { write(t, dir, disk, "dish") }, digest("disk"), ErrDiffers, false, ""},
		"not there": {func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, disk)); err != nil {
				t.Fatal(err)
			}
		}, disk, os.ErrNotExist, false, ""},
		"changed, and SHA256SUMS with it": {func(t *testing.T, dir string) { relist(t, dir, disk, "dish") }, disk, nil, false, "dish"},
		"a file of nobody":                {func(t *testing.T, dir string) { relist(t, dir, "more", "x") }, "more", nil, false, "x"},
	} {
		w := newWorld(t)
		row.change(t, w.dir)
		for given, o := range map[string]Options{"neither": {}, "a key": {Keys: []crypto.PublicKey{w.key.Public()}}, "a policy": w.checked()} {
			x, err := open(t, w.dir, o).Trace(row.asked)
			if !errors.Is(err, row.err) || (err == nil) != (row.err == nil) {
				t.Errorf("%s, %s: %v", name, given, err)
			}
			if err != nil {
				continue
			}
			want := !row.vouched && given != "neither"
			says := strings.Contains(x.Text(), "no trusted statement has this "+row.asked) && strings.Contains(x.Tree(), "no trusted statement has this "+row.asked)
			if x.SHA256 != digest(row.contents) || x.Untrusted() != want || says != want {
				t.Errorf("%s, %s: untrusted %v\n%s%s", name, given, x.Untrusted(), x.Text(), x.Tree())
			}
		}
	}
}
