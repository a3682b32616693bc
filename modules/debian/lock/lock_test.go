package lock

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/mastercard/mangos/modules/definition"
)

const sum = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func sample() *Lock {
	return &Lock{
		Format: Format, Distribution: "debian", Architecture: "amd64", SourceDateEpoch: 1,
		Archives: []Archive{{"debian", "http://example.org/1/"}},
		Suites: []Suite{{
			Name: "s", Archive: "debian", Date: "2026-01-02T03:04:05Z", Release: sum, Signers: []string{"F"},
			Indexes: []Index{{"dists/s/main/source/Sources.gz", sum}},
		}},
		Sets: []Set{
			{Name: "root", Base: "essential", Request: []string{"a"}, Packages: []string{"b", "a"}},
			{Name: "initrd", Base: "none", Request: []string{"a"}, Exclude: []string{"b"}, Packages: []string{"a"}},
		},
		Packages: []Package{
			{"b", "2", "all", "s", "pool/b_2_all.deb", 2, sum, "src", "2"},
			{"a", "1:1~x", "amd64", "s", "pool/a_1_amd64.deb", 1, sum, "src", "2"},
		},
		Sources: []Source{
			{"src", "2", "s", []File{{"pool/src_2.dsc", 1, sum}}},
			{"linux", "6", "s", []File{{"pool/linux_6.tar", 3, sum}, {"pool/linux_6.dsc", 1, sum}}},
		},
		Build:    []string{"linux=6"},
		Withheld: []string{"src:linux=7"},
	}
}

