package verify

import (
	"bytes"
	"fmt"

	"github.com/mastercard/mangos/format/gpt"
	"github.com/mastercard/mangos/modules/image/disk"
)

// wantTable is the partition table of a disk that is made of this release's partitions:
// the sizes of these are all that is taken from the disk's.
func (m *image) wantTable(found []gpt.Partition) *gpt.Table {
	var sizes [4]int64
	for i := range sizes {
		sizes[i] = found[i].Size
	}
	id, parts := disk.Bootable(m.root, m.manifest.Name+"_"+m.manifest.Version, sizes, [4]string{})
	t := &gpt.Table{SectorSize: diskSector, DiskID: id}
	for _, p := range parts {
		t.Partitions = append(t.Partitions, p.Partition)
	}
	t.Layout()
	return t
}

// diskSector is the size of sectors that a release's disk has.
const diskSector = 512

// checkDisk makes sure that the disk has nothing that no other check looks at: outside
// of the partitions there is the table, as it is written, and zeros.
func (m *image) checkDisk() (string, error) {
	if err := m.checkTable(); err != nil {
		return "", fmt.Errorf("%s: %w", m.names.Disk, err)
	}
	return fmt.Sprintf("%.1f MB unpacked, root and hash tree named by the root hash, nothing beside the partitions", float64(m.disk.size)/1e6), nil
}

func (m *image) checkTable() error {
	if m.disk.size != m.table.DiskSize {
		return fmt.Errorf("it has %d bytes, its partitions make %d", m.disk.size, m.table.DiskSize)
	}
	front, back, err := m.table.Encode()
	if err != nil {
		return err
	}
	if err := m.disk.checkBytes(0, 0, front); err != nil {
		return fmt.Errorf("partition table: %w", err)
	}
	end := m.disk.size - int64(len(back))
	if err := m.disk.checkBytes(end, 0, back); err != nil {
		return fmt.Errorf("second partition table: %w", err)
	}
	at := int64(len(front))
	for i, p := range m.table.Partitions {
		if err := m.disk.checkZeros(at, p.Start); err != nil {
			return fmt.Errorf("before partition %d: %w", i+1, err)
		}
		at = p.Start + p.Size
	}
	if err := m.disk.checkZeros(at, end); err != nil {
		return fmt.Errorf("behind the last partition: %w", err)
	}
	return nil
}

// checkESP makes sure that the file system that firmware reads is made of these files
// and of nothing else: it is made anew, and compared byte for byte.
func (m *image) checkESP(files map[string][]byte) error {
	start, size := m.table.Partitions[0].Start, m.table.Partitions[0].Size
	pieces, err := disk.ESPSpec(size, m.manifest.Epoch, files).Make()
	if err != nil {
		return err
	}
	at := int64(0)
	for _, p := range pieces {
		if err := m.disk.checkZeros(start+at, start+p.Offset); err != nil {
			return fmt.Errorf("bytes %d to %d of the file system: %w", at, p.Offset, err)
		}
		if err := m.disk.checkBytes(start, p.Offset, p.Bytes); err != nil {
			return fmt.Errorf("the file system is not what its files make: %w", err)
		}
		at = p.Offset + int64(len(p.Bytes))
	}
	if err := m.disk.checkZeros(start+at, start+size); err != nil {
		return fmt.Errorf("bytes %d to %d of the file system: %w", at, size, err)
	}
	return nil
}

// checkBytes makes sure that these bytes stand at a place behind start, from which the
// error counts.
func (s *sparse) checkBytes(start, at int64, want []byte) error {
	got := make([]byte, unpackUnit)
	for len(want) > 0 {
		n := min(len(want), len(got))
		if _, err := s.ReadAt(got[:n], start+at); err != nil {
			return err
		}
		if !bytes.Equal(got[:n], want[:n]) {
			i := 0
			for got[i] == want[i] {
				i++
			}
			return fmt.Errorf("byte %d is %#02x, want %#02x", at+int64(i), got[i], want[i])
		}
		want, at = want[n:], at+int64(n)
	}
	return nil
}
