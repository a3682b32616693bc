package verify

import (
	"maps"
	"strings"
	"testing"

	"github.com/mastercard/mangos/attest/record"
	"github.com/mastercard/mangos/attest/statement"
	"github.com/mastercard/mangos/attest/verify/verifytest"
)

// TestComplete: no step of a release can leave out any one input, but for the programs in
// the image, which are another check's.
func TestComplete(t *testing.T) {
	w := verifytest.New(t, t.TempDir(), "Example", "hello", verifytest.Extended(""))
	all := statements{}
	for _, r := range w.Records {
		all[r.Step] = stated(r)
	}
	if _, err := checkComplete(all); err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, s := range all {
		whole := s.inputs
		for name := range whole {
			if strings.HasPrefix(name, "device/") {
				continue
			}
			s.inputs = maps.Clone(whole)
			delete(s.inputs, name)
			want := "step " + s.name + ": it does not have " + name
			if _, err := checkComplete(all); err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("got %v, want %q", err, want)
			}
			tried++
		}
		s.inputs = whole
	}
	if tried < 200 {
		t.Errorf("%d inputs", tried)
	}
}

// stated is the step as its record has it.
func stated(r *record.Record) *step {
	descriptors := func(items []record.Item) map[string]descriptor {
		list := make([]statement.Descriptor, len(items))
		for i := range items {
			list[i] = items[i].Descriptor()
		}
		return byName(list)
	}
	return &step{name: r.Step, products: descriptors(r.Products), inputs: descriptors(r.Materials)}
}
