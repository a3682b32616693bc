package lineage

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

var chain = Lineage{
	{Name: "kernel", Materials: []string{"lock"}, Products: []string{"bzImage"}},
	{Name: "root", Materials: []string{"lock"}, Products: []string{"root.erofs"}},
	{Name: "verity", Materials: []string{"root.erofs"}, Products: []string{"roothash"}},
	{Name: "image", Materials: []string{"bzImage", "roothash"}, Products: []string{"uki"}},
}

// side is the chain with the given digests; all others are their names.
func side(l Lineage, changed ...string) Side {
	return Side{l, func(name string) string {
		if slices.Contains(changed, name) {
			return "another " + name
		}
		return name
	}}
}

func states(list []Outcome) map[string]State {
	m := map[string]State{}
	for _, o := range list {
		m[o.Component] = o.State
	}
	return m
}

func TestCompare(t *testing.T) {
	for _, c := range []struct {
		name string
		b    Side
		want map[string]State
	}{
		{"the same", side(chain), map[string]State{"kernel": Same, "root": Same, "verity": Same, "image": Same}},
		{"the kernel and what follows", side(chain, "bzImage", "uki"),
			map[string]State{"kernel": Culprit, "root": Same, "verity": Same, "image": Follows}},
		{"the root and what follows", side(chain, "root.erofs", "roothash", "uki"),
			map[string]State{"kernel": Same, "root": Culprit, "verity": Follows, "image": Follows}},
		{"two culprits", side(chain, "bzImage", "roothash", "uki"),
			map[string]State{"kernel": Culprit, "root": Same, "verity": Culprit, "image": Follows}},
		{"other inputs", side(chain, "lock", "bzImage"),
			map[string]State{"kernel": Follows, "root": Same, "verity": Same, "image": Same}},
		{"a component less", side(chain[:3]), map[string]State{"kernel": Same, "root": Same, "verity": Same, "image": OneSide}},
		{"an input more", side(Lineage{
			{Name: "kernel", Materials: []string{"lock", "patch"}, Products: []string{"bzImage"}}, chain[1], chain[2], chain[3],
		}, "bzImage"), map[string]State{"kernel": Follows, "root": Same, "verity": Same, "image": Same}},
		{"a product more", side(Lineage{
			{Name: "kernel", Materials: []string{"lock"}, Products: []string{"bzImage", "modules"}}, chain[1], chain[2], chain[3],
		}), map[string]State{"kernel": Culprit, "root": Same, "verity": Same, "image": Same}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, pair := range [][2]Side{{side(chain), c.b}, {c.b, side(chain)}} {
				got := states(Compare(pair[0], pair[1]))
				for name, want := range c.want {
					if got[name] != want {
						t.Errorf("%s is %s, want %s", name, got[name], want)
					}
				}
			}
		})
	}
	list := Culprits(Compare(side(chain), side(chain, "root.erofs", "roothash")))
	if len(list) != 1 || list[0].Component != "root" || !slices.Equal(list[0].Products, []string{"root.erofs"}) {
		t.Errorf("culprits: %+v", list)
	}
}

func TestCheck(t *testing.T) {
	inputs, artifacts := []string{"lock"}, []string{"bzImage", "root.erofs", "roothash", "uki"}
	is := func(list []string) func(string) bool { return func(s string) bool { return slices.Contains(list, s) } }
	if err := chain.Check(is(inputs), is(artifacts)); err != nil {
		t.Fatal(err)
	}
	for name, l := range map[string]Lineage{
		"uses what comes later":     {chain[3], chain[0], chain[1], chain[2]},
		"uses itself":               {{Name: "x", Materials: []string{"uki"}, Products: []string{"uki"}}},
		"uses what is nowhere":      {{Name: "x", Materials: []string{"y"}, Products: []string{"uki"}}},
		"makes what is no artifact": {{Name: "x", Products: []string{"y"}}},
		"makes nothing":             {{Name: "x", Materials: []string{"lock"}}},
		"stands twice":              {chain[0], {Name: "kernel", Products: []string{"uki"}}},
		"makes the same as another": {chain[0], {Name: "x", Products: []string{"bzImage"}}},
		"is called by a path":       {{Name: "../x", Products: []string{"uki"}}},
		"is called by a long name":  {{Name: strings.Repeat("x", 100), Products: []string{"uki"}}},
	} {
		if err := l.Check(is(inputs), is(artifacts)); !errors.Is(err, ErrInvalid) {
			t.Errorf("a component that %s: %v", name, err)
		}
	}
}
