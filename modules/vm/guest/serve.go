// Package guest is the side of the virtio port inside the virtual machine: it answers the
// harness's requests with what it finds on the running system, and tries there what must not
// succeed.
package guest

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/mastercard/mangos/modules/vm/probe"
)

// ErrPrivate says that a path is not one that the probe reads: only what is the same on
// every machine of the organisation, or tells of the running system itself.
var ErrPrivate = errors.New("not a path that the probe reads")

// public are the folders that Read, Digest and List reach.
var public = []string{"/usr", "/etc", "/proc", "/sys", "/run/systemd", "/run/extensions", "/run/confexts", "/run/credentials"}

// Guest answers requests about the system below Root, "/" on a machine.
type Guest struct {
	Root string
	// PowerOff starts an orderly end of the machine.
	PowerOff func() error
	// Merge has systemd merge all extensions anew.
	Merge func() error
}

// Serve greets the harness on port, then answers until the port ends.
func (g *Guest) Serve(port io.ReadWriter) error {
	if err := write(port, probe.Reply{}); err != nil {
		return err
	}
	lines := bufio.NewScanner(port)
	lines.Buffer(nil, probe.MaxLine)
	for lines.Scan() {
		request, err := probe.ParseRequest(lines.Bytes())
		if err != nil {
			return err
		}
		reply, err := g.answer(request)
		reply.ID = request.ID
		if err != nil {
			reply.Error = err.Error()
		}
		if err := write(port, reply); err != nil {
			return err
		}
	}
	return lines.Err()
}

func write(w io.Writer, r probe.Reply) error {
	line, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("write reply: %w", err)
	}
	if _, err := w.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("write reply: %w", err)
	}
	return nil
}

func (g *Guest) answer(r probe.Request) (probe.Reply, error) {
	switch r.Op {
	case probe.Report:
		return probe.Reply{Facts: g.facts()}, nil
	case probe.PowerOff:
		return probe.Reply{}, g.PowerOff()
	case probe.OpenSigned, probe.OpenUnsigned:
		return probe.Reply{}, reopen(g.Root, r.Op == probe.OpenSigned)
	case probe.Plant:
		return probe.Reply{}, g.plant()
	case probe.Read, probe.Digest, probe.List:
	default:
		return probe.Reply{}, fmt.Errorf("%w: operation %q", probe.ErrMalformed, r.Op)
	}
	path, err := g.resolve(r.Path)
	if err != nil {
		return probe.Reply{}, err
	}
	switch r.Op {
	case probe.Read:
		content, err := read(path, probe.MaxRead)
		return probe.Reply{Content: content}, err
	case probe.Digest:
		sum, err := digest(path)
		return probe.Reply{Digest: sum}, err
	default:
		names, err := list(path)
		return probe.Reply{Names: names}, err
	}
}

// resolve follows the links of path and wants the end of them to be public.
func (g *Guest) resolve(path string) (string, error) {
	if !filepath.IsAbs(path) {
		return "", fmt.Errorf("%w: %q", ErrPrivate, path)
	}
	target, err := filepath.EvalSymlinks(filepath.Join(g.Root, path))
	if err != nil {
		return "", err
	}
	for _, folder := range public {
		if rest, ok := strings.CutPrefix(target, filepath.Join(g.Root, folder)); ok && (rest == "" || rest[0] == '/') {
			return target, nil
		}
	}
	return "", fmt.Errorf("%w: %q", ErrPrivate, path)
}

// read returns the first bytes of a file. Files of /proc and /sys have no size of their own.
func read(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit))
}

// digest reads all of a file from the disk: what the kernel has cached is dropped first.
func digest(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
		return "", fmt.Errorf("drop the cache of %s: %w", path, err)
	}
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func list(path string) ([]string, error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	slices.Sort(names)
	return names, nil
}

// FindPort returns the device of the virtio-serial port called name, below root.
func FindPort(root, name string) (string, error) {
	ports, err := filepath.Glob(filepath.Join(root, "/sys/class/virtio-ports/*/name"))
	if err != nil {
		return "", fmt.Errorf("find port %s: %w", name, err)
	}
	for _, p := range ports {
		content, err := os.ReadFile(p)
		if err != nil {
			return "", fmt.Errorf("find port %s: %w", name, err)
		}
		if strings.TrimSpace(string(content)) == name {
			return filepath.Join(root, "/dev", filepath.Base(filepath.Dir(p))), nil
		}
	}
	return "", fmt.Errorf("find port %s: %w", name, os.ErrNotExist)
}
