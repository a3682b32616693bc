package gate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mastercard/mangos/format/gpt"
	"github.com/mastercard/mangos/format/verity"
	"github.com/mastercard/mangos/runtime/console"
	"github.com/mastercard/mangos/runtime/disk"
	"github.com/mastercard/mangos/runtime/extension"
)

// The words of HandOver's refusals.
const (
	NoRootDisk   = "no-root-disk"
	NoSignature  = "no-verity-signature"
	BadSignature = "bad-verity-signature"
)

const (
	// SignatureFile is where systemd-veritysetup@root.service looks for the
	// signature, as the built-in command line says.
	SignatureFile = "run/mangos/root-hash.p7s"

	// diskTime is how long the disk with the root may take to show up.
	diskTime = 60 * time.Second

	// maxSignatures bounds how many signatures of a disk are read: more than one
	// of two slots has.
	maxSignatures = 8

	espFolder = "run/mangos/esp"
)

// HandOver finds the disk with the root partition that the built-in command
// line names, hands over the root hash's signature to veritysetup, which gives
// it to the kernel to verify, and then the extensions on the same disk's ESP.
// It returns a *Refusal where the machine must not go on. Extensions alone are
// no reason to stop: what is wrong with them is said.
func HandOver(ctx context.Context, root string, say *console.Console) error {
	line, err := readBuiltIn(root)
	if err != nil {
		return refuse(CommandLine, "the built-in command line cannot be read (%v). The image is broken", err)
	}
	hash, err := disk.RootHash(line)
	if err != nil {
		return refuse(CommandLine, "the built-in command line does not name the root (%v). The image is broken", err)
	}
	ctx, cancel := context.WithTimeout(ctx, diskTime)
	defer cancel()
	id := disk.RootPartition(hash)
	d, err := disk.Find(ctx, root, id)
	if errors.Is(err, context.DeadlineExceeded) {
		return refuse(NoRootDisk, "no disk with the root partition %s showed up within %v", id, diskTime)
	}
	if err != nil {
		return refuse(NoRootDisk, "the disk with the root partition %s cannot be found (%v)", id, err)
	}
	if err := handOverSignature(root, d, hash, say); err != nil {
		return err
	}
	if err := handOverExtensions(root, d, say); err != nil {
		say.Say(console.Warning, "extensions on the EFI system partition cannot be read, none is used: %v", err)
	}
	return nil
}

func handOverSignature(root string, d *disk.Disk, hash verity.RootHash, say *console.Console) error {
	f, _, err := d.Open()
	if err != nil {
		return refuse(NoSignature, "disk %s cannot be read (%v)", d.Name, err)
	}
	defer f.Close()
	signature, label, err := findSignature(f, d.Partitions(gpt.TypeRootVeritySig), hash)
	if err != nil {
		return err
	}
	path := filepath.Join(root, SignatureFile)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return refuse(NoSignature, "the signature cannot be handed over (%v)", err)
	}
	if err := os.WriteFile(path, signature.PKCS7, 0o400); err != nil {
		return refuse(NoSignature, "the signature cannot be handed over (%v)", err)
	}
	say.Say(console.Info, "handed over the root hash's signature from partition %s of %s", console.Quote(label, 40), d.Name)
	return nil
}

// findSignature reads the signature partitions and returns the signature for
// the hash with the label of its partition. What it returns is well-formed;
// whether it is good is for the kernel to say.
func findSignature(r io.ReaderAt, partitions []gpt.Partition, hash verity.RootHash) (*verity.Signature, string, error) {
	var bad error
	for _, p := range partitions[:min(len(partitions), maxSignatures)] {
		if p.Size > verity.MaxSignature {
			bad = fmt.Errorf("partition %s has %d bytes, at most %d are read", console.Quote(p.Label, 40), p.Size, verity.MaxSignature)
			continue
		}
		raw := make([]byte, p.Size)
		if _, err := r.ReadAt(raw, p.Start); err != nil {
			bad = fmt.Errorf("partition %s: %w", console.Quote(p.Label, 40), err)
			continue
		}
		signature, err := verity.ParseSignature(raw)
		if err != nil {
			bad = fmt.Errorf("partition %s: %w", console.Quote(p.Label, 40), err)
			continue
		}
		if signature.Root == hash {
			return signature, p.Label, nil
		}
	}
	if bad != nil {
		return nil, "", refuse(BadSignature, "the root hash's signature cannot be read (%v). Install the system again", bad)
	}
	return nil, "", refuse(NoSignature, "none of the disk's %d signature partitions is for the root hash %s. Install the system again", len(partitions), hash)
}

// handOverExtensions copies the extensions from the disk's first ESP.
func handOverExtensions(root string, d *disk.Disk, say *console.Console) error {
	esps := d.Partitions(gpt.TypeESP)
	if len(esps) == 0 {
		return fmt.Errorf("disk %s has no EFI system partition", d.Name)
	}
	node, err := d.PartitionNode(esps[0])
	if err != nil {
		return err
	}
	folder := filepath.Join(root, espFolder)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	const flags = unix.MS_RDONLY | unix.MS_NODEV | unix.MS_NOSUID | unix.MS_NOEXEC | unix.MS_NOSYMFOLLOW
	if err := unix.Mount(node, folder, "vfat", flags, "umask=0077"); err != nil {
		return fmt.Errorf("mount %s: %w", node, err)
	}
	defer func() {
		if err := unix.Unmount(folder, 0); err != nil {
			say.Say(console.Warning, "the EFI system partition stays mounted: %v", err)
			return
		}
		_ = os.Remove(folder)
	}()
	return extension.Collect(folder, filepath.Join(root, extension.Inbox), func(file string, size int64, err error) {
		if err != nil {
			say.Say(console.Warning, "%s", extension.Refused(file, err))
			return
		}
		say.Say(console.Info, "handed over extension %s, %d bytes", file, size)
	})
}
