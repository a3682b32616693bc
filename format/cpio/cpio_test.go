package cpio

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

type member struct {
	Header
	content string
}

var sample = []member{
	{Header{Name: ".", Mode: TypeDir | 0o755}, ""},
	{Header{Name: "dev", Mode: TypeDir | 0o755}, ""},
	{Header{Name: "dev/null", Mode: TypeChar | 0o666, Major: 1, Minor: 3}, ""},
	{Header{Name: "file", Mode: TypeRegular | 0o644, Size: 5}, "hello"},
	{Header{Name: "empty", Mode: TypeRegular | 0o600}, ""},
	{Header{Name: "link", Mode: TypeSymlink | 0o777, Size: 4}, "file"},
	{Header{Name: "gr\u00f6\u00dfe", Mode: TypeRegular | 0o755, Size: 3}, "abc"},
}

func archive(t testing.TB, members []member) []byte {
	t.Helper()
	var b bytes.Buffer
	w := NewWriter(&b)
	for _, m := range members {
		if err := w.WriteHeader(&m.Header); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, m.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestRoundTrip(t *testing.T) {
	b := archive(t, sample)
	if len(b)%4 != 0 {
		t.Errorf("%d bytes: another archive could not follow", len(b))
	}
	r := NewReader(iotest.OneByteReader(bytes.NewReader(b)))
	for _, want := range sample {
		h, err := r.Next()
		if err != nil {
			t.Fatalf("%s: %v", want.Name, err)
		}
		if *h != want.Header {
			t.Errorf("got %+v, want %+v", *h, want.Header)
		}
		content, err := io.ReadAll(r)
		if err != nil || string(content) != want.content {
			t.Errorf("%s: %q, %v", want.Name, content, err)
		}
	}
	if _, err := r.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
}

func TestReaderSkipsContent(t *testing.T) {
	r := NewReader(bytes.NewReader(archive(t, sample)))
	for _, want := range sample {
		if h, err := r.Next(); err != nil || h.Name != want.Name {
			t.Fatalf("%+v, %v, want %s", h, err, want.Name)
		}
	}
}

func TestWriterRefuses(t *testing.T) {
	for _, h := range []Header{
		{Name: ""}, {Name: "/etc"}, {Name: "../up"}, {Name: "a/../b"}, {Name: "a//b"}, {Name: "TRAILER!!!"},
		{Name: "a\x00b"}, {Name: strings.Repeat("x", MaxName)}, {Name: "a", Mode: TypeRegular, Size: -1},
		{Name: "a", Mode: TypeRegular, Size: MaxSize + 1}, {Name: "a", Mode: TypeDir, Size: 1},
	} {
		if err := NewWriter(io.Discard).WriteHeader(&h); !errors.Is(err, ErrFormat) {
			t.Errorf("%.20q: %v", h.Name, err)
		}
	}
	w := NewWriter(io.Discard)
	if err := w.WriteHeader(&Header{Name: "a", Mode: TypeRegular, Size: 2}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, "abc"); !errors.Is(err, ErrFormat) {
		t.Errorf("too much content: %v", err)
	}
	if err := w.Close(); !errors.Is(err, ErrFormat) {
		t.Errorf("too little content: %v", err)
	}
}

func TestReaderRefuses(t *testing.T) {
	good := string(archive(t, sample[:4]))
	for name, text := range map[string]string{
		"nothing":          "",
		"cut off":          good[:len(good)-130],
		"another format":   strings.Replace(good, "070701", "070702", 1),
		"not a number":     "070701" + strings.Repeat("g", 104),
		"name outside":     strings.Replace(good, "dev/null", "../../nu", 1),
		"absolute name":    strings.Replace(good, "dev/null", "/dev/nul", 1),
		"NUL in the name":  strings.Replace(good, "dev/null", "dev\x00null", 1),
		"name of no bytes": strings.Replace(good, "00000002", "00000000", 1),
	} {
		r := NewReader(strings.NewReader(text))
		var err error
		for err == nil {
			_, err = r.Next()
		}
		if !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzReader(f *testing.F) {
	f.Add(archive(f, sample))
	f.Add(archive(f, nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := NewReader(bytes.NewReader(b))
		total := int64(0)
		for {
			h, err := r.Next()
			if err != nil {
				return
			}
			if err := checkName(h.Name); err != nil {
				t.Error(err)
			}
			n, err := io.Copy(io.Discard, r)
			if total += n; total > int64(len(b)) {
				t.Errorf("%d bytes of content out of %d", total, len(b))
			}
			if err == nil && n != h.Size {
				t.Errorf("%q: %d bytes, the header says %d", h.Name, n, h.Size)
			}
		}
	})
}
