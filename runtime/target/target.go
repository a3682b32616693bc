// Package target lists the disks of a machine as places to install to, with what
// a person needs to know them by, and why one is not to be had.
package target

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/mastercard/mangos/format/gpt"
	"github.com/mastercard/mangos/runtime/install"
)

var (
	// ErrNone: no disk is what was asked for.
	ErrNone = errors.New("no such disk")
	// ErrAmbiguous: more than one is.
	ErrAmbiguous = errors.New("more than one disk is meant")
)

// A Disk is a whole disk.
type Disk struct {
	// Name is the kernel's, Path the device file.
	Name, Path string
	// Links are its names in /dev/disk/by-id and by-path.
	Links []string
	Model string
	// Serial is empty where the disk has none.
	Serial string
	// Bus is "nvme", "ata", "usb", "virtio", "scsi", "mmc" or "other".
	Bus        string
	Size       int64
	SectorSize int64
	Removable  bool
	// Contents says what is on it, "" for nothing at all.
	Contents string
	// Refusal is why it cannot be installed to, "" where it can.
	Refusal string

	table *gpt.Table
}

// Code is what a person types to say that this disk's contents may go: six
// letters that stand for model, serial number and size.
func (d *Disk) Code() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "mangos target\x00%s\x00%s\x00%d", d.Model, d.Serial, d.Size))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:])[:6])
}

// String is one line about the disk.
func (d *Disk) String() string {
	words := []string{d.Path, size(d.Size), d.Bus}
	for _, word := range []string{d.Model, d.Serial} {
		if word != "" {
			words = append(words, word)
		}
	}
	return strings.Join(words, "  ")
}

// File is a file as a place to install to: an image to be.
func File(path string, minimum int64) (*Disk, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: %w: no regular file", path, ErrNone)
	}
	d := &Disk{Name: filepath.Base(path), Path: path, Bus: "file", Size: info.Size(), SectorSize: 512}
	d.look(path)
	if d.Size < minimum {
		d.Refusal = tooSmall(minimum)
	}
	return d, nil
}

// size in the units of who sells disks.
func size(n int64) string {
	units := []string{"B", "kB", "MB", "GB", "TB", "PB"}
	f, u := float64(n), 0
	for f >= 999.5 && u < len(units)-1 {
		f, u = f/1000, u+1
	}
	return strconv.FormatFloat(f, 'g', 3, 64) + " " + units[u]
}

// maxDisks bounds how many disks are looked at.
const maxDisks = 256

// List looks at the disks of the tree at root ("/" on a machine), in the order of
// their names. minimum is the least size in bytes of a target.
func List(root string, minimum int64) ([]*Disk, error) {
	class := filepath.Join(root, "sys/class/block")
	entries, err := os.ReadDir(class)
	if err != nil {
		return nil, fmt.Errorf("list disks: %w", err)
	}
	used, err := readUses(root)
	if err != nil {
		return nil, fmt.Errorf("list disks: %w", err)
	}
	links := readLinks(root)
	var all []*Disk
	for _, e := range entries[:min(len(entries), maxDisks)] {
		device, err := filepath.EvalSymlinks(filepath.Join(class, e.Name()))
		if err != nil || strings.Contains(device, "/devices/virtual/") || exists(filepath.Join(device, "partition")) {
			continue
		}
		d := describe(root, e.Name(), device)
		d.Links = links[d.Name]
		d.Refusal = refusal(root, d, device, used, minimum)
		all = append(all, d)
	}
	return all, nil
}

func describe(root, name, device string) *Disk {
	d := &Disk{Name: name, Path: "/dev/" + strings.ReplaceAll(name, "!", "/"), Bus: bus(device)}
	d.Model = strings.TrimSpace(text(device, "device/vendor") + " " + text(device, "device/model"))
	if strings.HasPrefix(d.Model, "0x") { // virtio has a number there
		d.Model = ""
	}
	for _, file := range []string{"device/serial", "serial", "device/vpd_pg80", "wwid"} {
		if d.Serial = text(device, file); d.Serial != "" {
			break
		}
	}
	d.Size = number(device, "size") * 512
	d.SectorSize = number(device, "queue/logical_block_size")
	d.Removable = number(device, "removable") == 1
	d.look(filepath.Join(root, d.Path))
	return d
}

// bus is the last bus on the way to the device.
func bus(device string) string {
	for _, b := range []struct{ mark, name string }{
		{"/usb", "usb"}, {"/nvme", "nvme"}, {"/mmc_host", "mmc"}, {"/virtio", "virtio"}, {"/ata", "ata"}, {"/host", "scsi"},
	} {
		if strings.Contains(device, b.mark) {
			return b.name
		}
	}
	return "other"
}

// look finds out what is on the disk. What cannot be read counts as something.
func (d *Disk) look(node string) {
	f, err := os.Open(node)
	if err != nil {
		d.Contents = "cannot be read"
		return
	}
	defer f.Close()
	d.Contents, d.table = contents(f, d.Size)
}

