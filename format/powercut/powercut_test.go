package powercut

import (
	"bytes"
	"errors"
	"testing"
)

func content(t *testing.T, d *Disk) []byte {
	t.Helper()
	b := make([]byte, d.Size())
	if _, err := d.ReadAt(b, 0); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestCut(t *testing.T) {
	d := New(16 << 10)
	synced := bytes.Repeat([]byte{1}, 1024)
	if _, err := d.WriteAt(synced, 100); err != nil {
		t.Fatal(err)
	}
	if err := d.Sync(); err != nil {
		t.Fatal(err)
	}
	d.StopAfter(3)
	n, err := d.WriteAt(bytes.Repeat([]byte{2}, 8192), 512)
	if !errors.Is(err, ErrCut) || n != 3*1024 {
		t.Fatalf("took %d bytes, %v", n, err)
	}
	if err := d.Sync(); !errors.Is(err, ErrCut) {
		t.Fatalf("sync without power: %v", err)
	}
	if b := content(t, d); b[511] != 1 || b[512] != 2 || b[512+3071] != 2 || b[512+3072] != 0 {
		t.Fatal("what was written cannot be read")
	}
	if b := content(t, d.Survivor(func() bool { return false })); !bytes.Equal(b[100:1124], synced) || b[1124] != 0 {
		t.Fatal("what was synced is gone, or what was not is there")
	}
	i := 0
	b := content(t, d.Survivor(func() bool { i++; return i == 2 }))
	if b[512] != 1 || b[1536] != 2 || b[2559] != 2 || b[2560] != 0 {
		t.Fatal("not the second write alone")
	}
}
