package difference_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/mastercard/mangos/compare/component"
	"github.com/mastercard/mangos/compare/content"
	"github.com/mastercard/mangos/compare/difference"
)

// FuzzCompare holds any two contents against each other, whatever formats they
// claim: something differs exactly where their bytes do, seen from both sides, and
// no more is kept than was asked for.
func FuzzCompare(f *testing.F) {
	archive := initrd(f, initrdMembers)
	other := initrd(f, initrdMembers[1:])
	erofs := make([]byte, 8192)
	binary.LittleEndian.PutUint32(erofs[1024:], 0xe0f5e1e2)
	later := newDeb()
	later.time++
	e, err := zstd.NewWriter(nil)
	must(f, err)
	for _, pair := range [][2][]byte{
		{archive, other}, {newDeb().bytes(f), later.bytes(f)}, {e.EncodeAll([]byte("one\ntwo\n"), nil), e.EncodeAll([]byte("two\none\n"), nil)},
		{erofs, append([]byte{1}, erofs[1:]...)}, {[]byte("on 2023-11-14\n"), []byte("on 2024-01-02\n")}, {nil, {0}},
		{append([]byte("\x7fELF\x02\x01\x01"), make([]byte, 500)...), append([]byte("MZ"), make([]byte, 500)...)},
	} {
		f.Add(pair[0], pair[1])
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		if len(a) > 1<<20 || len(b) > 1<<20 {
			return
		}
		const most = 50
		for _, pair := range [][2][]byte{{a, b}, {b, a}, {a, bytes.Clone(a)}} {
			x := component.New(component.Artifact, "x", content.Bytes(pair[0]))
			y := component.New(component.Artifact, "x", content.Bytes(pair[1]))
			r, err := difference.Compare(context.Background(), x, y, difference.Options{Max: most})
			if err != nil {
				t.Fatal(err)
			}
			if r.Same() != bytes.Equal(pair[0], pair[1]) {
				t.Errorf("%x\n%x\nare the same: %v; %s", pair[0], pair[1], r.Same(), dump(r))
			}
			if len(r.Findings) > most {
				t.Errorf("%d findings are kept", len(r.Findings))
			}
		}
	})
}
