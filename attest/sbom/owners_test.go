package sbom

import (
	"errors"
	"strings"
	"testing"

	"github.com/mastercard/mangos/format/dpkg"
)

func TestOwners(t *testing.T) {
	text := encode(t, sample())
	x, err := Open(text)
	if err != nil {
		t.Fatal(err)
	}
	d, err := x.Owners("root")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]dpkg.Package{
		"/usr/bin/bash": {Name: "bash", Version: "5.2-2+b1", Source: "bash", SourceVersion: "5.2-2"},
		"/usr/share/ü":  {Name: "libstdc++6", Version: "14", Source: "gcc", SourceVersion: "14"},
		"/etc/motd":     {}, "/usr/lib/mangos/gate": {}, "/usr/bin/none": {},
	} {
		if got, ok := d.Owner(name); got != want || ok != (want.Name != "") {
			t.Errorf("%s is of %+v, want %+v", name, got, want)
		}
	}
	if d, err := x.Owners("initrd"); err != nil || len(d.Packages()) > 0 {
		t.Errorf("a component that is not there has %d packages (%v)", len(d.Packages()), err)
	}
}

// TestOwnersRefused: a file in two packages, and a line that is no element.
func TestOwnersRefused(t *testing.T) {
	text := string(encode(t, sample()))
	for from, to := range map[string]string{
		`"spdxElementId":"SPDXRef-root-program-`: `"spdxElementId":"SPDXRef-root-deb-`,
		`{"fileName":"./usr/bin/bash"`:           `{{"fileName":"./usr/bin/bash"`,
	} {
		if !strings.Contains(text, from) {
			t.Fatalf("the document has no %s", from)
		}
		x, err := Open([]byte(strings.Replace(text, from, to, 1)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := x.Owners("root"); !errors.Is(err, ErrDocument) {
			t.Errorf("%s instead of %s: %v", to, from, err)
		}
	}
	twice := relationLine(t, text, "SPDXRef-root-deb-bash", "CONTAINS")
	x, err := Open([]byte(strings.Replace(text, twice, twice+",\n"+strings.Replace(twice, "SPDXRef-root-deb-bash", otherPackage(t, text), 1), 1)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := x.Owners("root"); !errors.Is(err, ErrDocument) {
		t.Errorf("a file in two packages: %v", err)
	}
}

// relationLine is the line, without a comma, of a relation of an element.
func relationLine(t *testing.T, text, id, kind string) string {
	t.Helper()
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, `{"spdxElementId":"`+id+`"`) && strings.Contains(line, `"`+kind+`"`) {
			return strings.TrimRight(line, ",\n")
		}
	}
	t.Fatalf("%s has no relation %s", id, kind)
	return ""
}

// otherPackage is the identifier of the sample's other package.
func otherPackage(t *testing.T, text string) string {
	t.Helper()
	_, rest, ok := strings.Cut(text, `"SPDXID":"SPDXRef-root-deb-libstdc`)
	if !ok {
		t.Fatal("the document has no libstdc++6")
	}
	name, _, _ := strings.Cut(rest, `"`)
	return "SPDXRef-root-deb-libstdc" + name
}
