package scenario

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mastercard/mangos/format/gpt"
	"github.com/mastercard/mangos/modules/vm/disk"
	"github.com/mastercard/mangos/modules/vm/probe"
)

// plaintext tries each kind by itself: next to another one that is refused, none is
// looked at any more. The third kind, /var, is tried in the second start of "system".
var plaintext = &Scenario{
	Name:    "plaintext",
	About:   "a partition that claims to be the machine's /var/tmp or swap, and is not encrypted, is on the disk: nothing is mounted or swapped to",
	Rows:    []string{"plaintext-tmp", "plaintext-swap"},
	Minutes: 2,
	run: func(ctx context.Context, t *Trial) error {
		for _, c := range []struct {
			row  string
			kind gpt.GUID
		}{
			{"plaintext-tmp", gpt.TypeTmp}, {"plaintext-swap", gpt.TypeSwap},
		} {
			t.stage([]string{c.row}, func() error { return t.plaintextAlone(ctx, c.row, c.kind) })
		}
		return nil
	},
}

func (t *Trial) plaintextAlone(ctx context.Context, row string, kind gpt.GUID) error {
	b := boot{vary: func(ctx context.Context, img *disk.Image) error { return t.Lab.addPlaintext(ctx, img, kind) }}
	return t.with(ctx, b, func(r *Run) error {
		facts, err := t.report(ctx, r, row)
		if err != nil {
			return err
		}
		reply, err := r.ask(ctx, probe.List, generated)
		if err != nil {
			return err
		}
		checkPlaintext(facts, reply.Names, func(other string, ok bool, format string, args ...any) {
			t.Expect(row, ok, other+": "+format, args...)
		})
		return nil
	})
}

// plaintextSize is the size of a partition that an attacker adds.
const plaintextSize = 16 << 20

// addPlaintext adds a partition to the disk that claims, by type and identifier, to be one
// that the machine uses, and is not encrypted (Discoverable Partitions Specification).
func (l *Lab) addPlaintext(ctx context.Context, img *disk.Image, kind gpt.GUID) error {
	p := gpt.Partition{Type: kind, ID: gpt.DeriveGUID("plaintext", kind.String()), Label: "plaintext", Size: plaintextSize}
	var content io.Reader
	switch kind {
	case gpt.TypeSwap:
		content = bytes.NewReader(swapHeader(plaintextSize))
	case gpt.TypeVar:
		id, err := varID(UUID)
		if err != nil {
			return err
		}
		p.ID = id
		fallthrough
	default:
		files, err := l.plaintextFiles(ctx)
		if err != nil {
			return fmt.Errorf("make a plaintext file system: %w", err)
		}
		content = bytes.NewReader(files)
	}
	return img.Append(p, content)
}

// plaintextFiles returns a file system with a file of the attacker.
func (l *Lab) plaintextFiles(ctx context.Context) ([]byte, error) {
	tree, out := filepath.Join(l.Work, "plaintext.tree"), filepath.Join(l.Work, "plaintext.erofs")
	if err := writeTree(tree, "lib/evil", []byte("evil\n"), 0o644); err != nil {
		return nil, err
	}
	if err := makeErofs(ctx, out, tree); err != nil {
		return nil, err
	}
	return os.ReadFile(out)
}

// swapHeader is the first page of a swap area of size bytes that swapon takes (union
// swap_header of linux/swap.h).
func swapHeader(size uint32) []byte {
	const page = 4096
	b := make([]byte, page)
	b[1024] = 1 // version, little endian
	last := size/page - 1
	b[1028], b[1029], b[1030], b[1031] = byte(last), byte(last>>8), byte(last>>16), byte(last>>24)
	copy(b[page-10:], "SWAPSPACE2")
	return b
}

// varID is the identifier that the specification wants of the /var of a machine: an HMAC
// of the type, keyed with the machine id, marked as a random UUID (sd_id128_get_app_specific).
func varID(machine string) (gpt.GUID, error) {
	key, err := hex.DecodeString(strings.ReplaceAll(machine, "-", ""))
	if err != nil {
		return gpt.GUID{}, fmt.Errorf("machine id %q: %w", machine, err)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write(gpt.TypeVar[:])
	var id gpt.GUID
	copy(id[:], mac.Sum(nil))
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return id, nil
}

// generated is where systemd-gpt-auto-generator puts the units that it makes of partitions.
const generated = "/run/systemd/generator.late"

// checkPlaintext wants systemd to have made nothing of the partitions: no unit, no mount, no
// swap. Of a /var nothing would be seen below the one of systemd.volatile=state; but who
// makes units of partitions turns down the whole disk when the policy refuses one of them,
// and makes none of the EFI system partition either, as it does otherwise.
func checkPlaintext(f *probe.Facts, units []string, expect expect) {
	for row, path := range map[string]string{"plaintext-var": "/var", "plaintext-tmp": "/var/tmp"} {
		expect(row, f.Errors["mounts"] == "", "mounts: %s", f.Errors["mounts"])
		if m, err := mountOf(f.Mounts, path); err == nil {
			expect(row, m.kind == "tmpfs" || strings.HasPrefix(m.source, "/dev/mapper/"), "%s is %s from %s", path, m.kind, m.source)
		}
	}
	expect("plaintext-var", !slices.ContainsFunc(units, isAutomount), "systemd did not turn down the disk: %q", units)
	expect("plaintext-tmp", !slices.Contains(units, "var-tmp.mount"), "systemd made a unit of it: %q", units)
	expect("plaintext-swap", !slices.ContainsFunc(units, isSwap), "systemd made a unit of it: %q", units)
	expect("plaintext-swap", f.Errors["swaps"] == "" && strings.Count(f.Swaps, "\n") == 0, "swaps: %q %s", f.Swaps, f.Errors["swaps"])
}

func isAutomount(name string) bool { return name == "boot.automount" || name == "efi.automount" }

func isSwap(name string) bool { return strings.HasSuffix(name, ".swap") }
