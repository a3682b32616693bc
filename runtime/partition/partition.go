package partition

import (
	"context"
	"errors"
	"fmt"

	"github.com/mastercard/mangos/format/gpt"
	"github.com/mastercard/mangos/format/verity"
	"github.com/mastercard/mangos/runtime/luks"
	"github.com/mastercard/mangos/runtime/recovery"
)

// A Partitioner lays out one disk.
type Partitioner struct {
	// Disk is the whole disk, Table what gpt.Current reads of it.
	Disk  gpt.Disk
	Table *gpt.Table
	// Root is the hash of the running root: its slot is the model of the other.
	Root    verity.RootHash
	Sizes   Sizes
	Machine MachineID
	Maker   Maker
	Host    Host
	// Show shows the recovery key to a person. It is called when the volumes are
	// ready, before they count: so a volume in use is one whose key was shown. A
	// start that was cut off afterwards makes other volumes, and shows another key.
	Show func(recovery.Key) error
}

// Maker makes encrypted volumes.
type Maker interface {
	// Make returns the luks.HeaderSize first bytes of a volume that the TPM
	// opens, and the recovery key; and the passphrase that the TPM gives.
	Make(ctx context.Context, id gpt.GUID, label string, key recovery.Key) (header, passphrase []byte, err error)
}

// Host is what the kernel does to a disk in use.
type Host interface {
	// Add makes the kernel show a partition, whatever the table on the disk
	// says, and returns its device file.
	Add(p gpt.Partition) (node string, err error)
	// Remove takes it away again. One that is not shown is no error.
	Remove(number int) error
	// Fill opens a volume, and makes the file system (or swap area) in it that
	// is wanted for a partition of that type.
	Fill(ctx context.Context, node string, kind gpt.GUID, label string, passphrase []byte) error
	// Announce tells whoever watches devices that the partitions are there.
	Announce(added []gpt.Partition) error
}

// Complete makes what the disk lacks, and says whether that was anything. What is
// there is not touched. Errors wrap ErrSmall or ErrLayout where the disk is the
// reason.
func (p *Partitioner) Complete(ctx context.Context) (made bool, err error) {
	next, added, err := plan(p.Table, p.Root, p.Sizes, p.Machine)
	if err != nil {
		return false, fmt.Errorf("lay out disk: %w", err)
	}
	if len(added) == 0 {
		return false, nil
	}
	key := recovery.New()
	passphrases, err := p.writeHeaders(ctx, added, key)
	if err != nil {
		return false, fmt.Errorf("lay out disk: %w", err)
	}
	if err := p.fill(ctx, added, passphrases); err != nil {
		return false, fmt.Errorf("lay out disk: %w", err)
	}
	if len(passphrases) > 0 {
		if err := p.Show(key); err != nil {
			return false, fmt.Errorf("show recovery key: %w", err)
		}
	}
	if err := next.Update(p.Disk); err != nil {
		return false, fmt.Errorf("lay out disk: %w", err)
	}
	p.Table = next
	return true, p.Host.Announce(added)
}

// writeHeaders writes the beginning of each new partition: the header of a
// volume; zeros where there is nothing yet, over what another system may have
// left there. It returns the passphrases of the volumes, by their type.
//
// All of it is on the disk when it returns: the kernel reads a partition past
// what it keeps of the disk in memory.
func (p *Partitioner) writeHeaders(ctx context.Context, added []gpt.Partition, key recovery.Key) (map[gpt.GUID][]byte, error) {
	passphrases := map[gpt.GUID][]byte{}
	for _, a := range added {
		start := make([]byte, min(a.Size, gpt.Align))
		if isVolume(a.Type) {
			header, passphrase, err := p.Maker.Make(ctx, a.ID, a.Label, key)
			if err != nil {
				return nil, fmt.Errorf("volume %s: %w", a.Label, err)
			}
			start, passphrases[a.Type] = header, passphrase
		}
		if _, err := p.Disk.WriteAt(start, a.Start); err != nil {
			return nil, fmt.Errorf("partition %s: %w", a.Label, err)
		}
	}
	return passphrases, p.Disk.Sync()
}

func isVolume(kind gpt.GUID) bool {
	for _, v := range volumes {
		if v.kind == kind {
			return true
		}
	}
	return false
}

// fill makes the kernel show the new partitions, and makes the file systems.
// Where that fails they are taken away again.
func (p *Partitioner) fill(ctx context.Context, added []gpt.Partition, passphrases map[gpt.GUID][]byte) (err error) {
	defer func() {
		if err == nil {
			return
		}
		for _, a := range added {
			err = errors.Join(err, p.Host.Remove(a.Number))
		}
	}()
	for _, a := range added {
		node, err := p.Host.Add(a)
		if err != nil {
			return fmt.Errorf("partition %s: %w", a.Label, err)
		}
		if passphrase := passphrases[a.Type]; passphrase != nil {
			if err := p.Host.Fill(ctx, node, a.Type, a.Label, passphrase); err != nil {
				return fmt.Errorf("volume %s: %w", a.Label, err)
			}
		}
	}
	return nil
}

// Reset removes the volumes, so that Complete makes new ones: their headers with
// the keys first, then their partitions. done is called when what is left is the
// disk of a first start: then the request for the reset may go. Until then a
// power cut must leave the request, for this to be called again.
func (p *Partitioner) Reset(done func() error) error {
	next := *p.Table
	next.Partitions = nil
	zeros := make([]byte, luks.HeaderSize)
	for i, v := range p.Table.Partitions {
		v.Number = p.Table.Numbers()[i]
		if !isVolume(v.Type) {
			next.Partitions = append(next.Partitions, v)
			continue
		}
		if err := p.Host.Remove(v.Number); err != nil {
			return fmt.Errorf("reset volume %s: %w", v.Label, err)
		}
		if _, err := p.Disk.WriteAt(zeros[:min(v.Size, luks.HeaderSize)], v.Start); err != nil {
			return fmt.Errorf("reset volume %s: %w", v.Label, err)
		}
	}
	if err := p.Disk.Sync(); err != nil {
		return fmt.Errorf("reset volumes: %w", err)
	}
	if err := next.Update(p.Disk); err != nil {
		return fmt.Errorf("reset volumes: %w", err)
	}
	p.Table = &next
	return done()
}
