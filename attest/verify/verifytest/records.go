package verifytest

import (
	"crypto/sha256"
	"encoding/hex"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mastercard/mangos/attest/pipeline"
	"github.com/mastercard/mangos/attest/purl"
	"github.com/mastercard/mangos/attest/record"
)

func (w *World) item(name string, content []byte) record.Item {
	sum := sha256.Sum256(content)
	i := record.Item{Name: name, SHA256: hex.EncodeToString(sum[:]), Size: int64(len(content))}
	if name == moduleItem {
		i.URI = purl.Golang("example.org/M", "v1.0.0")
	}
	w.items[name] = i
	return i
}

// step records a step, with inputs that were made before.
func (w *World) step(t testing.TB, name string, inputs []string, products map[string][]byte) {
	t.Helper()
	r := w.ran(t, name, inputs)
	for n, content := range products {
		r.Products = append(r.Products, w.item(n, content))
		w.bytes[n] = content
	}
	w.Records = append(w.Records, r)
}

// ran is the record of a step that ran as the pipeline says, before it has products. What
// it ran are inputs as well; its command is given one of them and the folder of its products.
func (w *World) ran(t testing.TB, name string, inputs []string) *record.Record {
	t.Helper()
	s, ok := pipeline.Standard().Step(name)
	if !ok {
		t.Fatalf("the pipeline has no step %s", name)
	}
	own := slices.Clone(inputs)
	for _, word := range strings.Fields(s.Runs) {
		if program, ok := strings.CutPrefix(word, pipeline.In+"/"); ok {
			own = append(own, program)
		}
	}
	ended := time.Unix(Epoch, 0).UTC()
	r := &record.Record{
		Format: record.Format, Step: name, Materials: w.itemsOf(t, own),
		Started: ended.Add(-time.Hour).Format(time.RFC3339), Finished: ended.Format(time.RFC3339),
	}
	if s.Dated {
		r.SourceDateEpoch = Epoch
	}
	if s.Runs != "" {
		r.Command = strings.Fields(strings.Replace(s.Runs, " -- ", " --in /in --out /out -- ", 1))
		r.Command = append(r.Command, "--input="+pipeline.In+"/"+own[len(own)-1], pipeline.Out+"/")
	}
	return r
}

func (w *World) itemsOf(t testing.TB, names []string) []record.Item {
	t.Helper()
	list := []record.Item{}
	seen := map[string]bool{}
	for _, n := range names {
		i, ok := w.items[n]
		if strings.HasPrefix(n, "keys/") {
			i, ok = w.item(n, w.read(t, w.Key(path.Base(n)))), true
		}
		if !ok {
			t.Fatalf("nobody made %s", n)
		}
		if strings.HasPrefix(n, "program/") || strings.HasPrefix(n, "selection/") {
			i.Use = record.Tool
		}
		if !seen[n] {
			list = append(list, i)
		}
		seen[n] = true
	}
	return list
}
