package extension

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mastercard/mangos/format/gpt"
	"github.com/mastercard/mangos/format/verity"
	"github.com/mastercard/mangos/runtime/console"
)

const (
	// openTime is how long veritysetup may take for one image: seconds on a real
	// machine, minutes on an emulator under load.
	openTime = 5 * time.Minute
	// mapping is the name of the verity device that an image is looked at through.
	mapping = "mangos-extension"
)

// Kernel opens images through the kernel's dm-verity, which checks the signature
// against the certificate inside the kernel.
type Kernel struct {
	// Root is the root of the system, "/" on a machine.
	Root string
	// Mount is a folder for mounting an image; it is made where it is missing.
	Mount string
}

// Release returns the metadata file of the extension in the image. An image
// that the kernel did not verify as a whole is a *Refusal.
func (k Kernel) Release(ctx context.Context, image string, id ID) ([]byte, error) {
	if err := k.signaturesRequired(); err != nil {
		return nil, err
	}
	file, err := os.Open(image)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	p, err := dissect(file)
	if err != nil {
		return nil, err
	}
	closeDevice, err := k.open(ctx, file, p)
	if err != nil {
		return nil, err
	}
	defer closeDevice()
	if err := readAll("/dev/mapper/" + mapping); err != nil {
		return nil, err
	}
	const flags = unix.MS_RDONLY | unix.MS_NODEV | unix.MS_NOSUID | unix.MS_NOEXEC | unix.MS_NOSYMFOLLOW
	if err := unix.Mount("/dev/mapper/"+mapping, k.Mount, "erofs", flags, ""); err != nil {
		return nil, refuse(BadMetadata, "its file system cannot be mounted as erofs (%v)", err)
	}
	defer func() { _ = unix.Unmount(k.Mount, unix.MNT_DETACH) }()
	return k.readRelease(id)
}

// signaturesRequired makes sure that the kernel opens no verity device without
// a good signature, whatever a program asks of it.
func (k Kernel) signaturesRequired() error {
	path := filepath.Join(k.Root, "sys/module/dm_verity/parameters/require_signatures")
	value, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("does the kernel require signatures: %w", err)
	}
	if string(value) != "Y\n" {
		return refuse(Unsigned, "the kernel was not told to require signatures (dm_verity.require_signatures)")
	}
	return nil
}

// parts are what an image consists of.
type parts struct {
	root, tree gpt.Partition
	signature  *verity.Signature
}

// dissect reads the partition table and the signature. An image has exactly three
// partitions, one of each type: what systemd sees in it later cannot be anything
// else than what was verified.
func dissect(file *os.File) (parts, error) {
	var p parts
	info, err := file.Stat()
	if err != nil {
		return p, err
	}
	table, err := gpt.Read(file, info.Size())
	if err != nil {
		return p, refuse(Unsigned, "it is no image with a verity tree and a signature (%v)", err)
	}
	found := map[gpt.GUID]gpt.Partition{}
	for _, part := range table.Partitions {
		found[part.Type] = part
	}
	sig, signed := found[gpt.TypeRootVeritySig]
	p.root, p.tree = found[gpt.TypeRoot], found[gpt.TypeRootVerity]
	if len(table.Partitions) != 3 || len(found) != 3 || !signed || p.root.Size == 0 || p.tree.Size == 0 {
		return p, refuse(Unsigned, "its partitions are not one root, one verity tree and one signature")
	}
	if sig.Size > verity.MaxSignature {
		return p, refuse(Unsigned, "its signature partition has %d bytes, at most %d are read", sig.Size, verity.MaxSignature)
	}
	raw := make([]byte, sig.Size)
	if _, err := file.ReadAt(raw, sig.Start); err != nil {
		return p, fmt.Errorf("read signature: %w", err)
	}
	if p.signature, err = verity.ParseSignature(raw); err != nil {
		return p, refuse(Unsigned, "its signature cannot be read (%v)", err)
	}
	return p, nil
}

// open makes the verity device. The returned function takes it away again.
func (k Kernel) open(ctx context.Context, file *os.File, p parts) (func(), error) {
	if err := os.MkdirAll(k.Mount, 0o700); err != nil {
		return nil, err
	}
	signature := filepath.Join(filepath.Dir(k.Mount), mapping+".p7s")
	if err := os.WriteFile(signature, p.signature.PKCS7, 0o600); err != nil {
		return nil, err
	}
	defer os.Remove(signature)
	root, err := attach(file, p.root.Start, p.root.Size)
	if err != nil {
		return nil, err
	}
	defer root.close()
	tree, err := attach(file, p.tree.Start, p.tree.Size)
	if err != nil {
		return nil, err
	}
	defer tree.close()
	ctx, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	err = k.veritysetup(ctx, "open", "--root-hash-signature="+signature, root.path(), mapping, tree.path(), p.signature.Root.String())
	if err != nil {
		return nil, err
	}
	// Closed with no limit of its own: an open device keeps the image.
	return func() { _ = k.veritysetup(context.Background(), "close", mapping) }, nil
}

// readAll reads every block, so that the kernel compares each with its hash, and
// not only those that we look into. systemd mounts the root partition as it is
// where it takes the tree beside it for something else, and what else the hash
// partition holds is covered by no signature.
func readAll(device string) error {
	f, err := os.Open(device)
	if err != nil {
		return fmt.Errorf("read all blocks: %w", err)
	}
	defer f.Close()
	if _, err := io.Copy(io.Discard, f); err != nil {
		return refuse(Unsigned, "a block of it does not match its hash (%v)", err)
	}
	return nil
}

// veritysetup runs cryptsetup's program. That it fails is a *Refusal.
func (k Kernel) veritysetup(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(k.Root, "usr/sbin/veritysetup"), args...)
	cmd.Env = []string{"LC_ALL=C.UTF-8"}
	output, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return refuse(Unsigned, "the kernel did not verify it within %v", openTime)
	case errors.As(err, &exit):
		return refuse(Unsigned, "the kernel does not accept it as signed with the certificate inside it (veritysetup: %s)", console.Quote(strings.TrimSpace(string(output)), 200))
	}
	return fmt.Errorf("veritysetup: %w", err)
}

// verified makes sure that what is mounted lies on a verity device.
func (k Kernel) verified() error {
	var st unix.Stat_t
	if err := unix.Stat(k.Mount, &st); err != nil {
		return fmt.Errorf("stat %s: %w", k.Mount, err)
	}
	path := filepath.Join(k.Root, fmt.Sprintf("sys/dev/block/%d:%d/dm/uuid", unix.Major(st.Dev), unix.Minor(st.Dev)))
	uuid, err := os.ReadFile(path)
	if err != nil || !strings.HasPrefix(string(uuid), "CRYPT-VERITY-") {
		return refuse(Unsigned, "its file system does not lie on a verity device")
	}
	return nil
}

// readRelease reads the metadata file below the mounted extension, where that lies on
// a verity device. No symbolic link in the image leads out of it, and the file itself
// is none.
func (k Kernel) readRelease(id ID) ([]byte, error) {
	if err := k.verified(); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(k.Mount)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	path := ReleasePath(id)
	f, err := root.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, refuse(Renamed, "it has no file %s, so it is not the %s", path, id)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, refuse(BadMetadata, "its %s is not a file", path)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxRelease+1))
	if err != nil {
		return nil, refuse(BadMetadata, "its %s cannot be read (%v)", path, err)
	}
	return text, nil
}
