// Package disktest makes fake trees of sysfs with disks in them, for tests.
package disktest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/mastercard/mangos/format/gpt"
)

// Add shows a disk with its partitions in the tree at root, as one on a PCI bus,
// and writes its partition table to its device file, which is returned.
func Add(t testing.TB, root, name string, table *gpt.Table) (node string) {
	t.Helper()
	node = filepath.Join(root, "dev", name)
	write(t, node, "")
	f, err := os.OpenFile(node, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(table.DiskSize); err != nil {
		t.Fatal(err)
	}
	if err := table.Write(f); err != nil {
		t.Fatal(err)
	}
	device := "devices/pci0000:00/block/" + name
	dir := filepath.Join(root, "sys", device)
	write(t, filepath.Join(dir, "size"), fmt.Sprintln(table.DiskSize/512))
	for i, p := range table.Partitions {
		part := fmt.Sprintf("%s%d", name, table.Numbers()[i])
		write(t, filepath.Join(dir, part, "partition"), fmt.Sprintln(table.Numbers()[i]))
		write(t, filepath.Join(dir, part, "start"), fmt.Sprintln(p.Start/512))
		write(t, filepath.Join(dir, part, "size"), fmt.Sprintln(p.Size/512))
		Link(t, root, part, device+"/"+part)
	}
	Link(t, root, name, device)
	return node
}

// Link makes the entry of /sys/class/block that points to a device.
func Link(t testing.TB, root, name, device string) {
	t.Helper()
	class := filepath.Join(root, "sys/class/block")
	if err := os.MkdirAll(class, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join("../..", device), filepath.Join(class, name)); err != nil {
		t.Fatal(err)
	}
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
