package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mastercard/mangos/format/gpt"
	"github.com/mastercard/mangos/format/verity"
	"github.com/mastercard/mangos/runtime/disk"
	"github.com/mastercard/mangos/runtime/firmware"
	"github.com/mastercard/mangos/runtime/partition"
	"github.com/mastercard/mangos/runtime/tpm"
)

const (
	// patience is how long disk and TPM may take to show up.
	patience = 60 * time.Second
	// scratch is a folder in memory.
	scratch = "run/mangos"
)

// A machine is what the verbs work on.
type machine struct {
	root      string // the tree
	hash      verity.RootHash
	id        partition.MachineID
	disk      *disk.Disk
	tpm       *tpm.TPM
	enrolment *partition.Enrolment
}

func (m *machine) close() { _ = m.tpm.Close() }

// open finds disk, TPM and identity.
func open(ctx context.Context, root string) (*machine, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	m := &machine{root: root}
	line, err := readText(filepath.Join(root, "proc/cmdline"))
	if err != nil {
		return nil, err
	}
	if m.hash, err = disk.RootHash(line); err != nil {
		return nil, err
	}
	if m.id, err = identity(root); err != nil {
		return nil, err
	}
	id := disk.RootPartition(m.hash)
	if m.disk, err = disk.Find(ctx, root, id); err != nil {
		return nil, fmt.Errorf("find the disk with the root partition %s: %w", id, err)
	}
	if m.tpm, err = tpm.Open(ctx, root); err != nil {
		return nil, fmt.Errorf("volumes are sealed to a TPM 2.0, without one there are none (%w). Turn it on in the firmware's settings", err)
	}
	if m.enrolment, err = partition.NewEnrolment(root, m.tpm, filepath.Join(root, scratch)); err != nil {
		m.close()
		return nil, err
	}
	return m, nil
}

// identity is the machine id that the firmware gives. systemd must have taken the
// same one, or it would look for other volumes.
func identity(root string) (partition.MachineID, error) {
	uuid, err := firmware.ProductUUID(root)
	if err != nil {
		return partition.MachineID{}, err
	}
	text, err := readText(filepath.Join(root, "etc/machine-id"))
	if err != nil {
		return partition.MachineID{}, err
	}
	if id := strings.TrimSpace(text); id != strings.ReplaceAll(uuid, "-", "") {
		return partition.MachineID{}, fmt.Errorf("the machine id is %.40q, and should be the firmware's UUID %s", id, uuid)
	}
	return partition.ParseMachineID(uuid)
}

func readText(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, 64<<10))
	return string(raw), err
}

// check looks at the volumes that the disk has.
func (m *machine) check(ctx context.Context, table *gpt.Table) ([]partition.State, error) {
	return m.enrolment.Check(ctx, table, m.id, m.disk.PartitionNode)
}
