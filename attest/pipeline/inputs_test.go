package pipeline

import (
	"slices"
	"strings"
	"testing"
)

func TestCheckInputs(t *testing.T) {
	p, err := Parse([]byte(`{"steps": [
		{"name": "a", "what": "", "products": [{"pattern": "*"}]},
		{"name": "b", "what": "", "materials": [
			{"pattern": "p/*", "from": "a", "all": true, "but": ["p/free*"]}, {"pattern": "q", "from": "a"},
			{"pattern": "own", "from": "b", "required": true, "in": "x", "as": "y"}], "products": [{"pattern": "y/own"}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	b, _ := p.Step("b")
	products := "p/1 p/2 p/free q r"
	for _, row := range []struct{ had, made, want string }{
		{"p/1 p/2 x/own", products, ""},
		{"p/1 p/2 p/free q x/own", products, ""},
		{"p/1 x/own", products, "does not have p/2, which the step a made"},
		{"p/1 p/2 own", products, "does not have x/own"},
		{"x/own", "p/free q", "the step a made no p/*"},
		{"x/own", "", ""},
		{"p/1 p/2", "", "does not have x/own"},
	} {
		had := strings.Fields(row.had)
		var made func(string) []string
		if row.made != "" {
			made = func(step string) []string {
				if step != "a" {
					t.Errorf("asked for what %s made", step)
				}
				return strings.Fields(row.made)
			}
		}
		err := b.CheckInputs(func(name string) bool { return slices.Contains(had, name) }, made)
		if row.want == "" && err != nil || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
			t.Errorf("%q of %q: %v, want %q", row.had, row.made, err, row.want)
		}
	}
}

// TestEveryMaterialIsWanted: each step must have each of its materials, by name or all of
// them, but for our programs in the image: which these are, the image says.
func TestEveryMaterialIsWanted(t *testing.T) {
	for _, s := range Standard().Steps {
		for _, m := range s.Materials {
			if !m.Required && !m.All && !strings.HasPrefix(m.In, "device/") {
				t.Errorf("step %s may have %s, and need not", s.Name, m.Pattern)
			}
		}
	}
}
