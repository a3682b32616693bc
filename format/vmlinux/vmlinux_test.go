package vmlinux_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/mastercard/mangos/format/vmlinux"
)

// kernel makes an ELF file with one note and two loadable segments, at the
// given offset in the file.
func kernel(offset int, text, data []byte) []byte {
	file := make([]byte, offset)
	copy(file, "\x7fELF\x02\x01\x01")
	binary.LittleEndian.PutUint16(file[18:], 62)
	binary.LittleEndian.PutUint64(file[32:], 64)
	binary.LittleEndian.PutUint16(file[54:], 56)
	binary.LittleEndian.PutUint16(file[56:], 3)
	header := func(i int, typ uint32, at, address, size, memory uint64) {
		h := file[64+56*i:]
		binary.LittleEndian.PutUint32(h, typ)
		binary.LittleEndian.PutUint64(h[8:], at)
		binary.LittleEndian.PutUint64(h[16:], address)
		binary.LittleEndian.PutUint64(h[32:], size)
		binary.LittleEndian.PutUint64(h[40:], memory)
	}
	header(0, 4, 0, 0, 8, 8)
	header(1, 1, uint64(offset), 0xffffffff81000000, uint64(len(text)), uint64(len(text)))
	header(2, 1, uint64(offset+len(text)), 0xffffffff82000000, uint64(len(data)), 4096)
	return append(append(file, text...), data...)
}

func TestSameLooksAtWhatIsLoaded(t *testing.T) {
	a := kernel(256, []byte("text"), []byte("data"))
	b := append(kernel(512, []byte("text"), []byte("data")), "relocations"...)
	if err := vmlinux.Same(a, b); err != nil {
		t.Error(err)
	}
	err := vmlinux.Same(a, kernel(256, []byte("text"), []byte("daTa")))
	if !errors.Is(err, vmlinux.ErrDifferent) || !strings.Contains(err.Error(), "0xffffffff82000002") {
		t.Errorf("changed byte: %v", err)
	}
	if err := vmlinux.Same(a, kernel(256, []byte("text"), []byte("data more"))); !errors.Is(err, vmlinux.ErrDifferent) {
		t.Errorf("longer segment: %v", err)
	}
}

func TestOffset(t *testing.T) {
	file := kernel(256, []byte("text"), []byte("data"))
	segments, err := vmlinux.Segments(file)
	if err != nil {
		t.Fatal(err)
	}
	at, err := vmlinux.Offset(segments, 0xffffffff82000001, 3)
	if err != nil || !bytes.Equal(file[at:at+3], []byte("ata")) {
		t.Errorf("offset %d, %v", at, err)
	}
	for _, address := range []uint64{0xffffffff82000002, 0xffffffff82000005, 0, 0xffffffffffffffff} {
		if at, err := vmlinux.Offset(segments, address, 3); !errors.Is(err, vmlinux.ErrInvalid) {
			t.Errorf("%#x: offset %d, %v", address, at, err)
		}
	}
}

func FuzzSegments(f *testing.F) {
	f.Add(kernel(256, []byte("text"), []byte("data")))
	f.Fuzz(func(t *testing.T, file []byte) {
		segments, err := vmlinux.Segments(file)
		if err != nil {
			return
		}
		for _, s := range segments {
			_ = file[s.Offset : s.Offset+s.Size]
		}
		if err := vmlinux.Same(file, file); err != nil {
			t.Fatal(err)
		}
	})
}
