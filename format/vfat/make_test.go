package vfat

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// spec is a volume with names of all kinds.
func spec(size int64) Spec {
	s := Spec{Size: size, Serial: 0x89abcdef, Label: "ESP", Time: time.Unix(1767323045, 0), Files: map[string][]byte{}}
	for i, name := range []string{
		"EFI/BOOT/BOOTX64.EFI", "EFI/Linux/mangos_1.2+3.efi", "EFI/other/mangos-tryout_1.2~rc1+3.efi", "loader/loader.conf",
		"mangos/extensions/org.confext.raw", "mangos/extensions/12345678.abc", "mangos/a/os_1+3.efi", "mangos/a/my-os_1.efi", "mangos/a/my-os+.efi",
		"mangos/a/os_1.2.efi", "mangos/a/a.b", "Abc.efi", "lower.TXT", "os+3.efi", "a+b+c+d+e.raw", "abc.d.e", "noext", "verylongnoext",
		"x~1.efi", "ab.conf", "1.2.3.efi", "1234567890abcd", "UPPER.TX", "b/abcdefghi.efi", "empty",
	} {
		if s.Files[name] = bytes.Repeat([]byte{byte('a' + i)}, i*1200); name == "empty" {
			s.Files[name] = nil
		}
	}
	return s
}

// lay lays the pieces into a volume.
func lay(t testing.TB, s Spec) []byte {
	t.Helper()
	pieces, err := s.Make()
	must(t, err)
	b := make([]byte, s.Size)
	end := int64(0)
	for _, p := range pieces {
		if p.Offset < end {
			t.Fatalf("a piece at %d, the one before ends at %d", p.Offset, end)
		}
		end = p.Offset + int64(copy(b[p.Offset:], p.Bytes))
	}
	return b
}

// TestMake: mkfs.vfat and mtools make the same bytes.
func TestMake(t *testing.T) {
	for _, size := range []int64{4 << 20, 40 << 20, 150 << 20, 257 << 20} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			s := spec(size)
			image := byTools(t, s)
			want, err := os.ReadFile(image)
			must(t, err)
			got := lay(t, s)
			if len(got) != len(want) {
				t.Fatalf("%d bytes, the tools make %d", len(got), len(want))
			}
			for i := range got {
				if got[i] != want[i] {
					t.Fatalf("byte %#x is %#x, the tools make %#x", i, got[i], want[i])
				}
			}
		})
	}
}

func byTools(t *testing.T, s Spec) string {
	t.Helper()
	t.Setenv("SOURCE_DATE_EPOCH", fmt.Sprint(s.Time.Unix()))
	t.Setenv("TZ", "UTC")
	image, source := filepath.Join(t.TempDir(), "esp"), filepath.Join(t.TempDir(), "source")
	run(t, "mkfs.vfat", "-F", "32", "-S", "4096", "-s", "1", "-n", s.Label, "--invariant",
		"-i", fmt.Sprintf("%x", s.Serial), "-C", image, fmt.Sprint(s.Size/1024))
	var names, folders []string
	for name := range s.Files {
		names = append(names, name)
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			folders = append(folders, dir)
		}
	}
	slices.Sort(names)
	slices.Sort(folders)
	for _, dir := range slices.Compact(folders) {
		run(t, "mmd", "-i", image, "::/"+dir)
	}
	for _, name := range names {
		must(t, os.WriteFile(source, s.Files[name], 0o600))
		run(t, "mcopy", "-i", image, source, "::/"+name)
	}
	return image
}

// TestMadeIsRead: the reader finds what the maker has put there.
func TestMadeIsRead(t *testing.T) {
	s := spec(8 << 20)
	files, err := readAll(lay(t, s), Limits{Depth: 3, Entries: 100, Bytes: 1 << 20})
	must(t, err)
	for name, content := range s.Files {
		if !bytes.Equal(files[name], content) {
			t.Errorf("%s has %d bytes, want %d", name, len(files[name]), len(content))
		}
	}
	if len(files) != len(s.Files) {
		t.Errorf("%d files, want %d", len(files), len(s.Files))
	}
}

// TestMakeRefuses: nothing is made that the tools would make in another way.
func TestMakeRefuses(t *testing.T) {
	many := map[string][]byte{}
	for i := range 200 {
		many[fmt.Sprint(i)] = nil
	}
	for name, change := range map[string]func(s *Spec){
		"odd size":         func(s *Spec) { s.Size++ },
		"small":            func(s *Spec) { s.Size = 1 << 17 },
		"large":            func(s *Spec) { s.Size = 4 << 30 },
		"label":            func(s *Spec) { s.Label = "esp" },
		"long label":       func(s *Spec) { s.Label = strings.Repeat("A", 12) },
		"time":             func(s *Spec) { s.Time = time.Unix(0, 0) },
		"no room":          func(s *Spec) { s.Files = map[string][]byte{"a": make([]byte, s.Size)} },
		"many":             func(s *Spec) { s.Files = many },
		"other letters":    func(s *Spec) { s.Files = map[string][]byte{"ä": nil} },
		"a dot":            func(s *Spec) { s.Files = map[string][]byte{".a": nil} },
		"a path":           func(s *Spec) { s.Files = map[string][]byte{"../a": nil} },
		"short names":      func(s *Spec) { s.Files = map[string][]byte{"abcdefghi": nil, "abcdefghj": nil} },
		"cases":            func(s *Spec) { s.Files = map[string][]byte{"a": nil, "A": nil} },
		"a file as folder": func(s *Spec) { s.Files = map[string][]byte{"a": nil, "a/b": nil} },
	} {
		s := spec(4 << 20)
		change(&s)
		if _, err := s.Make(); !errors.Is(err, ErrMake) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzMake: what is made of foreign names is read again, or is not made.
func FuzzMake(f *testing.F) {
	for name := range spec(4 << 20).Files {
		f.Add(name, []byte("x"))
	}
	f.Fuzz(func(t *testing.T, name string, content []byte) {
		s := Spec{Size: 4 << 20, Label: "ESP", Time: time.Unix(1767323045, 0), Files: map[string][]byte{name: content}}
		if _, err := s.Make(); errors.Is(err, ErrMake) {
			return
		}
		files, err := readAll(lay(t, s), Limits{Depth: 1000, Entries: 1000, Bytes: 4 << 20})
		if err != nil || len(files) != 1 || !bytes.Equal(files[name], content) {
			t.Errorf("%q of %d bytes: %d files, %v", name, len(content), len(files), err)
		}
	})
}