// contents says what is on a disk.
func contents(r io.ReaderAt, size int64) (string, *gpt.Table) {
	if t, err := gpt.Current(r, size); err == nil {
		return partitions(t), t
	}
	const ends = 1 << 20
	head := make([]byte, min(size, ends))
	tail := make([]byte, min(size, ends))
	for _, end := range []struct {
		b  []byte
		at int64
	}{{head, 0}, {tail, size - int64(len(tail))}} {
		if _, err := r.ReadAt(end.b, end.at); err != nil && !errors.Is(err, io.EOF) {
			return "cannot be read", nil
		}
	}
	if install.Unfinished(head) {
		return "an installation of mangos that is not finished", nil
	}
	for _, s := range signatures {
		if len(head) >= s.at+len(s.text) && string(head[s.at:s.at+len(s.text)]) == s.text {
			return s.name, nil
		}
	}
	if len(bytes.Trim(head, "\x00")) > 0 || len(bytes.Trim(tail, "\x00")) > 0 {
		return "something unknown", nil
	}
	return "", nil
}

// signatures of what disks hold without a partition table, the telling ones first.
var signatures = []struct {
	at   int
	text string
	name string
}{
	{0, "LUKS\xba\xbe", "a LUKS volume"},
	{512, "LABELONE", "an LVM volume"},
	{0x438, "\x53\xef", "an ext file system"},
	{0, "XFSB", "an XFS file system"},
	{0x10040, "_BHRfS_M", "a btrfs file system"},
	{3, "NTFS    ", "an NTFS file system"},
	{0x8001, "CD001", "an ISO 9660 image"},
	{510, "\x55\xaa", "a DOS partition table"},
}

// partitions lists what a partition table has. Installed systems are known by
// the labels of their roots.
func partitions(t *gpt.Table) string {
	var labels []string
	for _, p := range t.Partitions {
		if p.Type == gpt.TypeRoot && strings.Contains(p.Label, "_") && p.Label != "_empty" {
			return fmt.Sprintf("the system %s, %d partitions", clean(p.Label), len(t.Partitions))
		}
		if p.Label != "" {
			labels = append(labels, clean(p.Label))
		}
	}
	if len(labels) > 4 {
		labels = append(labels[:4], "...")
	}
	return strings.TrimRight(fmt.Sprintf("%d partitions: %s", len(t.Partitions), strings.Join(labels, ", ")), ": ")
}

// clean leaves the printable ASCII of a text from outside.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e {
			return -1
		}
		return r
	}, s[:min(len(s), 64)])
}

// text reads one of sysfs's words.
func text(device, name string) string {
	f, err := os.Open(filepath.Join(device, name))
	if err != nil {
		return ""
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, 256))
	if err != nil {
		return ""
	}
	return strings.Join(strings.Fields(clean(string(raw))), " ")
}

func number(device, name string) int64 {
	n, err := strconv.ParseInt(text(device, name), 10, 54)
	if err != nil {
		return 0
	}
	return max(n, 0)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// readLinks returns the stable names of disks, by the kernel's.
func readLinks(root string) map[string][]string {
	links := map[string][]string{}
	for _, kind := range []string{"by-id", "by-path"} {
		folder := filepath.Join(root, "dev/disk", kind)
		entries, err := os.ReadDir(folder)
		if err != nil {
			continue // no udev
		}
		for _, e := range entries {
			if to, err := os.Readlink(filepath.Join(folder, e.Name())); err == nil {
				name := filepath.Base(to)
				links[name] = append(links[name], "/dev/disk/"+kind+"/"+e.Name())
			}
		}
	}
	return links
}

// Select returns the disk that selector means: a device file, a name of
// /dev/disk/by-id or by-path word for word, or else a part of model or serial
// number, in either case, that only one disk has. Errors wrap ErrNone, or
// ErrAmbiguous and list the candidates.
func Select(all []*Disk, selector string) (*Disk, error) {
	var found []*Disk
	part := strings.ToLower(selector)
	for _, d := range all {
		if d.Path == selector || slices.Contains(d.Links, selector) {
			return d, nil
		}
		if selector != "" && !strings.Contains(selector, "/") &&
			(strings.Contains(strings.ToLower(d.Model), part) || strings.Contains(strings.ToLower(d.Serial), part)) {
			found = append(found, d)
		}
	}
	switch len(found) {
	case 0:
		return nil, fmt.Errorf("%q: %w", selector, ErrNone)
	case 1:
		return found[0], nil
	}
	var lines []string
	for _, d := range found {
		lines = append(lines, "  "+d.String())
	}
	return nil, fmt.Errorf("%q: %w:\n%s", selector, ErrAmbiguous, strings.Join(lines, "\n"))
}
