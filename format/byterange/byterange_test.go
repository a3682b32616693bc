package byterange_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/mastercard/mangos/format/byterange"
)

func described() byterange.File {
	return byterange.File{File: "f", Size: 10, Ranges: []byterange.Range{
		{Offset: 2, Length: 3, What: "a"}, {Offset: 5, Length: 1, What: "b"}, {Offset: 8, Length: 2, What: "c"},
	}}
}

func TestOutsideFindsEachByteThatMayNotDiffer(t *testing.T) {
	f, a := described(), []byte("0123456789")
	inside := map[int]bool{2: true, 3: true, 4: true, 5: true, 8: true, 9: true}
	for i := range a {
		b := bytes.Clone(a)
		b[i] ^= 1
		at, err := f.Outside(a, b)
		if err != nil {
			t.Fatal(err)
		}
		da, _ := f.Digest(a)
		db, _ := f.Digest(b)
		if want := !inside[i]; (at == int64(i)) != want || (at == -1) == want || (da != db) != want {
			t.Errorf("byte %d: Outside = %d, digests equal %v, may differ: %v", i, at, da == db, inside[i])
		}
	}
}

func TestDescriptionsThatContradict(t *testing.T) {
	for _, text := range []string{
		`{"files":[{"file":"f","size":4,"ranges":[{"offset":2,"length":3,"what":"w"}]}]}`,
		`{"files":[{"file":"f","size":4,"ranges":[{"offset":2,"length":0,"what":"w"}]}]}`,
		`{"files":[{"file":"f","size":4,"ranges":[{"offset":-1,"length":1,"what":"w"}]}]}`,
		`{"files":[{"file":"f","size":9,"ranges":[{"offset":4,"length":2,"what":"w"},{"offset":5,"length":1,"what":"w"}]}]}`,
		`{"files":[{"file":"f","size":9,"ranges":[{"offset":9223372036854775807,"length":2,"what":"w"}]}]}`,
		`{"files":[{"file":"f","size":1,"ranges":[]},{"file":"f","size":1,"ranges":[]}]}`,
		`{"files":[],"more":1}`, `{"files":[]}{}`, ``, strings.Repeat(" ", byterange.MaxSize+1),
	} {
		if _, err := byterange.Read(strings.NewReader(text)); !errors.Is(err, byterange.ErrInvalid) {
			t.Errorf("%.80s: %v, want ErrInvalid", text, err)
		}
	}
	if _, err := described().Outside(make([]byte, 10), make([]byte, 11)); !errors.Is(err, byterange.ErrInvalid) {
		t.Errorf("another length: %v", err)
	}
}

func FuzzRead(f *testing.F) {
	text, err := (&byterange.Set{Files: []byterange.File{described()}}).JSON()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Fuzz(func(t *testing.T, text []byte) {
		set, err := byterange.Read(bytes.NewReader(text))
		if err != nil {
			return
		}
		again, err := set.JSON()
		if err != nil {
			t.Fatalf("accepted, but not written: %v", err)
		}
		if _, err := byterange.Read(bytes.NewReader(again)); err != nil {
			t.Fatalf("written, but not read: %v", err)
		}
	})
}
