package unsigned

import (
	"bytes"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mastercard/mangos/format/verity"
	"github.com/mastercard/mangos/modules/image/imagetest"
)

func manifest(t testing.TB) []byte {
	t.Helper()
	dir := imagetest.Lay(t, map[string]string{"root.erofs": "root", "bzImage": "kernel",
		"ranges.json": `{"files":[{"file":"bzImage","size":6,"ranges":[{"offset":1,"length":2,"what":"certificate"}]}]}`})
	in := func(name string) string { return filepath.Join(dir, name) }
	m, err := Describe("mangos", "1", 7, verity.RootHash{1}, map[string]string{Root: in("root.erofs"), BzImage: in("bzImage")}, in("ranges.json"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := m.JSON()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestRoundTrip(t *testing.T) {
	text := manifest(t)
	m, err := Read(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Files) != 2 || m.Files[0].Name != BzImage || m.Files[1].Size != 4 || m.Signing.Kernel.Files[0].Ranges[0].Length != 2 {
		t.Errorf("%+v", m)
	}
	again, err := m.JSON()
	if err != nil || !bytes.Equal(again, text) {
		t.Errorf("comes back as %s, %v", again, err)
	}
}

func TestReadRefuses(t *testing.T) {
	good := string(manifest(t))
	for name, text := range map[string]string{
		"nothing":        "",
		"unknown member": strings.Replace(good, `"name"`, `"more": 1, "name"`, 1),
		"a doubled one":  strings.Replace(good, `"name"`, `"name": "x", "name"`, 1),
		"another case":   strings.Replace(good, `"name"`, `"Name"`, 1),
		"text after it":  good + "{}",
		"no root hash":   strings.Replace(good, `"rootHash": "01`, `"rootHash": "X1`, 1),
	} {
		if _, err := Read(strings.NewReader(text)); !errors.Is(err, ErrSet) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Read(strings.NewReader(strings.Repeat(" ", MaxSize+1))); !errors.Is(err, ErrSet) {
		t.Errorf("too long: %v", err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(manifest(f))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Read(bytes.NewReader(b))
		if err != nil {
			return
		}
		if _, err := m.JSON(); err != nil {
			t.Error(err)
		}
	})
}
