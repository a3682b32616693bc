package tar

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// archive writes members of a format, each with its own name as content.
func archive(t testing.TB, format tar.Format, names ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range names {
		err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(name)), Typeflag: tar.TypeReg, Format: format})
		if err == nil {
			_, err = io.WriteString(w, name)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func all(text []byte) (list []*Member, err error) {
	r := NewReader(bytes.NewReader(text), int64(len(text)))
	for {
		m, err := r.Next()
		if errors.Is(err, io.EOF) {
			return list, nil
		}
		if err != nil {
			return list, err
		}
		list = append(list, m)
	}
}

// TestOffsets: the content lies where it is said to, whatever headers go before it.
func TestOffsets(t *testing.T) {
	long := strings.Repeat("long/", 60) + "name"
	for format, names := range map[tar.Format][]string{
		tar.FormatUSTAR: {"a", "some/folder/b"}, tar.FormatPAX: {"a", long, "ü", "c"}, tar.FormatGNU: {long, "a", long + "er"},
	} {
		text := archive(t, format, names...)
		list, err := all(text)
		if err != nil || len(list) != len(names) {
			t.Fatalf("%v: %v, %v", format, list, err)
		}
		for n, m := range list {
			if got := string(text[m.Offset : m.Offset+m.Size]); m.Name != names[n] || got != names[n] {
				t.Errorf("%v: the content of %q is %q", format, m.Name, got)
			}
		}
	}
}

func TestNextRefuses(t *testing.T) {
	good := archive(t, tar.FormatUSTAR, "a", "b")
	broken := bytes.Clone(good)
	broken[100] ^= 1 // the mode: the checksum is wrong
	for name, text := range map[string][]byte{"a cut header": good[:1024+100], "a wrong checksum": broken} {
		if _, err := all(text); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
	big := archive(t, tar.FormatUSTAR, strings.Repeat("n", 90))
	if list, err := all(big[:512+50]); len(list) > 0 || !errors.Is(err, ErrFormat) {
		t.Errorf("a content that goes beyond the end: %v, %v", list, err)
	}
	many := bytes.Repeat(archive(t, tar.FormatUSTAR, "")[:512], MaxMembers+1)
	if list, err := all(many); !errors.Is(err, ErrFormat) || len(list) != MaxMembers {
		t.Errorf("more members than are read: %d, %v", len(list), err)
	}
}

// TestLinkWithSize: a link has no content, whatever size stands in its header.
func TestLinkWithSize(t *testing.T) {
	text := archive(t, tar.FormatUSTAR, "a", "b")
	text[156] = tar.TypeLink
	sum := 0
	for n, c := range text[:512] {
		if n >= 148 && n < 156 {
			c = ' '
		}
		sum += int(c)
	}
	copy(text[148:], fmt.Sprintf("%06o\x00 ", sum))
	list, err := all(append(text[:512:512], text[1024:]...))
	if err != nil || len(list) != 2 || list[0].Size != 0 || list[1].Name != "b" {
		t.Errorf("%v, %v", list, err)
	}
}

// TestOracle: an archive that tar made, with a hole in one file.
func TestOracle(t *testing.T) {
	if _, err := exec.LookPath("tar"); err != nil {
		t.Skip("needs tar")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a"), []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("a", filepath.Join(dir, "l")); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(dir, "hole"))
	if err == nil {
		err = f.Truncate(1 << 20)
	}
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	pack := func(args ...string) []byte {
		t.Helper()
		text, err := exec.Command("tar", append([]string{"-C", dir, "-cf", "-"}, args...)...).Output()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	for _, format := range []string{"gnu", "pax", "ustar"} {
		text := pack("--format="+format, "a", "l")
		list, err := all(text)
		if err != nil || len(list) != 2 || string(text[list[0].Offset:list[0].Offset+list[0].Size]) != "text" || list[1].Linkname != "a" {
			t.Errorf("%s: %v, %v", format, list, err)
		}
	}
	for _, format := range []string{"gnu", "pax"} {
		if _, err := all(pack("--format="+format, "--sparse", "hole")); !errors.Is(err, ErrSparse) {
			t.Errorf("%s: a sparse file: %v", format, err)
		}
	}
}

// FuzzNext: no content makes it panic, and no member lies outside of the archive.
func FuzzNext(f *testing.F) {
	for _, format := range []tar.Format{tar.FormatUSTAR, tar.FormatPAX, tar.FormatGNU} {
		f.Add(archive(f, format, "a", "b"))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := all(text)
		if err != nil && !errors.Is(err, ErrFormat) && !errors.Is(err, ErrSparse) {
			t.Errorf("the error is %v", err)
		}
		for _, m := range list {
			if m.Offset < 0 || m.Size < 0 || m.Offset+m.Size > int64(len(text)) {
				t.Errorf("%+v", m)
			}
		}
	})
}
