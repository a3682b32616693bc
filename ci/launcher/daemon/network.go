package daemon

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"unsafe"

	"github.com/mastercard/mangos/ci/launcher/lockfile"
)

// Network is an engine's own network for its containers. No two engines on a
// machine share one.
type Network struct {
	Name string `json:"name"` // the bridge is called Name0
	CIDR string `json:"cidr"`
}

// networksDir holds a file for each reserved network, named after it: a line
// with its addresses and one with the state folder.
const networksDir = "/run/mangos-engine"

// reserveNetwork picks the network of the state folder: its name comes from
// the folder's path, its addresses from what neither the machine nor another
// engine uses. Until release is called no other engine may choose.
func reserveNetwork(ctx context.Context, state string) (n Network, release func(), err error) {
	lock, err := lockfile.Exclusive(ctx, filepath.Join(networksDir, "lock"), nil)
	if err != nil {
		return n, nil, fmt.Errorf("choose a network: %w", err)
	}
	defer func() {
		if err != nil {
			lock.Close()
		}
	}()
	sum := sha256.Sum256([]byte(state))
	n.Name = "mangos" + hex.EncodeToString(sum[:3])
	used, err := usedNetworks(n.Name)
	if err != nil {
		return n, nil, err
	}
	if n.CIDR, err = pickNetwork(used, binary.BigEndian.Uint32(sum[4:8])); err != nil {
		return n, nil, err
	}
	if err = os.WriteFile(filepath.Join(networksDir, n.Name), []byte(n.CIDR+"\n"+state+"\n"), 0o644); err != nil {
		return n, nil, fmt.Errorf("choose a network: %w", err)
	}
	return n, func() { lock.Close() }, nil
}

// pickNetwork returns the first of 10.64.0.0/16 to 10.127.0.0/16, beginning
// at a place that seed names, that overlaps none of used.
func pickNetwork(used []netip.Prefix, seed uint32) (string, error) {
	const first, count = 64, 64
candidates:
	for i := range uint32(count) {
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(first + (seed+i)%count), 0, 0}), 16)
		for _, u := range used {
			if u.Overlaps(p) {
				continue candidates
			}
		}
		return p.String(), nil
	}
	return "", fmt.Errorf("choose a network: all of 10.64.0.0/10 is in use on this machine; free one of its /16 networks")
}

// usedNetworks returns what the machine routes, and what other engines have
// reserved, leaving out the bridge of the engine that own names.
func usedNetworks(own string) ([]netip.Prefix, error) {
	routes, err := os.ReadFile("/proc/net/route")
	if err != nil {
		return nil, fmt.Errorf("choose a network: %w", err)
	}
	used := parseRoutes(string(routes), own+"0")
	entries, err := os.ReadDir(networksDir)
	if err != nil {
		return nil, fmt.Errorf("choose a network: %w", err)
	}
	for _, e := range entries {
		if e.Name() == own || e.Name() == "lock" {
			continue
		}
		file := filepath.Join(networksDir, e.Name())
		data, err := os.ReadFile(file)
		if err != nil {
			continue // released just now
		}
		cidr, state, _ := strings.Cut(strings.TrimSpace(string(data)), "\n")
		// An engine that starts holds the lock: one without a process is dead.
		if rec, err := Find(state); err == nil && rec == nil {
			os.Remove(file)
			continue
		}
		if p, err := netip.ParsePrefix(cidr); err == nil {
			used = append(used, p)
		}
	}
	return used, nil
}

// parseRoutes reads /proc/net/route: a line for each route with the
// destination and the mask as hexadecimal numbers in the machine's byte order.
// Default routes and those through the interface skip do not count.
func parseRoutes(text, skip string) []netip.Prefix {
	var out []netip.Prefix
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) < 8 || f[0] == skip {
			continue
		}
		dest, err1 := hex.DecodeString(f[1])
		mask, err2 := hex.DecodeString(f[7])
		if err1 != nil || err2 != nil || len(dest) != 4 || len(mask) != 4 {
			continue
		}
		bits := 0
		for m := binary.LittleEndian.Uint32(mask); m != 0; m >>= 1 {
			bits += int(m & 1)
		}
		if bits == 0 {
			continue
		}
		out = append(out, netip.PrefixFrom(netip.AddrFrom4([4]byte{dest[3], dest[2], dest[1], dest[0]}), bits))
	}
	return out
}

// remove takes the bridge down and gives the addresses back, as well as it
// can: an engine that comes back takes them over.
func (n Network) remove() {
	os.Remove(filepath.Join(networksDir, n.Name))
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer syscall.Close(fd)
	var ifreq struct {
		name  [16]byte
		flags uint16
		_     [22]byte
	}
	bridge := n.Name + "0"
	copy(ifreq.name[:15], bridge)
	// Flags of zero take the interface down, which its removal asks for.
	syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), syscall.SIOCSIFFLAGS, uintptr(unsafe.Pointer(&ifreq)))
	const siocbrdelbr = 0x89a1
	syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), siocbrdelbr, uintptr(unsafe.Pointer(&ifreq.name)))
}

// unmarshalRecord reads a record that Start wrote.
func unmarshalRecord(path string) (Record, error) {
	var r Record
	data, err := os.ReadFile(path)
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(data, &r)
}
