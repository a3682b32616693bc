package guest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mastercard/mangos/modules/vm/probe"
)

// signature is where the gate has put the signature of the root hash.
const signature = "/run/mangos/root-hash.p7s"

// ErrNoRoot says that the root is not a verity device.
var ErrNoRoot = errors.New("the root is not on a verity device")

// reopen opens the partitions of the root as a verity device of another name, with the
// signature or without, and closes it again. The error is what veritysetup says.
func reopen(root string, signed bool) error {
	all, err := devices(root)
	if err != nil {
		return fmt.Errorf("open the root once more: %w", err)
	}
	i := slices.IndexFunc(all, func(d probe.Device) bool { return d.Name == "root" })
	if i < 0 {
		return fmt.Errorf("open the root once more: %w", ErrNoRoot)
	}
	data, hash, rootHash, err := verityTable(all[i].Table)
	if err != nil {
		return fmt.Errorf("open the root once more: %w", err)
	}
	// veritysetup takes no device that is in use; a loop device over it is not.
	for _, device := range []*string{&data, &hash} {
		out, err := run("losetup", "--find", "--show", "--read-only", *device)
		if err != nil {
			return err
		}
		*device = strings.TrimSpace(out)
		defer run("losetup", "--detach", *device)
	}
	args := []string{"open", data, reopened, hash, rootHash}
	if signed {
		args = append(args, "--root-hash-signature="+signature)
	}
	if _, err := run("veritysetup", args...); err != nil {
		return err
	}
	_, err = run("veritysetup", "close", reopened)
	return err
}

// reopened is the name of the second device.
const reopened = "mangos-probe"

// verityTable returns the devices and the root hash of a table: "verity 1 DATA HASH BLOCK
// BLOCK BLOCKS START sha256 ROOT SALT" (the kernel's admin-guide/device-mapper/verity).
func verityTable(table string) (data, hash, rootHash string, err error) {
	f := strings.Fields(table)
	if len(f) < 11 || f[0] != "verity" {
		return "", "", "", fmt.Errorf("%w: its table is %q", ErrNoRoot, table)
	}
	return "/dev/block/" + f[2], "/dev/block/" + f[3], f[9], nil
}

// plant puts the plants into their places and has all extensions merged anew.
func (g *Guest) plant() error {
	for name, place := range probe.Planted {
		from, to := filepath.Join(g.Root, probe.Plants, name), filepath.Join(g.Root, place)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return fmt.Errorf("plant %s: %w", name, err)
		}
		info, err := os.Stat(from)
		if err != nil {
			return fmt.Errorf("plant %s: %w", name, err)
		}
		if info.IsDir() {
			err = os.CopyFS(to, os.DirFS(from))
		} else {
			err = copyFile(to, from)
		}
		if err != nil {
			return fmt.Errorf("plant %s: %w", name, err)
		}
	}
	return g.Merge()
}

func copyFile(to, from string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o644)
}
