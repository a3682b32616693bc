package release

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/mastercard/mangos/format/verity"
	"github.com/mastercard/mangos/modules/image/imagetest"
)

func TestNames(t *testing.T) {
	root := verity.RootHash{0: 0xaa, 16: 0xbb}
	final, try := Name("mangos", "1.2", root, false), Name("mangos", "1.2", root, true)
	if final.Root != "mangos_1.2.root-x86-64.aa000000-0000-0000-0000-000000000000.raw.xz" ||
		final.Tree != "mangos_1.2.root-x86-64-verity.bb000000-0000-0000-0000-000000000000.raw.xz" ||
		final.Disk != "mangos_1.2.raw.zst" || final.Entry != "mangos_1.2" || final.Org != "org_1.2.confext.raw" {
		t.Errorf("%+v", final)
	}
	// What is the same for everybody has the same name; the rest is marked.
	if final.Root != try.Root || final.Tree != try.Tree || final.Unsigned != try.Unsigned {
		t.Errorf("%+v", try)
	}
	for _, name := range []string{try.Disk, try.Image, try.PCRs, try.Org, try.Signature, try.Entry} {
		if !strings.Contains(name, "-tryout_1.2") {
			t.Errorf("%s bears no mark", name)
		}
	}
}

func TestSums(t *testing.T) {
	dir := imagetest.Lay(t, map[string]string{"b": "", "a": "hello\n", "SHA256SUMS": "old", "SHA256SUMS.gpg": "old"})
	got, err := Sums(dir)
	want := "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03 *a\n" +
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 *b\n"
	if err != nil || string(got) != want {
		t.Errorf("%s, %v", got, err)
	}
	if err := os.Mkdir(dir+"/folder", 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Sums(dir); !errors.Is(err, ErrRelease) {
		t.Errorf("a folder: %v", err)
	}
	for name, files := range map[string]map[string]string{"nothing": nil, "old sums": {"SHA256SUMS": "old", "SHA256SUMS.gpg": "old"}} {
		if text, err := Sums(imagetest.Lay(t, files)); !errors.Is(err, ErrRelease) {
			t.Errorf("a folder with %s: %q, %v", name, text, err)
		}
	}
}
