package target

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mastercard/mangos/format/gpt"
	"github.com/mastercard/mangos/format/verity"
	"github.com/mastercard/mangos/runtime/disk/disktest"
)

var root = verity.RootHash{1, 2, 3}

// machine is a tree of sysfs with disks.
type machine struct {
	t    *testing.T
	root string
}

func newMachine(t *testing.T) machine {
	m := machine{t, t.TempDir()}
	m.write("proc/self/mountinfo", "21 1 253:1 / / rw - ext4 /dev/vdz1 rw\n")
	m.write("sys/class/block/.keep", "")
	if err := os.Remove(filepath.Join(m.root, "sys/class/block/.keep")); err != nil {
		t.Fatal(err)
	}
	return m
}

func (m machine) write(path, text string) {
	m.t.Helper()
	path = filepath.Join(m.root, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		m.t.Fatal(err)
	}
}

// add adds a disk of 64 MiB with an installed system, changed as told.
func (m machine) add(name string, files map[string]string) {
	m.t.Helper()
	table := &gpt.Table{SectorSize: 512, DiskID: gpt.DeriveGUID(name), Partitions: []gpt.Partition{
		{Type: gpt.TypeESP, ID: gpt.DeriveGUID(name, "esp"), Label: "esp", Size: 1 << 20},
		{Type: gpt.TypeRoot, ID: gpt.GUID(root[:16]), Label: "mangos_1\x1b[2J", Size: 1 << 20},
	}}
	table.Layout()
	table.DiskSize = 64 << 20
	disktest.Add(m.t, m.root, name, table)
	device := "sys/devices/pci0000:00/block/" + name + "/"
	for file, text := range map[string]string{"queue/logical_block_size": "512\n", "device/model": "Model " + name + "\n", "device/serial": "S-" + name + "\n"} {
		if _, given := files[file]; !given {
			m.write(device+file, text)
		}
	}
	for file, text := range files {
		m.write(device+file, text)
	}
}

// blank overwrites a disk's first MiB and last one.
func (m machine) blank(name string, head []byte) {
	m.t.Helper()
	f, err := os.OpenFile(filepath.Join(m.root, "dev", name), os.O_WRONLY, 0)
	if err != nil {
		m.t.Fatal(err)
	}
	defer f.Close()
	for _, at := range []int64{0, 63 << 20} {
		if _, err := f.WriteAt(make([]byte, 1<<20), at); err != nil {
			m.t.Fatal(err)
		}
	}
	if _, err := f.WriteAt(head, 0); err != nil {
		m.t.Fatal(err)
	}
}

func (m machine) list(minimum int64) map[string]*Disk {
	m.t.Helper()
	all, err := List(m.root, minimum)
	if err != nil {
		m.t.Fatal(err)
	}
	byName := map[string]*Disk{}
	for _, d := range all {
		byName[d.Name] = d
	}
	return byName
}

func TestList(t *testing.T) {
	m := newMachine(t)
	m.add("sda", map[string]string{"device/vendor": "ATA     ", "device/model": "Disk\x1b 1000   \n"})
	m.add("sdb", nil)
	m.blank("sdb", nil)
	m.write("dev/disk/by-id/.keep", "")
	if err := os.Symlink("../../sda", filepath.Join(m.root, "dev/disk/by-id/ata-Disk_1")); err != nil {
		t.Fatal(err)
	}
	disktest.Link(t, m.root, "loop0", "devices/virtual/block/loop0")
	m.write("sys/devices/virtual/block/loop0/size", "1000\n")
	all := m.list(0)
	if len(all) != 2 {
		t.Fatalf("%+v", all)
	}
	a, b := all["sda"], all["sdb"]
	if a.Model != "ATA Disk 1000" || a.Serial != "S-sda" || a.Size != 64<<20 || a.Contents != "the system mangos_1[2J, 2 partitions" || a.Refusal != "" ||
		a.Path != "/dev/sda" || len(a.Links) != 1 {
		t.Errorf("%+v", a)
	}
	if b.Contents != "" || b.Refusal != "" || a.Code() == b.Code() || len(a.Code()) != 6 {
		t.Errorf("%+v, %s, %s", b, a.Code(), b.Code())
	}
	if got := a.String(); got != "/dev/sda  67.1 MB  other  ATA Disk 1000  S-sda" {
		t.Errorf("%q", got)
	}
	if twins := Twins([]*Disk{a, b}, b, root); len(twins) != 1 || twins[0] != a {
		t.Errorf("%v", twins)
	}
}

