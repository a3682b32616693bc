package side

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mastercard/mangos/compare/component"
	"github.com/mastercard/mangos/compare/content"
	"github.com/mastercard/mangos/compare/difference"
	"github.com/mastercard/mangos/compare/release"
	"github.com/mastercard/mangos/format/cpio"
	"github.com/mastercard/mangos/modules/image/unsigned"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// withInitrd is a release whose initrd holds a file, with a bill of materials.
func withInitrd(t *testing.T, text, bill string) *Side {
	t.Helper()
	var b bytes.Buffer
	w := cpio.NewWriter(&b)
	must(t, w.WriteHeader(&cpio.Header{Name: "usr/bin/bash", Mode: cpio.TypeRegular | 0o755, Size: int64(len(text))}))
	_, err := w.Write([]byte(text))
	must(t, err)
	must(t, w.Close())
	dir := t.TempDir()
	if bill != "" {
		must(t, os.WriteFile(filepath.Join(dir, "mangos_1.spdx.json"), []byte(bill), 0o644))
	}
	return &Side{Path: dir, set: &release.Set{Parts: []release.Part{
		{File: unsigned.File{Name: unsigned.Initrd}, Content: content.Bytes(b.Bytes())},
	}}}
}

// TestInitrdHasOwners: which package a file of the initrd is of, the bill of materials
// knows. A broken one is a problem, and the file is found all the same.
func TestInitrdHasOwners(t *testing.T) {
	text, err := os.ReadFile("../../attest/sbom/testdata/small.spdx.json")
	must(t, err)
	good := strings.ReplaceAll(string(text), "SPDXRef-root-", "SPDXRef-initrd-")
	for name, c := range map[string]struct {
		bill, owner string
		problems    int
	}{
		"good": {good, "bash", 0}, "none": {"", "", 0}, "broken": {strings.Replace(good, `{"fileName"`, `{{"fileName"`, 1), "", 1},
	} {
		a, b := withInitrd(t, "one", c.bill), withInitrd(t, "two", c.bill)
		var nodes [2]*component.Node
		for i, s := range []*Side{a, b} {
			nodes[i], err = s.Artifacts(t.Context(), []string{unsigned.Initrd})
			must(t, err)
			if len(s.Problems) != c.problems {
				t.Errorf("%s: problems %v", name, s.Problems)
			}
		}
		r, err := difference.Compare(t.Context(), nodes[0], nodes[1], difference.Options{})
		must(t, err)
		if len(r.Findings) != 1 || r.Findings[0].File() != "/usr/bin/bash" {
			t.Fatalf("%s: found %+v", name, r.Findings)
		}
		owner, source := "", ""
		if o := r.Findings[0].Owner; o != nil {
			owner, source = o.Package, o.Source
		}
		if owner != c.owner || source != c.owner {
			t.Errorf("%s: of package %q, source %q; want %q", name, owner, source, c.owner)
		}
	}
}
