package archive

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/mastercard/mangos/modules/debian/debtest"
)

const sum = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

const packagesText = `Package: one
Version: 1:2.3-4+b1
Architecture: amd64
Source: uno (1:2.3-4)
Essential: yes
Pre-Depends: a
Depends: b | c
Filename: pool/main/u/uno/one_2.3-4+b1_amd64.deb
Size: 10
SHA256: ` + sum + `

Package: two
Version: 1
Architecture: all
Filename: pool/main/t/two/two_1_all.deb
Size: 11
SHA256: ` + sum + `
`

func TestPackages(t *testing.T) {
	list, err := Packages([]byte(packagesText))
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 2 {
		t.Fatalf("%d packages", len(list))
	}
	one := list[0]
	if one.Source != "uno" || one.SourceVersion != "1:2.3-4" || !one.Essential || one.Depends != "a, b | c" ||
		one.File != (File{"pool/main/u/uno/one_2.3-4+b1_amd64.deb", 10, sum}) {
		t.Errorf("read %+v", one)
	}
	two := list[1]
	if two.Source != "two" || two.SourceVersion != "1" || two.Essential {
		t.Errorf("read %+v", two)
	}
	if got := packagesText[two.Start:two.End]; !strings.HasPrefix(got, "Package: two\n") || one.Start != 0 || one.End != two.Start {
		t.Errorf("place of the second: %q", got)
	}
}

func TestPackagesRefuses(t *testing.T) {
	for _, change := range [][2]string{
		{"Package: one", "Package: ../one"},
		{"Version: 1:2.3-4+b1", "Version: a b"},
		{"Architecture: amd64", "Architecture: -"},
		{"Source: uno (1:2.3-4)", "Source: uno (1"},
		{"Filename: pool/main/u", "Filename: pool/../../u"},
		{"Filename: pool/main/u", "Filename: /pool/main/u"},
		{"Filename: pool/main/u", "Filename: pool/%2e%2e/u"},
		{"Size: 10", "Size: -10"},
		{"SHA256: e3b", "SHA256: E3b"},
	} {
		text := strings.Replace(packagesText, change[0], change[1], 1)
		if _, err := Packages([]byte(text)); !errors.Is(err, ErrIndex) {
			t.Errorf("%s: got %v, want ErrIndex", change[1], err)
		}
	}
}

func TestSources(t *testing.T) {
	a := debtest.Archive{}
	text := a.AddSource("uno", "1", "main") + a.AddSource("due", "2", "main")
	list, err := Sources([]byte(text), func(name, _ string) bool { return name == "due" })
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 1 || list[0].Name != "due" || len(list[0].Files) != 2 || list[0].Files[0].Path != "pool/main/d/due/due_2.dsc" {
		t.Errorf("read %+v", list)
	}
	bad := strings.Replace(text, "due_2.dsc", "../due_2.dsc", 1)
	if _, err := Sources([]byte(bad), func(string, string) bool { return true }); !errors.Is(err, ErrIndex) {
		t.Errorf("a climbing file: %v", err)
	}
}

func TestDecompress(t *testing.T) {
	text := strings.Repeat("text ", 1000)
	for _, ending := range []string{"", ".gz", ".xz", ".zst"} {
		packed := debtest.Compress(t, ending, []byte(text))
		got, err := Decompress("Packages"+ending, packed)
		if err != nil || string(got) != text {
			t.Errorf("%s: %d bytes, %v", ending, len(got), err)
		}
		if ending != "" {
			if _, err := Decompress("Packages"+ending, packed[:len(packed)-1]); err == nil {
				t.Errorf("%s: cut off, and no error", ending)
			}
		}
	}
}

func TestCompareVersions(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{{"1.0", "1.0", 0}, {"1.0~rc1", "1.0", -1}, {"1:0", "2", 1}, {"1.10", "1.9", 1}, {"6.12.107-1", "6.12.117-1", -1}} {
		if got, err := CompareVersions(tt.a, tt.b); err != nil || got != tt.want {
			t.Errorf("%s, %s: %d, %v", tt.a, tt.b, got, err)
		}
	}
}

func FuzzPackages(f *testing.F) {
	f.Add([]byte(packagesText))
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := Packages(text)
		if err != nil {
			if !errors.Is(err, ErrIndex) {
				t.Fatal(err)
			}
			return
		}
		for _, p := range list {
			if !ValidPath(p.File.Path) || strings.Contains(p.File.Path, "..") && strings.Contains(p.File.Path, "/../") {
				t.Fatalf("path %q", p.File.Path)
			}
			again, err := Packages(text[p.Start:p.End])
			if err != nil || len(again) != 1 {
				t.Fatalf("cut out: %d, %v", len(again), err)
			}
			again[0].Start, again[0].End = p.Start, p.End
			if !reflect.DeepEqual(again[0], p) {
				t.Fatalf("cut out: %+v, not %+v", again[0], p)
			}
		}
	})
}

func FuzzSources(f *testing.F) {
	f.Add([]byte(debtest.Archive{}.AddSource("uno", "1", "main")))
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := Sources(text, func(string, string) bool { return true })
		if err == nil {
			for _, s := range list {
				for _, file := range s.Files {
					if !ValidPath(file.Path) || !ValidSHA256(file.SHA256) || file.Size < 0 {
						t.Fatalf("file %+v", file)
					}
				}
			}
		}
	})
}