func encode(t testing.TB, l *Lock) []byte {
	t.Helper()
	text, err := l.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestRoundTrip(t *testing.T) {
	text := encode(t, sample())
	l, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if again := encode(t, l); !bytes.Equal(again, text) {
		t.Errorf("written again:\n%s\nnot\n%s", again, text)
	}
	if !bytes.Contains(text, []byte(`"version":"1:1~x"`)) {
		t.Errorf("a version is not readable in\n%s", text)
	}
}

func TestProjectLock(t *testing.T) {
	l, err := Load("../../../debian.lock.json")
	if err != nil {
		t.Fatal(err)
	}
	d, err := definition.Load("../../../mangos.toml")
	if err != nil {
		t.Fatal(err)
	}
	dist, err := d.Distribution("")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Fits(dist); err != nil {
		t.Error(err)
	}
}

func TestNotices(t *testing.T) {
	l := sample()
	l.Withheld = []string{"b=3", "src:linux=7", "src:other=1"}
	want := []string{
		"withheld: b 3, because no server had its files when the lock was made: the lock has 2",
		"withheld: src:linux 7, because no server had its files when the lock was made: the lock has 6",
		"withheld: src:other 1, because no server had its files when the lock was made: nothing of it is in the lock",
	}
	if got := l.Notices(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestParseRefuses(t *testing.T) {
	text := string(encode(t, sample()))
	for _, tt := range []struct{ name, old, new string }{
		{"unknown key", `"format":`, `"more": 1, "format":`},
		{"doubled key", `"name":"a","version":"1:1~x"`, `"name":"a","version":"9","version":"1:1~x"`},
		{"doubled key on top", `"distribution": "debian",`, `"distribution": "other", "distribution": "debian",`},
		{"key in another case", `"sha256":`, `"SHA256":`},
		{"unknown key in a package", `"name":"a",`, `"name":"a","x":1,`},
		{"other format", Format, "mangos-debian-lock-9"},
		{"other spaces", `"name":"a",`, `"name": "a",`},
		{"something after it", "\n}\n", "\n}\n{}\n"},
		{"no newline at the end", "\n}\n", "\n}"},
		{"climbing path", "pool/a_1", "pool/../a_1"},
		{"absolute path", "pool/a_1", "/pool/a_1"},
		{"short sum", `"size":2,"sha256":"e3`, `"size":2,"sha256":"3`},
		{"negative size", `"size":2,`, `"size":-2,`},
		{"package of no suite", `"arch":"all","suite":"s"`, `"arch":"all","suite":"z"`},
		{"set with a stranger", `"packages":["a","b"]`, `"packages":["a","c"]`},
		{"package without its source", `"source":"src"`, `"source":"srk"`},
		{"name that is an option", `"name":"b"`, `"name":"-b"`},
		{"withheld of no version", `"src:linux=7"`, `"src:linux"`},
		{"withheld that writes to the terminal", `"src:linux=7"`, `"src:linux=7\u001b[2J"`},
		{"null list", `"build": [`, `"build": null, "was": [`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			changed := strings.Replace(text, tt.old, tt.new, 1)
			if changed == text {
				t.Fatal("the case changes nothing")
			}
			if _, err := Parse([]byte(changed)); !errors.Is(err, ErrInvalid) {
				t.Errorf("got %v, want ErrInvalid", err)
			}
		})
	}
	t.Run("unsorted", func(t *testing.T) {
		lines := strings.SplitAfter(text, "\n")
		for i, line := range lines {
			if strings.HasPrefix(line, `    {"name":"a","version"`) {
				lines[i], lines[i+1] = strings.Replace(lines[i+1], "}\n", "},\n", 1), strings.Replace(line, "},", "}", 1)
				break
			}
		}
		if _, err := Parse([]byte(strings.Join(lines, ""))); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "line") {
			t.Errorf("got %v", err)
		}
	})
}

func TestSelect(t *testing.T) {
	l := sample()
	encode(t, l) // sorts
	s, err := l.Select("root")
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Packages) != 2 || s.Packages[0].Name != "a" || s.Packages[0].Archive != "debian" {
		t.Errorf("selected %+v", s.Packages)
	}
	text, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseSelection(text); err != nil {
		t.Error(err)
	}

	// What the set does not hold leaves its selection as it is.
	l.SourceDateEpoch, l.Archives[0].Home, l.Suites[0].Date = 99, "http://example.org/2/", "2027-01-02T03:04:05Z"
	l.Sources[0].Version += "0"
	if again, err := l.Select("root"); err != nil {
		t.Error(err)
	} else if other, _ := again.Encode(); !bytes.Equal(other, text) {
		t.Errorf("the selection changed:\n%s\nnot\n%s", other, text)
	}

	if _, err := l.Select("none"); err == nil || !strings.Contains(err.Error(), "initrd, root") {
		t.Errorf("a set that is not there: %v", err)
	}
	if _, err := sample().SelectSource("src"); err == nil {
		t.Error("a source that is not built is selected")
	}
	if s, err := sample().SelectSource("linux"); err != nil || len(s.Source.Files) != 2 {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestParseSelectionRefuses(t *testing.T) {
	l := sample()
	encode(t, l)
	s, err := l.Select("root")
	if err != nil {
		t.Fatal(err)
	}
	text, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range [][2]string{
		{`"name": "a"`, `"name": "a", "x": 1`},
		{`"name": "a"`, `"name": "z"`},
		{`pool/a_1`, `../a_1`},
		{SelectionFormat, "another"},
		{`"size": 2`, `"size": 0`},
	} {
		if _, err := ParseSelection(bytes.Replace(text, []byte(change[0]), []byte(change[1]), 1)); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: got %v", change[1], err)
		}
	}
}

func TestFits(t *testing.T) {
	dist := func() definition.Distribution {
		return definition.Distribution{
			Name: "debian", Architecture: "amd64",
			Sets: map[string]definition.Set{
				"root":   {Base: "essential", Packages: []string{"a"}},
				"initrd": {Base: "none", Packages: []string{"a"}, Exclude: []string{"b"}},
			},
			Sources: definition.Sources{Packages: []string{"linux"}},
		}
	}
	if err := sample().Fits(dist()); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*definition.Distribution){
		"name":         func(d *definition.Distribution) { d.Name = "ubuntu" },
		"architecture": func(d *definition.Distribution) { d.Architecture = "arm64" },
		"more sets":    func(d *definition.Distribution) { d.Sets["x"] = d.Sets["root"] },
		"fewer sets":   func(d *definition.Distribution) { delete(d.Sets, "root") },
		"packages": func(d *definition.Distribution) {
			d.Sets["root"] = definition.Set{Base: "essential", Packages: []string{"c"}}
		},
		"base": func(d *definition.Distribution) {
			d.Sets["root"] = definition.Set{Base: "none", Packages: []string{"a"}}
		},
		"exclude": func(d *definition.Distribution) {
			d.Sets["initrd"] = definition.Set{Base: "none", Packages: []string{"a"}}
		},
		"sources": func(d *definition.Distribution) { d.Sources.Packages = []string{"bash"} },
	} {
		d := dist()
		change(&d)
		if err := sample().Fits(d); !errors.Is(err, ErrStale) {
			t.Errorf("%s: got %v, want ErrStale", name, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(encode(f, sample()))
	if text, err := os.ReadFile("../../../debian.lock.json"); err == nil && len(text) > 1000 {
		f.Add(text[:1000])
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		l, err := Parse(text)
		if err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Fatal(err)
			}
			return
		}
		if again := encode(t, l); !bytes.Equal(again, text) {
			t.Fatal("a lock has two spellings")
		}
	})
}

func FuzzParseSelection(f *testing.F) {
	l := sample()
	encode(f, l)
	for _, name := range []string{"root", "initrd"} {
		s, err := l.Select(name)
		if err != nil {
			f.Fatal(err)
		}
		text, err := s.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if s, err := ParseSelection(text); err == nil {
			if again, err := s.Encode(); err != nil || !bytes.Equal(again, text) {
				t.Fatal("a selection has two spellings")
			}
		}
	})
}
