package disk

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mastercard/mangos/format/gpt"
	"github.com/mastercard/mangos/runtime/disk/disktest"
)

var root = gpt.DeriveGUID("root")

func table(id gpt.GUID) *gpt.Table {
	t := &gpt.Table{SectorSize: 512, DiskID: gpt.DeriveGUID("disk"), Partitions: []gpt.Partition{
		{Type: gpt.TypeESP, ID: gpt.DeriveGUID("esp"), Label: "esp", Size: 1 << 20},
		{Type: gpt.TypeRoot, ID: id, Label: "root", Size: 1 << 20},
	}}
	t.Layout()
	return t
}

func TestFind(t *testing.T) {
	tree := t.TempDir()
	disktest.Add(t, tree, "vda", table(gpt.DeriveGUID("another")))
	disktest.Add(t, tree, "vdb", table(root))
	d, err := Find(t.Context(), tree, root)
	if err != nil || d.Name != "vdb" || len(d.Partitions(gpt.TypeESP)) != 1 {
		t.Fatalf("%+v, %v", d, err)
	}
	node, err := d.PartitionNode(d.Partitions(gpt.TypeRoot)[0])
	if err != nil || !strings.HasSuffix(node, "/dev/vdb2") {
		t.Errorf("%q, %v", node, err)
	}
	if _, err := d.PartitionNode(gpt.Partition{Start: 4096, Size: 4096}); !errors.Is(err, ErrNoNode) {
		t.Errorf("got %v", err)
	}
}

// The second copy of the table is gone where the change of a table was cut off.
func TestFindWithoutSecondTable(t *testing.T) {
	tree := t.TempDir()
	node := disktest.Add(t, tree, "vda", table(root))
	info, err := os.Stat(node)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(node, info.Size()-512); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(node, info.Size()); err != nil {
		t.Fatal(err)
	}
	if d, err := Find(t.Context(), tree, root); err != nil || d.Name != "vda" {
		t.Fatalf("%+v, %v", d, err)
	}
}

func TestFindTakesNoVirtualDisk(t *testing.T) {
	tree := t.TempDir()
	disktest.Add(t, tree, "loop0", table(root))
	if err := os.Remove(filepath.Join(tree, "sys/class/block/loop0")); err != nil {
		t.Fatal(err)
	}
	disktest.Link(t, tree, "loop0", "devices/virtual/block/loop0")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if d, err := Find(ctx, tree, root); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("%+v, %v", d, err)
	}
}

func TestNodeNames(t *testing.T) {
	if got := (&Disk{Root: "/", Name: "cciss!c0d0"}).Node(); got != "/dev/cciss/c0d0" {
		t.Errorf("got %q", got)
	}
}
