package solve

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/mastercard/mangos/modules/debian/archive"
)

const sum = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func paragraph(name, version, fields string) string {
	return fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: amd64\nFilename: pool/%s_%s.deb\nSize: 1\nSHA256: %s\n%s\n",
		name, version, name, strings.ReplaceAll(version, ":", "."), sum, fields)
}

func index(t *testing.T, suites map[string]string) *Index {
	t.Helper()
	var list []*archive.Suite
	for _, name := range []string{"stable", "security"} {
		list = append(list, &archive.Suite{
			Name: name, Archive: "debian", Release: &archive.Release{},
			Components: []archive.Component{{Name: "main", Packages: []byte(suites[name])}},
		})
	}
	x, err := NewIndex(list, "amd64")
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func names(list []Candidate) []string {
	var names []string
	for _, c := range list {
		names = append(names, c.Name+"="+c.Version)
	}
	return names
}

func TestClosure(t *testing.T) {
	x := index(t, map[string]string{
		"stable": paragraph("apt", "1", "Pre-Depends: dpkg (>= 1)\nDepends: missing | libz, virtual, dpkg:any\n") +
			paragraph("dpkg", "1", "Essential: yes\n") + paragraph("libz", "1:1", "Depends: apt\n") +
			paragraph("zprovider", "1", "Provides: virtual (= 1), other\n") + paragraph("aprovider", "1", "Provides: virtual\n"),
		"security": paragraph("libz", "1:1.1", "") + paragraph("dpkg", "0.9", ""),
	})
	got, err := x.closure([]string{"apt"})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"aprovider=1", "apt=1", "dpkg=1", "libz=1:1.1"}; !reflect.DeepEqual(names(got), want) {
		t.Errorf("closure %v, want %v", names(got), want)
	}
	if essential, err := x.Essential(); err != nil || !reflect.DeepEqual(essential, []string{"dpkg"}) {
		t.Errorf("essential %v, %v", essential, err)
	}
	if _, err := x.closure([]string{"none"}); !errors.Is(err, ErrUnsolvable) {
		t.Errorf("a package that is not there: %v", err)
	}
}

func TestWithhold(t *testing.T) {
	x := index(t, map[string]string{"stable": paragraph("a", "1", ""), "security": paragraph("a", "2", "")})
	x.Withhold("pool/a_2.deb")
	if c, ok, err := x.Newest("a"); err != nil || !ok || c.Version != "1" {
		t.Errorf("newest %v %v %v", c.Version, ok, err)
	}
	if _, err := x.Find("a", "2"); !errors.Is(err, ErrUnsolvable) {
		t.Errorf("found what is withheld: %v", err)
	}
	text, err := x.without(x.suites[1].Components[0].Packages)
	if err != nil || len(text) > 0 {
		t.Errorf("apt is shown %q, %v", text, err)
	}
	text, err = x.without(x.suites[0].Components[0].Packages)
	if err != nil || string(text) != paragraph("a", "1", "") {
		t.Errorf("apt is shown %q, %v", text, err)
	}
}

func TestIndexRefusesAnotherArchitecture(t *testing.T) {
	text := strings.Replace(paragraph("a", "1", ""), "amd64", "arm64", 1)
	_, err := NewIndex([]*archive.Suite{{Name: "s", Components: []archive.Component{{Packages: []byte(text)}}}}, "amd64")
	if !errors.Is(err, archive.ErrIndex) {
		t.Errorf("got %v", err)
	}
}

const simulation = `Reading package lists...
NOTE: This is only a simulation!
The following NEW packages will be installed:
  a b
Inst a (1:2.3-4+b1 Debian:13.8/stable, Debian-Security:13/stable-security [amd64])
Inst b (1 Debian:13.8/stable [all]) []
Conf a (1:2.3-4+b1 Debian:13.8/stable [amd64])
`

func TestParseSimulation(t *testing.T) {
	got, err := parseSimulation([]byte(simulation))
	if err != nil {
		t.Fatal(err)
	}
	if want := []pick{{"a", "1:2.3-4+b1"}, {"b", "1"}}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v", got)
	}
	for name, text := range map[string]string{
		"nothing":  "Reading package lists...\n",
		"removal":  simulation + "Remv c [1]\n",
		"twice":    simulation + "Inst a (2 x [amd64])\n",
		"garbled":  simulation + "Inst c 1\n",
		"upgrade":  simulation + "Inst c [1] (2 x [amd64])\n",
		"bad name": simulation + "Inst -c (2 x [amd64])\n",
	} {
		if _, err := parseSimulation([]byte(text)); !errors.Is(err, ErrUnsolvable) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func FuzzParseSimulation(f *testing.F) {
	f.Add([]byte(simulation))
	f.Fuzz(func(t *testing.T, out []byte) {
		picks, err := parseSimulation(out)
		if err != nil && !errors.Is(err, ErrUnsolvable) {
			t.Fatal(err)
		}
		for _, p := range picks {
			if !archive.ValidName(p.name) || !archive.ValidVersion(p.version) {
				t.Fatalf("%q %q", p.name, p.version)
			}
		}
	})
}

func FuzzNeeds(f *testing.F) {
	f.Add("a (>= 1) | b, c:any [amd64] <!nocheck>")
	f.Fuzz(func(t *testing.T, depends string) {
		x := &Index{byName: map[string][]Candidate{}, providers: map[string][]string{}}
		c := Candidate{}
		c.Name, c.Depends = "a", depends
		if names, err := x.needs(c, nil); err == nil && len(names) > 0 {
			t.Fatalf("an empty index offers %v", names)
		}
	})
}
