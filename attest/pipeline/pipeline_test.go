package pipeline

import (
	"errors"
	"strings"
	"testing"
)

func TestStandard(t *testing.T) {
	p := Standard()
	if len(p.Steps) < 10 {
		t.Errorf("%d steps", len(p.Steps))
	}
}

// TestFetchedAlike: what fetches packages uses nothing that depends on the server they
// come from, such as the lock with its permanent homes: the statements of two
// organisations with other mirrors would differ.
func TestFetchedAlike(t *testing.T) {
	steps := 0
	for _, s := range Standard().Steps {
		if !strings.HasPrefix(s.Name, "packages-") {
			continue
		}
		steps++
		for _, m := range s.Materials {
			if m.From != "lock" && m.From != "programs" {
				t.Errorf("step %s uses %s of %s", s.Name, m.Pattern, m.From)
			}
		}
	}
	if steps == 0 {
		t.Error("no step fetches packages")
	}
}

func TestOf(t *testing.T) {
	p, err := Parse([]byte(`{"steps": [
		{"name": "a", "what": "", "products": [{"pattern": "a"}]},
		{"name": "b", "what": "", "optional": true, "products": [{"pattern": "b"}]},
		{"name": "c", "what": "", "materials": [{"pattern": "a", "from": "a"}, {"pattern": "b", "from": "b"},
			{"pattern": "k", "from": "organisation"}, {"pattern": "*", "from": "c", "in": "x", "as": "y"}], "products": [{"pattern": "c"}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	part, err := p.Of([]string{"c", "a"})
	if err != nil {
		t.Fatal(err)
	}
	if len(part.Steps) != 2 || part.Steps[1].Name != "c" || len(part.Steps[1].Materials) != 3 {
		t.Errorf("%+v", part)
	}
	for name, steps := range map[string][]string{"missing": {"a"}, "unknown": {"a", "c", "x"}, "twice": {"a", "c", "c"}, "none": nil} {
		if _, err := p.Of(steps); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRefusals(t *testing.T) {
	for _, text := range []string{
		``, `{}`, `{"steps": []}`, `{"steps": [{"name": "A", "what": "", "products": [{"pattern": "a"}]}]}`,
		`{"steps": [{"name": "a", "what": "", "products": []}]}`,
		`{"steps": [{"name": "a", "what": "", "products": [{"pattern": ""}]}]}`,
		`{"steps": [{"name": "a", "what": "", "materials": [{"pattern": "x", "from": "later"}], "products": [{"pattern": "a"}]}]}`,
		`{"steps": [{"name": "a", "what": "", "materials": [{"pattern": "x", "from": "a"}], "products": [{"pattern": "a"}]}]}`,
		`{"steps": [{"name": "a", "what": "", "materials": [{"pattern": "x", "from": "organisation", "in": "y"}], "products": [{"pattern": "a"}]}]}`,
		`{"steps": [{"name": "a", "what": "", "products": [{"pattern": "a"}]}], "more": 1}`,
		`{"steps": [{"name": "a", "what": "", "runs": "x  y", "products": [{"pattern": "a"}]}]}`,
		`{"steps": [{"name": "a", "what": "", "runs": "x --", "products": [{"pattern": "a"}]}]}`,
		`{"steps": [{"name": "a", "what": "", "materials": [{"pattern": "x", "from": "organisation", "carries": [""]}], "products": [{"pattern": "a"}]}]}`,
		`{"steps": [{"name": "a", "what": "", "materials": [{"pattern": "x", "from": "organisation", "all": true}], "products": [{"pattern": "a"}]}]}`,
		`{"steps": [{"name": "a", "what": "", "products": [{"pattern": "a"}]}, {"name": "b", "what": "", "materials": [{"pattern": "a", "from": "a", "all": true, "required": true}], "products": [{"pattern": "a"}]}]}`,
		`{"steps": [{"name": "a", "what": "", "products": [{"pattern": "a"}]}, {"name": "b", "what": "", "materials": [{"pattern": "a", "from": "a", "all": true, "in": "x", "as": "y"}], "products": [{"pattern": "a"}]}]}`,
		`{"steps": [{"name": "a", "what": "", "products": [{"pattern": "a"}]}, {"name": "b", "what": "", "materials": [{"pattern": "a", "from": "a", "but": ["a"]}], "products": [{"pattern": "a"}]}]}`,
	} {
		if _, err := Parse([]byte(text)); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(standard)
	f.Add([]byte(`{"steps": [{"name": "a", "what": "", "products": [{"pattern": "*"}]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Parse(data)
		if err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Errorf("not ErrInvalid: %v", err)
			}
			return
		}
		names := make([]string, 0, len(p.Steps))
		for _, s := range p.Steps {
			names = append(names, s.Name)
		}
		if again, err := p.Of(names); err != nil || len(again.Steps) != len(p.Steps) {
			t.Errorf("all of its steps are another pipeline: %v", err)
		}
	})
}
