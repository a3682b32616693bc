package partition

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/mastercard/mangos/format/gpt"
	"github.com/mastercard/mangos/runtime/disk"
	"github.com/mastercard/mangos/runtime/recovery"
)

// loopDevice is a disk of the kernel: a file of 512 MiB behind a loop device.
func loopDevice(t *testing.T) *Linux {
	t.Helper()
	path := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, diskSize); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("losetup", "--partscan", "--find", "--show", path).Output()
	if err != nil {
		t.Skipf("no loop device to be had here (%v): the kernel's view of partitions is not tested", err)
	}
	node := strings.TrimSpace(string(out))
	t.Cleanup(func() { _ = exec.Command("losetup", "--detach", node).Run() })
	f, err := os.OpenFile(node, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return &Linux{Disk: &disk.Disk{Root: "/", Name: filepath.Base(node)}, File: f}
}

// The kernel shows partitions that no table has, and udev is told of them.
func TestAddAndRemove(t *testing.T) {
	l := loopDevice(t)
	p := gpt.Partition{Number: 10, Start: 8 << 20, Size: 16 << 20}
	node, err := l.Add(p)
	if err != nil {
		t.Fatal(err)
	}
	if want := "/dev/" + l.Disk.Name + "p10"; node != want {
		t.Errorf("shown as %s, want %s", node, want)
	}
	size, err := os.ReadFile(filepath.Join("/sys/class/block", filepath.Base(node), "size"))
	if err != nil || strings.TrimSpace(string(size)) != "32768" {
		t.Errorf("size %q, %v", size, err)
	}
	if err := l.Announce([]gpt.Partition{p}); err != nil {
		t.Error(err)
	}
	if _, err := l.Add(p); err == nil {
		t.Error("shown twice")
	}
	for range 2 { // one that is not there is no error
		if err := l.Remove(10); err != nil {
			t.Error(err)
		}
	}
	if _, err := l.Disk.PartitionNode(p); err == nil {
		t.Error("still shown")
	}
}

// What the kernel reads of a disk is what Complete wrote, through all the
// programs but those that need a device mapper.
func TestCompleteOnALoopDevice(t *testing.T) {
	l := loopDevice(t)
	table := image(0, 512)
	if err := table.Write(l.File); err != nil {
		t.Fatal(err)
	}
	now, err := gpt.Current(l.File, diskSize)
	if err != nil {
		t.Fatal(err)
	}
	b := boot(t)
	p := &Partitioner{Disk: l.File, Table: now, Root: root, Sizes: sizes, Machine: machine, Maker: b.Enrolment, Host: plain{l}, Show: show(b)}
	if made, err := p.Complete(t.Context()); err != nil || !made {
		t.Fatalf("%v, %v", made, err)
	}
	if _, err := gpt.Read(l.File, diskSize); err != nil {
		t.Fatal(err)
	}
	for _, part := range p.Table.Partitions {
		node, err := l.Disk.PartitionNode(part)
		if errors.Is(err, disk.ErrNoNode) {
			continue // was there before, and is not looked at
		}
		if err == nil {
			err = makeNode(node)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	states, err := b.Check(t.Context(), p.Table, machine, l.Disk.PartitionNode)
	if err != nil || len(states) != 3 {
		t.Fatalf("%+v, %v", states, err)
	}
	for _, s := range states {
		if s.Locked != nil {
			t.Errorf("%s: %v", s.Label, s.Locked)
		}
		tryTPM(t, b.Enrolment, s.Volume)
		if err := s.Volume.Test(t.Context(), []byte(b.key)); err != nil {
			t.Errorf("%s: the recovery key: %v", s.Label, err)
		}
	}
}

// plain is a kernel without a device mapper: volumes stay empty.
type plain struct{ *Linux }

// Add makes the device file, too, where nobody else does.
func (p plain) Add(part gpt.Partition) (string, error) {
	node, err := p.Linux.Add(part)
	if err != nil {
		return "", err
	}
	return node, makeNode(node)
}

// makeNode makes a device file in a container, whose /dev the kernel does not fill.
func makeNode(node string) error {
	text, err := os.ReadFile(filepath.Join("/sys/class/block", filepath.Base(node), "dev"))
	if err != nil {
		return err
	}
	var major, minor uint32
	if _, err := fmt.Sscanf(string(text), "%d:%d", &major, &minor); err != nil {
		return err
	}
	device := unix.Mkdev(major, minor)
	var have unix.Stat_t
	if unix.Stat(node, &have) == nil {
		if have.Rdev == device {
			return nil
		}
		if err := os.Remove(node); err != nil {
			return err
		}
	}
	return unix.Mknod(node, unix.S_IFBLK|0o600, int(device))
}

func (plain) Fill(context.Context, string, gpt.GUID, string, []byte) error { return nil }

// show notes the key that is shown.
func show(b *booted) func(recovery.Key) error {
	return func(key recovery.Key) error { b.key = key; return nil }
}
