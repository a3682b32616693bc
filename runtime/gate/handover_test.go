package gate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/mastercard/mangos/format/gpt"
	"github.com/mastercard/mangos/format/verity"
	"github.com/mastercard/mangos/runtime/console"
	"github.com/mastercard/mangos/runtime/disk/disktest"
)

func parseHash(t *testing.T, text string) verity.RootHash {
	t.Helper()
	h, err := verity.ParseRootHash(text)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// signature is a root-verity-sig partition's content for the hash.
func signature(t *testing.T, text string) []byte {
	t.Helper()
	raw, err := (&verity.Signature{Root: parseHash(t, text), PKCS7: []byte("signature of " + text)}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// addDisk writes a disk with an ESP, a root whose identifier comes from the
// hash, and the given signature partitions, and shows it in sysfs.
func addDisk(t *testing.T, root, name string, sector int64, rootHash string, signatures ...[]byte) {
	t.Helper()
	h := parseHash(t, rootHash)
	table := &gpt.Table{SectorSize: sector, DiskID: gpt.DeriveGUID(name), Partitions: []gpt.Partition{
		{Type: gpt.TypeESP, ID: gpt.DeriveGUID(name, "esp"), Label: "esp", Size: 1 << 20},
		{Type: gpt.TypeRoot, ID: gpt.GUID(h[:16]), Label: "root", Size: 1 << 20},
	}}
	for i, s := range signatures {
		table.Partitions = append(table.Partitions, gpt.Partition{
			Type: gpt.TypeRootVeritySig, ID: gpt.DeriveGUID(name, fmt.Sprint(i)), Label: fmt.Sprintf("sig%d", i), Size: int64(len(s)),
		})
	}
	table.Layout()
	f, err := os.OpenFile(disktest.Add(t, root, name, table), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for i, s := range signatures {
		if _, err := f.WriteAt(s, table.Partitions[2+i].Start); err != nil {
			t.Fatal(err)
		}
	}
}

const otherHash = "1000000000000000000000000000000000000000000000000000000000000001"

func handOver(t *testing.T, root string) (string, error) {
	t.Helper()
	write(t, filepath.Join(root, "dev/console"), "")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	err := HandOver(ctx, root, console.Open(root))
	der, rerr := os.ReadFile(filepath.Join(root, SignatureFile))
	if rerr != nil && !errors.Is(rerr, os.ErrNotExist) {
		t.Fatal(rerr)
	}
	return string(der), err
}

func wordOf(err error) string {
	var r *Refusal
	if errors.As(err, &r) {
		return r.Word
	}
	return fmt.Sprint(err)
}

func TestHandOverSignature(t *testing.T) {
	garbage := bytes.Repeat([]byte("x"), 4096)
	for _, sector := range []int64{512, 4096} {
		for _, c := range []struct {
			name       string
			signatures [][]byte
			want       string
		}{
			{"one", [][]byte{signature(t, hash)}, "<nil>"},
			{"the second slot's", [][]byte{signature(t, otherHash), signature(t, hash)}, "<nil>"},
			{"beside garbage", [][]byte{garbage, signature(t, hash)}, "<nil>"},
			{"none", nil, NoSignature},
			{"another hash's", [][]byte{signature(t, otherHash)}, NoSignature},
			{"garbage", [][]byte{garbage}, BadSignature},
			{"empty", [][]byte{make([]byte, 16384)}, BadSignature},
			{"huge", [][]byte{make([]byte, verity.MaxSignature+4096)}, BadSignature},
		} {
			root := tree(t, nil)
			addDisk(t, root, "vda", sector, otherHash, signature(t, hash))
			addDisk(t, root, "vdb", sector, hash, c.signatures...)
			der, err := handOver(t, root)
			if wordOf(err) != c.want {
				t.Errorf("%d, %s: %v", sector, c.name, err)
			}
			if want := "signature of " + hash; (der == want) != (err == nil) {
				t.Errorf("%d, %s: handed over %q", sector, c.name, der)
			}
		}
	}
}

func TestHandOverWithoutDisk(t *testing.T) {
	root := tree(t, nil)
	addDisk(t, root, "vda", 512, otherHash, signature(t, hash))
	if _, err := handOver(t, root); wordOf(err) != NoRootDisk {
		t.Errorf("got %v", err)
	}
}

// A disk image in a loop device, or one that a partition pretends to be, is not
// where the root comes from.
func TestVirtualDisksDoNotCount(t *testing.T) {
	root := tree(t, nil)
	addDisk(t, root, "vda", 512, hash, signature(t, hash))
	if err := os.Remove(filepath.Join(root, "sys/class/block/vda")); err != nil {
		t.Fatal(err)
	}
	disktest.Link(t, root, "vda", "devices/virtual/block/vda")
	if _, err := handOver(t, root); wordOf(err) != NoRootDisk {
		t.Errorf("got %v", err)
	}
}

func TestImageOnALargerDisk(t *testing.T) {
	root := tree(t, nil)
	addDisk(t, root, "vda", 512, hash, signature(t, hash))
	node := filepath.Join(root, "dev/vda")
	info, err := os.Stat(node)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(node, info.Size()+(8<<20)); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(root, "sys/devices/pci0000:00/block/vda/size"), fmt.Sprintf("%d\n", (info.Size()+(8<<20))/512))
	if _, err := handOver(t, root); err != nil {
		t.Errorf("got %v", err)
	}
}
