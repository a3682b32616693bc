package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// arrange makes the namespaces that this process was started in fit for the
// command: host name, loopback, mounts, limits.
func arrange(o options) error {
	unix.Umask(umask(o.Variation))
	if err := unix.Sethostname([]byte(o.Hostname)); err != nil {
		return fmt.Errorf("set the host name: %w", err)
	}
	if err := unix.Setdomainname(nil); err != nil {
		return fmt.Errorf("clear the domain name: %w", err)
	}
	if !o.KeepNetwork {
		if err := loopbackUp(); err != nil {
			return err
		}
	}
	if err := limits(); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if o.Root == "" {
		if err := move(o); err != nil {
			return err
		}
		if err := protect(o); err != nil {
			return err
		}
		return system("/")
	}
	return enterRoot(o.Root)
}

// enterRoot makes dir the root folder and leaves the old one behind for good.
func enterRoot(dir string) error {
	if err := unix.Mount(dir, dir, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("use %s as root: %w", dir, err)
	}
	if err := system(dir); err != nil {
		return err
	}
	if err := tmpfsIfPresent(dir, "tmp", "mode=1777"); err != nil {
		return err
	}
	if err := unix.Chdir(dir); err != nil {
		return fmt.Errorf("use %s as root: %w", dir, err)
	}
	// The old root is put over the new one and taken off again: no folder has
	// to be there to receive it.
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("use %s as root: %w", dir, err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("leave the old root: %w", err)
	}
	return os.Chdir("/")
}

// system mounts what belongs to this sandbox alone below root: /proc, /dev,
// and nothing in place of /sys, which tells of the machine.
func system(root string) error {
	proc, dev := filepath.Join(root, "proc"), filepath.Join(root, "dev")
	for _, dir := range []string{proc, dev} {
		// A link would lead the mount out of root.
		if info, err := os.Lstat(dir); err != nil || !info.IsDir() {
			return fmt.Errorf("mount in %s: there is no folder %s", root, dir)
		}
	}
	if err := unix.Mount("proc", proc, "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount %s: %w", proc, err)
	}
	if err := tmpfsIfPresent(root, "sys", "mode=555,size=4k"); err != nil {
		return err
	}
	return devices(dev)
}

func tmpfsIfPresent(root, name, data string) error {
	dir := filepath.Join(root, name)
	info, err := os.Lstat(dir)
	if errors.Is(err, os.ErrNotExist) || err == nil && !info.IsDir() {
		return nil
	}
	if err != nil {
		return fmt.Errorf("mount %s: %w", dir, err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, data); err != nil {
		return fmt.Errorf("mount %s: %w", dir, err)
	}
	return nil
}

// nodes are the devices of a sandbox.
var nodes = []struct {
	name         string
	major, minor uint32
}{
	{"null", 1, 3}, {"zero", 1, 5}, {"full", 1, 7}, {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0},
}

// devices mounts a fresh /dev at dev.
func devices(dev string) error {
	if err := unix.Mount("tmpfs", dev, "tmpfs", unix.MS_NOSUID, "mode=755"); err != nil {
		return fmt.Errorf("mount %s: %w", dev, err)
	}
	for _, n := range nodes {
		path := filepath.Join(dev, n.name)
		if err := unix.Mknod(path, unix.S_IFCHR|0o666, int(unix.Mkdev(n.major, n.minor))); err != nil {
			return fmt.Errorf("make %s: %w", path, err)
		}
		if err := os.Chmod(path, 0o666); err != nil { // the umask took bits away
			return err
		}
	}
	for _, m := range []struct{ name, kind, data string }{
		{"pts", "devpts", "newinstance,ptmxmode=0666,mode=620"},
		{"shm", "tmpfs", "mode=1777"},
	} {
		path := filepath.Join(dev, m.name)
		if err := os.Mkdir(path, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.kind, path, m.kind, unix.MS_NOSUID|unix.MS_NOEXEC, m.data); err != nil {
			return fmt.Errorf("mount %s: %w", path, err)
		}
	}
	for name, target := range map[string]string{
		"ptmx": "pts/ptmx", "fd": "/proc/self/fd",
		"stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2",
	} {
		if err := os.Symlink(target, filepath.Join(dev, name)); err != nil {
			return err
		}
	}
	return nil
}

// loopbackUp lets the processes inside talk to each other over 127.0.0.1.
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("bring loopback up: %w", err)
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq("lo")
	if err != nil {
		return fmt.Errorf("bring loopback up: %w", err)
	}
	ifr.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr); err != nil {
		return fmt.Errorf("bring loopback up: %w", err)
	}
	return nil
}

// limits sets the resource limits that programs are known to look at. A huge
// number of open files makes programs that close them all crawl.
func limits() error {
	for _, l := range []struct {
		what  string
		which int
		value unix.Rlimit
	}{
		{"open files", unix.RLIMIT_NOFILE, unix.Rlimit{Cur: 1024, Max: 4096}},
		{"stack", unix.RLIMIT_STACK, unix.Rlimit{Cur: 8 << 20, Max: unix.RLIM_INFINITY}},
		{"core files", unix.RLIMIT_CORE, unix.Rlimit{}},
	} {
		if err := unix.Setrlimit(l.which, &l.value); err != nil {
			return fmt.Errorf("limit %s: %w", l.what, err)
		}
	}
	return nil
}
