package extension

import (
	"bytes"
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

	"github.com/mastercard/mangos/runtime/console"
)

// ImagePolicy is what systemd is told to accept of an extension: one root
// partition, with a verity tree whose root hash is signed. It takes no other
// partition into account.
const ImagePolicy = "root=signed"

// openTime is how long systemd-dissect may take for one image: seconds on a real
// machine, minutes on an emulator under load.
const openTime = 5 * time.Minute

// Kernel opens images through systemd-dissect and the kernel's dm-verity, which
// checks the signature against the certificate inside the kernel.
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
	if err := k.mount(ctx, image); err != nil {
		return nil, err
	}
	defer func() { _ = unix.Unmount(k.Mount, unix.MNT_DETACH) }()
	if err := k.verified(); err != nil {
		return nil, err
	}
	return readRelease(k.Mount, id)
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

func (k Kernel) mount(ctx context.Context, image string) error {
	if err := os.MkdirAll(k.Mount, 0o700); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(k.Root, "usr/bin/systemd-dissect"),
		"--mount", "--read-only", "--fsck=no", "--growfs=no", "--discard=disabled",
		"--image-policy="+ImagePolicy, image, k.Mount)
	// A reader of the journal gets our sentence; debug output names the step
	// that failed, and its end goes into the sentence.
	cmd.Env = []string{"SYSTEMD_LOG_LEVEL=debug", "SYSTEMD_LOG_TARGET=console", "SYSTEMD_LOG_COLOR=no"}
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return refuse(Unsigned, "the kernel did not verify it within %v", openTime)
	case errors.As(err, &exit):
		return refuse(Unsigned, "the kernel does not accept it as signed with the certificate inside it (%s)", reason(output.String()))
	}
	return fmt.Errorf("systemd-dissect: %w", err)
}

// reason picks the telling lines of systemd-dissect's debug output: the last
// ones, without the libraries being loaded.
func reason(output string) string {
	var lines []string
	for line := range strings.Lines(output) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "Loaded '") && !strings.HasPrefix(line, "Bus ") {
			lines = append(lines, line)
		}
	}
	lines = lines[max(0, len(lines)-3):]
	return console.Quote(strings.Join(lines, "; "), 400)
}

// verified makes sure that what is mounted is a dm-verity device. systemd-dissect
// is known to mount a partition as it is where the tree beside it is not one, so
// its word is not enough.
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

// readRelease reads the metadata file below a mounted extension. No symbolic
// link in the image leads out of it, and the file itself is none.
func readRelease(mounted string, id ID) ([]byte, error) {
	root, err := os.OpenRoot(mounted)
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
