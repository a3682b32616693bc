package initrd

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/mastercard/mangos/format/cpio"
)

const line = "roothash=00 quiet"

// pack compresses an archive and appends the command line.
func pack(t testing.TB, archive []byte) []byte {
	t.Helper()
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	var b bytes.Buffer
	if err := Append(&b, bytes.NewReader(z.EncodeAll(archive, nil)), line); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// member is a file, folder or link of an archive.
type member struct {
	name, content string
	mode          uint32
}

var small = []member{
	{"etc", "", cpio.TypeDir | 0o755}, {"etc/x", "content", cpio.TypeRegular | 0o644},
	{"init", "usr/init", cpio.TypeSymlink | 0o777}, {"z", "", cpio.TypeRegular | 0o600},
}

func archive(t testing.TB, members ...member) []byte {
	t.Helper()
	var b bytes.Buffer
	w := cpio.NewWriter(&b)
	for _, m := range members {
		err := w.WriteHeader(&cpio.Header{Name: m.name, Mode: m.mode, Size: int64(len(m.content))})
		if _, other := io.WriteString(w, m.content); errors.Join(err, other) != nil {
			t.Fatal(err, other)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestRead(t *testing.T) {
	var got []string
	err := Read(pack(t, archive(t, small...)), line, func(h *cpio.Header, content io.Reader) error {
		text, err := io.ReadAll(content)
		got = append(got, h.Name+":"+string(text))
		return err
	})
	if want := "etc:, etc/x:content, init:usr/init, z:"; err != nil || strings.Join(got, ", ") != want {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
	if err := Read(pack(t, archive(t, small...)), line, func(*cpio.Header, io.Reader) error { return nil }); err != nil {
		t.Errorf("content that nobody read: %v", err)
	}
}

// TestReadRefuses: what the kernel would unpack, and nobody would see.
func TestReadRefuses(t *testing.T) {
	good := archive(t, small...)
	// edit changes a text in the archive.
	edit := func(from, to string) []byte {
		if !bytes.Contains(good, []byte(from)) {
			t.Fatalf("the archive has no %q", from)
		}
		return pack(t, bytes.Replace(good, []byte(from), []byte(to), 1))
	}
	// fields are those of the header of etc/x, as they are written: its number, mode,
	// owner, group, and how many names it has.
	const fields = "00000002" + "000081a4" + "00000000" + "00000000" + "00000001"
	for name, initrd := range map[string][]byte{
		"nothing":                           nil,
		"no command line":                   pack(t, good)[:len(pack(t, good))-4],
		"another command line":              bytes.Replace(pack(t, good), []byte("quiet"), []byte("Quiet"), 1),
		"a third archive":                   append(pack(t, good), good...),
		"an archive before it":              append(bytes.Clone(good), pack(t, good)...),
		"an archive behind it":              pack(t, append(bytes.Clone(good), good...)),
		"zeros behind it":                   pack(t, append(bytes.Clone(good), 0, 0, 0, 0)),
		"no end":                            pack(t, good[:len(good)-124]),
		"a name that stands too late":       pack(t, archive(t, small[3], small[2])),
		"a name twice":                      pack(t, archive(t, small[3], small[3])),
		"a file in no folder":               pack(t, archive(t, small[1])),
		"a file in a link":                  pack(t, archive(t, member{"etc", "usr", cpio.TypeSymlink | 0o777}, small[1])),
		"a hard link":                       edit(fields, fields[:39]+"2"),
		"another owner":                     edit(fields, fields[:23]+"1"+fields[24:]),
		"a header in another spelling":      edit(fields, strings.ToUpper(fields)),
		"a padding that is not empty":       edit("content\x00", "contentx"),
		"compressed twice":                  pack(t, pack(t, good)),
		"a second frame before the archive": append(pack(t, nil), pack(t, good)...),
	} {
		err := Read(initrd, line, func(_ *cpio.Header, content io.Reader) error {
			_, err := io.Copy(io.Discard, content)
			return err
		})
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	wanted := errors.New("wanted")
	if err := Read(pack(t, good), line, func(*cpio.Header, io.Reader) error { return wanted }); !errors.Is(err, wanted) {
		t.Errorf("an error of the visitor: %v", err)
	}
}

// FuzzRead: each name comes once.
func FuzzRead(f *testing.F) {
	f.Add(archive(f, small...))
	f.Fuzz(func(t *testing.T, content []byte) {
		seen := map[string]bool{}
		visit := func(h *cpio.Header, content io.Reader) error {
			if seen[h.Name] {
				t.Errorf("%q comes twice", h.Name)
			}
			seen[h.Name] = true
			_, err := io.Copy(io.Discard, content)
			return err
		}
		members(bytes.NewReader(content), visit)
		Read(content, line, visit)
	})
}
