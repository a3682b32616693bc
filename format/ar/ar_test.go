package ar

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// member is a header with a content.
func member(name string, time int, content string) string {
	h := fmt.Sprintf("%-16s%-12d%-6d%-6d%-8o%-10d`\n%s", name, time, 1, 2, 0o100644, len(content), content)
	return h + strings.Repeat("\n", len(content)%2)
}

func read(text string) ([]Member, error) {
	return Read(strings.NewReader(text), int64(len(text)))
}

// said is what of a member the tests look at.
func said(text string, m Member) string {
	return fmt.Sprintf("%s %d %d:%d %o %v %q", m.Name, m.Time, m.UID, m.GID, m.Mode, m.Table, text[m.Offset:m.Offset+m.Size])
}

func TestRead(t *testing.T) {
	table := fmt.Sprintf("%-48s%-10d`\n%s", "//", 20, "a-very-long-name.o/\n")
	text := Magic + member("/", 3, "four") + table + member("debian-binary", 7, "2.0\n") + member("odd/", 0, "odd") +
		member("/0", 1, "long") + member("#1/8", 1, "bsd.o\x00\x00\x00content")
	list, err := read(text)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range list {
		got = append(got, said(text, m))
	}
	want := []string{
		`/ 3 1:2 100644 true "four"`, `// 0 0:0 0 true "a-very-long-name.o/\n"`, `debian-binary 7 1:2 100644 false "2.0\n"`,
		`odd 0 1:2 100644 false "odd"`, `a-very-long-name.o 1 1:2 100644 false "long"`, `bsd.o 1 1:2 100644 false "content"`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestReadRefuses(t *testing.T) {
	good := member("a", 0, "text")
	for name, text := range map[string]string{
		"nothing":               "",
		"another magic":         "!<thin>\n" + good,
		"half a header":         Magic + good[:30],
		"no end of a header":    Magic + strings.Replace(good, "`", "'", 1),
		"a cut member":          Magic + good[:len(good)-1],
		"a negative size":       Magic + strings.Replace(good, "4         `", "-4        `", 1),
		"a huge size":           Magic + strings.Replace(good, "4         `", "9999999999`", 1),
		"a number that is none": Magic + strings.Replace(good, "100644", "100648", 1),
		"a name without table":  Magic + member("/0", 0, "text"),
		"a name beyond it":      Magic + member("//", 0, "name/\n") + member("/6", 0, "text"),
		"a name without end":    Magic + member("//", 0, "name") + member("/0", 0, "text"),
		"two tables":            Magic + member("//", 0, "name/\n") + member("//", 0, "name/\n"),
		"a name and no room":    Magic + member("#1/5", 0, "text") + good,
	} {
		if list, err := read(text); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v, %v", name, list, err)
		}
	}
	many := Magic + strings.Repeat(member("a", 0, ""), MaxMembers+1)
	if _, err := read(many); !errors.Is(err, ErrFormat) {
		t.Errorf("more members than are read: %v", err)
	}
}

// TestOracle: what ar makes is read, and what it prints of each member is the content.
func TestOracle(t *testing.T) {
	if _, err := exec.LookPath("ar"); err != nil {
		t.Skip("needs ar (package binutils)")
	}
	dir := t.TempDir()
	names := []string{"short", "odd-sized", "a-name-that-is-longer-than-a-header-holds.o"}
	for n, name := range names {
		if err := os.WriteFile(filepath.Join(dir, name), bytes.Repeat([]byte(name), n+1), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(args ...string) []byte {
		t.Helper()
		c := exec.Command("ar", args...)
		c.Dir = dir
		text, err := c.Output()
		if err != nil {
			t.Fatalf("ar %v: %v", args, err)
		}
		return text
	}
	run(append([]string{"rcS", "x.a"}, names...)...)
	text, err := os.ReadFile(filepath.Join(dir, "x.a"))
	if err != nil {
		t.Fatal(err)
	}
	list, err := Read(bytes.NewReader(text), int64(len(text)))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range list {
		if m.Table {
			continue
		}
		got = append(got, m.Name)
		if want := run("p", "x.a", m.Name); !bytes.Equal(text[m.Offset:m.Offset+m.Size], want) {
			t.Errorf("%s: another content than ar prints", m.Name)
		}
	}
	if strings.Join(got, "\n") != strings.TrimSpace(string(run("t", "x.a"))) {
		t.Errorf("members are %q", got)
	}
}

// FuzzRead: no content makes it panic, and no member lies outside of the archive.
func FuzzRead(f *testing.F) {
	f.Add([]byte(Magic + member("a", 0, "text")))
	f.Add([]byte(Magic + member("//", 0, "name/\n") + member("/0", 0, "text")))
	f.Add([]byte(Magic + member("#1/4", 0, "text")))
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := Read(bytes.NewReader(text), int64(len(text)))
		if err != nil && !errors.Is(err, ErrFormat) {
			t.Errorf("the error is %v", err)
		}
		for _, m := range list {
			if m.Offset < 0 || m.Size < 0 || m.Offset+m.Size > int64(len(text)) || m.Time < 0 {
				t.Errorf("%+v", m)
			}
		}
	})
}
