package verdict_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/mastercard/mangos/compare/evidence"
	"github.com/mastercard/mangos/compare/evidencetest"
	"github.com/mastercard/mangos/compare/repository"
	"github.com/mastercard/mangos/compare/verdict"
)

// BenchmarkDecide judges 50 organisations with 500 artifacts each, from the files
// to the verdict. One of them disagrees on one artifact. The budget is 2 s.
func BenchmarkDecide(b *testing.B) {
	const organisations, artifacts = 50, 500
	dir := b.TempDir()
	var (
		builds []*evidence.Build
		all    []evidencetest.Organisation
	)
	for n := range organisations {
		o := evidencetest.New(fmt.Sprintf("bank-%d", n))
		all = append(all, o)
		builds = append(builds, o.Build(func(x *evidence.Build) {
			for k := len(x.Artifacts); k < artifacts; k++ {
				name := fmt.Sprintf("package/p%d", k)
				x.Artifacts = append(x.Artifacts, evidence.Item{Name: name, SHA256: evidencetest.Digest(name)})
			}
			if n == organisations-1 {
				evidencetest.Change(x, "bzImage")
			}
		}))
	}
	evidencetest.Exchange(b, dir, builds...)
	o := verdict.Options{Registry: evidencetest.Registry(b, all...), Policy: evidencetest.Policy(b, 2, ""), At: evidencetest.Now}
	b.ResetTimer()
	for b.Loop() {
		folders, err := repository.Find(context.Background(), dir, "", nil)
		must(b, err)
		v, err := verdict.Decide(context.Background(), folders, o)
		must(b, err)
		if v.Outcome != verdict.Differs || len(v.Artifacts) != artifacts || len(v.Artifacts[0].Clusters[0].Votes) != organisations {
			b.Fatalf("%s, %d artifacts", v.Outcome, len(v.Artifacts))
		}
	}
}
