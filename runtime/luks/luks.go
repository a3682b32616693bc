// Package luks makes and changes LUKS2 volumes with cryptsetup, the program, and
// reads and writes the tokens in their headers that systemd-cryptsetup knows.
//
// Keys go to cryptsetup through pipes: none stands in arguments, in the
// environment or in a file.
package luks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"github.com/mastercard/mangos/format/gpt"
)

// HeaderSize is the size in bytes of the header with its key slots: data begins
// behind it.
const HeaderSize = 16 << 20

// Key slots that Format and its callers fill.
const (
	TPMSlot      = 0
	RecoverySlot = 1
)

var (
	// ErrNotLUKS: there is no LUKS2 header.
	ErrNotLUKS = errors.New("no LUKS2 volume")
	// ErrWrongKey: no key slot opens with the key.
	ErrWrongKey = errors.New("the key fits none of the volume's key slots")
)

const (
	// wrongKey is cryptsetup's exit status for it.
	wrongKey = 2
	// maxOutput bounds what is kept of cryptsetup's output. Its metadata have
	// at most 4 MiB.
	maxOutput = 4 << 20
	// maxMessage bounds how much of its messages stands in an error.
	maxMessage = 300
)

// A Volume is a block device, or a file, with a LUKS2 header.
type Volume struct{ Path string }

// Format writes a header to the volume's first HeaderSize bytes, with key in
// slot TPMSlot. What was there is lost. Keys are random ones of 256 bits, so that
// the key derivation need not be slow. AES-XTS-512 with sectors of 4096 bytes,
// whatever the disk's: the volume fits disks of both sizes.
func (v Volume) Format(ctx context.Context, id gpt.GUID, label string, key []byte) error {
	args := []string{
		"luksFormat", "--batch-mode", "--type=luks2", "--cipher=aes-xts-plain64", "--key-size=512", "--hash=sha512",
		"--sector-size=4096", "--offset=" + strconv.Itoa(HeaderSize/512), "--uuid=" + id.String(), "--label=" + label,
		"--key-slot=" + strconv.Itoa(TPMSlot),
	}
	args = append(args, fast...)
	_, err := v.run(ctx, nil, [][]byte{key}, append(args, v.Path, keyFile(0))...)
	return err
}

// fast is the key derivation for keys that nobody can guess.
var fast = []string{"--pbkdf=pbkdf2", "--pbkdf-force-iterations=1000"}

// AddKey puts a key into a free slot; known is one that opens the volume.
func (v Volume) AddKey(ctx context.Context, known, key []byte, slot int) error {
	args := []string{"luksAddKey", "--batch-mode", "--hash=sha512", "--key-slot=" + strconv.Itoa(slot), "--key-file=" + keyFile(0)}
	args = append(args, fast...)
	_, err := v.run(ctx, nil, [][]byte{known, key}, append(args, v.Path, keyFile(1))...)
	return err
}

// KillSlot wipes a key slot, and no other: a slot that is not used is an error.
func (v Volume) KillSlot(ctx context.Context, slot int) error {
	_, err := v.run(ctx, nil, nil, "luksKillSlot", "--batch-mode", v.Path, strconv.Itoa(slot))
	return err
}

// Test returns nil if key opens one of the slots, ErrWrongKey if not.
func (v Volume) Test(ctx context.Context, key []byte) error {
	_, err := v.run(ctx, nil, [][]byte{key}, "open", "--test-passphrase", "--type=luks2", "--key-file="+keyFile(0), v.Path)
	return err
}

// Open maps the volume to /dev/mapper/NAME.
func (v Volume) Open(ctx context.Context, name string, key []byte) (path string, err error) {
	_, err = v.run(ctx, nil, [][]byte{key}, "open", "--type=luks2", "--key-file="+keyFile(0), v.Path, name)
	return "/dev/mapper/" + name, err
}

// Close removes the mapping that Open made.
func Close(ctx context.Context, name string) error {
	_, err := Volume{Path: name}.run(ctx, nil, nil, "close", name)
	return err
}

// ImportToken adds a token, JSON, in the first free place.
func (v Volume) ImportToken(ctx context.Context, token []byte) error {
	_, err := v.run(ctx, token, nil, "token", "import", "--json-file=-", v.Path)
	return err
}

// RemoveToken removes the token in a place.
func (v Volume) RemoveToken(ctx context.Context, place int) error {
	_, err := v.run(ctx, nil, nil, "token", "remove", "--token-id="+strconv.Itoa(place), v.Path)
	return err
}

// keyFile is the name under which cryptsetup finds the i-th key.
func keyFile(i int) string { return "/dev/fd/" + strconv.Itoa(3+i) }

// run runs cryptsetup with the keys as open files.
func (v Volume) run(ctx context.Context, input []byte, keys [][]byte, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "cryptsetup", args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C"}
	cmd.Stdin = bytes.NewReader(input)
	var output, messages limited
	cmd.Stdout, cmd.Stderr = &output, &messages
	for _, key := range keys {
		f, err := pipe(key)
		if err != nil {
			return nil, fmt.Errorf("cryptsetup %s %s: %w", args[0], v.Path, err)
		}
		defer f.Close()
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
	}
	err := cmd.Run()
	if err == nil {
		return output.Bytes(), nil
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == wrongKey && len(keys) > 0 {
		return nil, fmt.Errorf("cryptsetup %s %s: %w", args[0], v.Path, ErrWrongKey)
	}
	text := strings.TrimSpace(messages.String())
	return nil, fmt.Errorf("cryptsetup %s %s: %w: %q", args[0], v.Path, err, text[:min(len(text), maxMessage)])
}

// pipe returns a pipe's end from which a key can be read, once. A key is much
// shorter than what a pipe holds.
func pipe(key []byte) (*os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer w.Close()
	if _, err := w.Write(key); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// limited keeps the first maxOutput bytes.
type limited struct{ bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	if l.Len()+len(p) > maxOutput {
		return 0, io.ErrShortBuffer
	}
	return l.Buffer.Write(p)
}
