package trace

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mastercard/mangos/attest/record"
)

// BenchmarkTrace answers in a release with 20,000 files, of 300 packages in each set, from
// opening it on, and holds it against its policy.
func BenchmarkTrace(b *testing.B) {
	w := newWorld(b)
	text, err := os.ReadFile(filepath.Join(w.dir, document))
	must(b, err)
	var files, relations strings.Builder
	for i := range 20_000 {
		id := fmt.Sprintf("SPDXRef-root-file-x%d", i)
		fmt.Fprintf(&files, `{"fileName":"./usr/share/doc/some/folder/file-%d","SPDXID":%q,"checksums":[{"algorithm":"SHA1","checksumValue":%q},{"algorithm":"SHA256","checksumValue":%q}],"copyrightText":"NOASSERTION"},`+"\n",
			i, id, digest(id)[:40], digest(id))
		fmt.Fprintf(&relations, `{"spdxElementId":"SPDXRef-root-deb-libstdc--6-2cfcf238","relatedSpdxElement":%q,"relationshipType":"CONTAINS"},`+"\n", id)
	}
	large := strings.Replace(string(text), "\"files\":[\n", "\"files\":[\n"+files.String(), 1)
	large = strings.Replace(large, "\"relationships\":[\n", "\"relationships\":[\n"+relations.String(), 1)
	write(b, w.dir, document, large)
	w.of("sbom").Products = []record.Item{{Name: document, SHA256: digest(large), Size: 1}}
	for _, r := range w.records {
		for _, list := range []*[]record.Item{&r.Materials, &r.Products} {
			if slices.ContainsFunc(*list, func(i record.Item) bool { return i.Name == "locked/debian/pool/bash.deb" }) {
				for i := range 300 {
					name := fmt.Sprintf("locked/debian/pool/main/p/package-%d/package-%d_1.0_amd64.deb", i, i)
					*list = append(*list, item(name, digest(name)))
				}
			}
		}
	}
	w.state(b)
	for _, asked := range []string{"/usr/bin/sh", "kernel"} {
		b.Run(asked, func(b *testing.B) {
			for b.Loop() {
				x, err := open(b, w.dir, w.checked()).Trace(asked)
				must(b, err)
				if x.Document.Statement == "" || len(x.Faults) > 0 {
					b.Fatalf("%q", x.Faults)
				}
			}
		})
	}
}
