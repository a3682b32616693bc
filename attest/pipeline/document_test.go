package pipeline

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/mastercard/mangos/attest/provenance"
)

// TestDocument: the build type's documentation has every place in which a step
// finds or leaves something, and every member of what a statement says.
func TestDocument(t *testing.T) {
	text, err := os.ReadFile("../provenance/step-v1.md")
	if err != nil {
		t.Fatal(err)
	}
	document := string(text)
	// names wants the place to be there of a name that a step gives to a product.
	names := func(step, name string) {
		place, _, folder := strings.Cut(name, "/")
		switch {
		case folder && strings.HasPrefix(name, "device/"):
			place = strings.Join(strings.SplitN(name, "/", 3)[:2], "/") + "/"
		case folder:
			place += "/"
		case strings.HasSuffix(name, ".database.tree"):
			place = "NAME.database.tree"
		case strings.HasSuffix(name, ".tree") && strings.HasPrefix(step, "tree-"):
			place = "NAME.tree"
		case !strings.HasSuffix(name, ".tree"):
			return // a file by its own name
		}
		if !strings.Contains(document, "`"+place) {
			t.Errorf("step %s: %s is not documented", step, name)
		}
	}
	for _, s := range Standard().Steps {
		for _, m := range s.Materials {
			if m.In != "" {
				names(s.Name, m.In+"/")
			} else {
				names(m.From, m.Pattern)
			}
		}
		for _, p := range s.Products {
			names(s.Name, p.Pattern)
		}
	}
	for _, part := range []any{provenance.ExternalParameters{}, provenance.InternalParameters{}, provenance.RunDetails{}} {
		for f := range fields(reflect.TypeOf(part)) {
			if !strings.Contains(document, "`"+f) {
				t.Errorf("%T: the member %s is not documented", part, f)
			}
		}
	}
}

// fields are the names that a type's members have in JSON.
func fields(t reflect.Type) map[string]bool {
	names := map[string]bool{}
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		names[name] = true
	}
	return names
}