func TestRefusals(t *testing.T) {
	m := newMachine(t)
	m.add("sda", map[string]string{"size": "0\n"})
	m.add("sdb", map[string]string{"ro": "1\n"})
	m.add("sdc", map[string]string{"sdc2/dev": "8:34\n"})
	m.add("sdd", map[string]string{"sdd1/holders/dm-0": ""})
	m.add("sde", nil)
	m.add("sdf", nil)
	m.add("sdg", map[string]string{"queue/logical_block_size": "520\n"})
	m.add("sdh", map[string]string{"dev": "8:112\n"})
	m.add("sdi", nil)
	m.write("proc/self/mountinfo", "21 1 8:34 / /srv rw - ext4 x rw\n22 1 8:112 / /mnt\x1b rw - ext4 x rw\n")
	m.write("proc/swaps", "Filename Type Size\n/dev/sde1 partition 1\n")
	id := gpt.DeriveGUID("sdf", "esp").String()
	var utf16 strings.Builder
	for _, c := range strings.ToUpper(id) + "\x00" {
		fmt.Fprintf(&utf16, "%c\x00", c)
	}
	m.write("sys/firmware/efi/efivars/LoaderDevicePartUUID-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f", "\x06\x00\x00\x00"+utf16.String())
	all := m.list(100 << 20)
	for name, want := range map[string]string{
		"sda": "no medium", "sdb": "read-only", "sdc": "mounted at /srv", "sdd": "used by dm-0", "sde": "used for swap",
		"sdf": "started from it", "sdg": "sectors have 520", "sdh": "mounted at /mnt", "sdi": "too small",
	} {
		if got := all[name].Refusal; !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestContents(t *testing.T) {
	m := newMachine(t)
	at := func(offset int, text string) []byte { return append(make([]byte, offset), text...) }
	for want, head := range map[string][]byte{
		"":                      nil,
		"a LUKS volume":         at(0, "LUKS\xba\xbe\x00\x02"),
		"an ext file system":    at(0x438, "\x53\xef"),
		"a DOS partition table": at(510, "\x55\xaa"),
		"an ISO 9660 image":     at(0x8001, "CD001"),
		"something unknown":     at(700000, "x"),
		"an installation of mangos that is not finished": at(512<<10, "mangos: an installation that is not finished: "),
	} {
		name := fmt.Sprintf("sd%c", 'a'+len(m.list(0)))
		m.add(name, nil)
		m.blank(name, head)
		if got := m.list(0)[name].Contents; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestSelect(t *testing.T) {
	all := []*Disk{
		{Path: "/dev/sda", Model: "Disk One", Serial: "A1", Links: []string{"/dev/disk/by-id/x"}},
		{Path: "/dev/sdb", Model: "Disk Two", Serial: "B2"},
	}
	for selector, want := range map[string]string{"/dev/sdb": "/dev/sdb", "/dev/disk/by-id/x": "/dev/sda", "one": "/dev/sda", "b2": "/dev/sdb"} {
		if d, err := Select(all, selector); err != nil || d.Path != want {
			t.Errorf("%q: %+v, %v", selector, d, err)
		}
	}
	for _, selector := range []string{"", "/dev/sd", "/dev/sdc", "three", "/dev/disk/by-id/y"} {
		if _, err := Select(all, selector); !errors.Is(err, ErrNone) {
			t.Errorf("%q: %v", selector, err)
		}
	}
	_, err := Select(all, "disk")
	if !errors.Is(err, ErrAmbiguous) || !strings.Contains(err.Error(), "/dev/sda") || !strings.Contains(err.Error(), "B2") {
		t.Errorf("got %v", err)
	}
}

func FuzzContents(f *testing.F) {
	f.Add([]byte("LUKS\xba\xbe"))
	f.Fuzz(func(t *testing.T, disk []byte) {
		text, _ := contents(strings.NewReader(string(disk)), int64(len(disk)))
		if text != clean(text) && len(text) < 64 {
			t.Fatalf("%q", text)
		}
	})
}
