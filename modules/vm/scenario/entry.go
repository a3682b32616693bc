package scenario

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/mastercard/mangos/format/gpt"
	"github.com/mastercard/mangos/modules/vm/disk"
	"github.com/mastercard/mangos/modules/vm/probe"
)

// entry has systemd-boot pass another command line. systemd-stub does not take it under
// Secure Boot; but systemd-boot measures it, and so the gate sees that somebody tried.
var entry = &Scenario{
	Name:    "boot-entry",
	About:   "a boot entry runs the signed kernel image with another command line",
	Rows:    []string{"boot-entry"},
	Minutes: 0.5,
	run: func(ctx context.Context, t *Trial) error {
		return t.with(ctx, boot{vary: t.Lab.putEntry, deadline: stopDeadline}, func(r *Run) error {
			r.until(ctx, Denied)
			t.expectStop("boot-entry", r, "pcr-12")
			t.Expect("boot-entry", !r.says(refusal("command-line")), "the command line was taken")
			return nil
		})
	},
}

// putEntry adds a boot entry that runs the signed UKI with another command line, makes it
// the default, and opens the menu's editor.
func (l *Lab) putEntry(ctx context.Context, img *disk.Image) error {
	esp, err := img.ESP()
	if err != nil {
		return err
	}
	uki, err := findUKI(ctx, esp)
	if err != nil {
		return err
	}
	entry := "title mangos\nefi " + uki + "\noptions init=/usr/bin/bash systemd.debug_shell=ttyS0 dm_verity.require_signatures=0 console=ttyS0\n"
	if err := esp.Write(ctx, "/loader/entries/evil.conf", []byte(entry)); err != nil {
		return err
	}
	return esp.Write(ctx, "/loader/loader.conf", []byte("default evil.conf\ntimeout 0\neditor yes\n"))
}

// findUKI returns the path of the one UKI on the ESP.
func findUKI(ctx context.Context, esp *disk.ESP) (string, error) {
	files, err := esp.List(ctx, "/EFI/Linux")
	if err != nil {
		return "", err
	}
	var found []string
	for _, f := range files {
		if strings.HasSuffix(strings.ToLower(f), ".efi") {
			found = append(found, f)
		}
	}
	if len(found) != 1 {
		return "", fmt.Errorf("%w: %d unified kernel images on its ESP: %q", ErrRelease, len(found), found)
	}
	return found[0], nil
}

// addVar adds a partition to the disk that claims, by type and identifier, to be the
// machine's /var, and is not encrypted (Discoverable Partitions Specification).
func (l *Lab) addVar(ctx context.Context, img *disk.Image) error {
	id, err := varID(UUID)
	if err != nil {
		return err
	}
	tree, out := filepath.Join(l.Work, "var.tree"), filepath.Join(l.Work, "var.erofs")
	if err := writeTree(tree, "lib/evil", []byte("evil\n"), 0o644); err != nil {
		return err
	}
	if output, err := exec.CommandContext(ctx, "mkfs.erofs", "--quiet", out, tree).CombinedOutput(); err != nil {
		return fmt.Errorf("make a plaintext /var: mkfs.erofs: %w: %.300q", err, output)
	}
	content, err := os.ReadFile(out)
	if err != nil {
		return fmt.Errorf("make a plaintext /var: %w", err)
	}
	const size = 16 << 20
	return img.Append(gpt.Partition{Type: gpt.TypeVar, ID: id, Label: "var", Size: size}, bytes.NewReader(content))
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

// checkVar wants /var to be something that does not come from the disk's plaintext.
func checkVar(f *probe.Facts, expect expect) {
	m, err := mountOf(f.Mounts, "/var")
	if err != nil {
		// Not a mount of its own: then it is the root's empty folder.
		m.kind = "none"
	}
	encrypted := strings.HasPrefix(m.source, "/dev/mapper/")
	expect("plaintext-var", m.kind == "none" || m.kind == "tmpfs" || encrypted, "/var is %s from %s", m.kind, m.source)
	expect("plaintext-var", f.Errors["mounts"] == "", "mounts: %s", f.Errors["mounts"])
}
