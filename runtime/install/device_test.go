package install

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mastercard/mangos/format/gpt"
)

func file(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, targetSize); err != nil {
		t.Fatal(err)
	}
	return path
}

func (b *built) installOn(t *testing.T, path string) {
	t.Helper()
	d, err := OpenDevice(path)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := d.WriteAt(stale, b.Table.Partitions[0].Start+(512<<10)); err != nil { // where zeros go
		t.Fatal(err)
	}
	if err := b.install(t, b.Source(t), d); err != nil {
		t.Fatal(err)
	}
	if err := d.Reread(); err != nil {
		t.Fatal(err)
	}
	if table, err := gpt.Read(d, d.Size()); err != nil || table.SectorSize != d.SectorSize() {
		t.Errorf("%+v, %v", table, err)
	}
}

func TestInstallOnAFile(t *testing.T) {
	build(t, "1", nil).installOn(t, file(t))
}

func TestInstallOnBlockDevices(t *testing.T) {
	for _, sector := range []string{"512", "4096"} {
		out, err := exec.Command("losetup", "--partscan", "--find", "--show", "--sector-size", sector, file(t)).Output()
		if err != nil {
			t.Skipf("no loop device to be had here (%v): block devices are not tested", err)
		}
		node := strings.TrimSpace(string(out))
		t.Cleanup(func() { _ = exec.Command("losetup", "--detach", node).Run() })
		b := build(t, "1", nil)
		b.installOn(t, node)
		entries, err := filepath.Glob(node + "p*")
		if err == nil && len(entries) == 0 {
			t.Log("the kernel shows no partition at all: it seems to know no GPT")
		} else if err != nil || len(entries) != 4 {
			t.Errorf("sectors of %s: the kernel shows %v, %v", sector, entries, err)
		}
		first, err := OpenDevice(node)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := OpenDevice(node); !errors.Is(err, ErrInUse) {
			t.Errorf("opened twice: %v", err)
		}
		first.Close()
	}
}

func TestOpenDeviceRefuses(t *testing.T) {
	path := file(t)
	first, err := OpenDevice(path)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if _, err := OpenDevice(path); !errors.Is(err, ErrInUse) {
		t.Errorf("a file that is open: %v", err)
	}
	for _, path := range []string{"/dev/null", t.TempDir(), "/nowhere"} {
		if _, err := OpenDevice(path); err == nil {
			t.Errorf("%s was opened", path)
		}
	}
}
