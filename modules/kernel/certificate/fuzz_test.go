package certificate_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/mastercard/mangos/format/byterange"
	"github.com/mastercard/mangos/format/vmlinux"
	"github.com/mastercard/mangos/modules/kernel/certificate"
	"github.com/mastercard/mangos/modules/kernel/kerneltest"
)

// FuzzFind puts another head over that of a kernel, and gives it other symbols. An area that
// is found lies inside of the file; what is put into one that can be described comes out again.
func FuzzFind(f *testing.F) {
	kernel := kerneltest.Vmlinux()
	const list = 0xffffffff83000040
	const area, used, size = list + 16, list + 16 + kerneltest.Capacity, list + 16 + kerneltest.Capacity + 8
	const head = 64 + 4*56 // of the file, with four segments
	f.Add(kernel[:head], uint64(list), uint64(area), uint64(used), uint64(size))
	f.Add([]byte{}, uint64(list), uint64(area), uint64(used), uint64(size))
	f.Add(kernel[:64], uint64(list), uint64(used), uint64(area), uint64(size))
	f.Add(kernel[:head], uint64(list), uint64(area), uint64(area), uint64(size))
	f.Add([]byte("\x7fELF"), uint64(1), uint64(1<<63), uint64(1<<64-1), uint64(0))
	f.Fuzz(func(t *testing.T, start []byte, list, area, used, size uint64) {
		file := bytes.Clone(kernel)
		copy(file[:head], start)
		a, err := certificate.Find(file, certificate.Symbols{List: list, Area: area, Used: used, ListSize: size})
		if err != nil {
			if !errors.Is(err, certificate.ErrSymbol) && !errors.Is(err, vmlinux.ErrInvalid) {
				t.Fatal(err)
			}
			return
		}
		for _, r := range a.Ranges(0) {
			if r.Offset < 0 || r.Length < 1 || r.Offset+r.Length > int64(len(file)) {
				t.Fatalf("%+v is outside of the file", r)
			}
		}
		described := byterange.File{File: "vmlinux", Size: int64(len(file)), Ranges: a.Ranges(0)}
		if described.Check() != nil {
			return
		}
		before, der := bytes.Clone(file), []byte{0x30}
		if err := a.Insert(file, der); err != nil {
			if !errors.Is(err, certificate.ErrUsed) {
				t.Fatal(err)
			}
			return
		}
		if at, err := described.Outside(before, file); err != nil || at != -1 {
			t.Fatalf("byte %d outside of the ranges changed, %v", at, err)
		}
		if got, err := certificate.Remove(file, described.Ranges, der); err != nil || !bytes.Equal(got, before) {
			t.Fatalf("not as it was before: %v", err)
		}
	})
}

// FuzzRemove gives Remove files and ranges of all kinds. What it takes out of ranges that can
// be described goes in again, and gives the same file; it leaves the one it was given.
func FuzzRemove(f *testing.F) {
	kernel := make([]byte, 64)
	copy(kernel[8:], "certificate")
	kernel[32], kernel[40] = 11, 12
	f.Add(kernel, []byte("certificate"), int64(8), int64(24), int64(32), int64(40))
	f.Add(kernel, []byte("certificates"), int64(8), int64(24), int64(32), int64(40))
	f.Add(kernel, []byte{}, int64(-1), int64(1<<62), int64(1<<62), int64(60))
	f.Add(kernel, []byte("certificate"), int64(8), int64(1<<62), int64(32), int64(40))
	f.Fuzz(func(t *testing.T, file, der []byte, area, capacity, used, size int64) {
		file = file[:min(len(file), 64<<10)]
		given := bytes.Clone(file)
		ranges := []byterange.Range{{Offset: area, Length: capacity}, {Offset: used, Length: 4}, {Offset: size, Length: 8}}
		got, err := certificate.Remove(file, ranges, der)
		if !bytes.Equal(file, given) {
			t.Fatal("the file that was given is another one")
		}
		if err != nil {
			if !errors.Is(err, certificate.ErrUsed) && !errors.Is(err, byterange.ErrInvalid) {
				t.Fatal(err)
			}
			return
		}
		if (byterange.File{File: "vmlinux", Size: int64(len(file)), Ranges: ranges}).Check() != nil {
			return
		}
		a := certificate.Area{Certificate: uint64(area), Capacity: uint64(capacity), Used: uint64(used), ListSize: uint64(size)}
		if err := a.Insert(got, der); err != nil || !bytes.Equal(got, file) {
			t.Fatalf("not as it was before: %v", err)
		}
	})
}
