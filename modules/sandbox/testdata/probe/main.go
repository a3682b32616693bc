// Command probe looks at the world from inside a sandbox and prints what it
// sees, or exits with 1 when the named act is refused.
package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	if err := act(os.Args[1], os.Args[2:]); err != nil {
		fmt.Println("refused:", err)
		os.Exit(1)
	}
}

func act(name string, args []string) error {
	switch name {
	case "dial":
		conn, err := net.DialTimeout("tcp", args[0], 5*time.Second)
		if err == nil {
			conn.Close()
		}
		return err
	case "loopback":
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		return act("dial", []string{l.Addr().String()})
	case "look":
		return look(args)
	case "tell":
		return tell(args)
	case "copy":
		content, err := os.ReadFile(args[0])
		if err != nil {
			return err
		}
		return os.WriteFile(args[1], content, 0o666)
	case "list":
		entries, err := os.ReadDir(args[0])
		fmt.Println(len(entries), "entries")
		return err
	case "own":
		return own(args[0])
	case "mount":
		return unix.Mount("tmpfs", "/tmp", "tmpfs", 0, "")
	case "rename-host":
		return unix.Sethostname([]byte("other"))
	case "unshare":
		return unix.Unshare(unix.CLONE_NEWNET)
	case "exit":
		os.Exit(42)
	case "await":
		caught := make(chan os.Signal, 1)
		signal.Notify(caught, syscall.SIGTERM)
		fmt.Println("ready")
		fmt.Println("caught", <-caught)
	case "orphan":
		// A child that outlives its parent ends with the sandbox.
		_, err := syscall.ForkExec("/proc/self/exe", []string{"probe", "await"}, &syscall.ProcAttr{Files: []uintptr{0, 1, 2}})
		return err
	default:
		return fmt.Errorf("no act %q", name)
	}
	return nil
}

// look prints what may differ from machine to machine, and what a step may do;
// of the mounts those that a sandbox makes, and the others that are named.
func look(mounts []string) error {
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	mask := unix.Umask(0)
	ifaces, err := net.Interfaces()
	if err != nil {
		return err
	}
	fmt.Println("host", host)
	fmt.Printf("umask %04o\n", mask)
	fmt.Println("interfaces", len(ifaces))
	for _, e := range os.Environ() {
		fmt.Println("env", e)
	}
	if err := rights(); err != nil {
		return err
	}
	if err := mounted(append([]string{"/proc", "/sys", "/dev", "/dev/pts", "/dev/shm"}, mounts...)); err != nil {
		return err
	}
	return folders("/dev", "/sys", "/proc")
}

// rights prints capabilities and resource limits.
func rights() error {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(status)) {
		if strings.HasPrefix(line, "Cap") || strings.HasPrefix(line, "NoNewPrivs") {
			fmt.Println(strings.Join(strings.Fields(line), " "))
		}
	}
	for _, l := range []struct {
		name  string
		which int
	}{{"stack", unix.RLIMIT_STACK}, {"core", unix.RLIMIT_CORE}, {"files", unix.RLIMIT_NOFILE}} {
		var have unix.Rlimit
		if err := unix.Prlimit(0, l.which, nil, &have); err != nil {
			return err
		}
		if l.which == unix.RLIMIT_NOFILE {
			have.Cur = 0 // raised by Go's own start
		}
		fmt.Println("limit", l.name, have.Cur, int64(have.Max))
	}
	return nil
}

// mounted prints options, propagation and type of the last mount at each place.
func mounted(places []string) error {
	info, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	last := map[string]string{}
	for line := range strings.Lines(string(info)) {
		fields := strings.Fields(line)
		if i := slices.Index(fields, "-"); i > 5 {
			last[fields[4]] = strings.Join(append(fields[5:i], fields[i+1]), " ")
		}
	}
	for _, place := range places {
		fmt.Println("mount", place, last[place])
	}
	return nil
}

// folders prints what is in them, of /proc the processes alone.
func folders(dirs ...string) error {
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		var names []string
		for _, e := range entries {
			if dir != "/proc" || strings.Trim(e.Name(), "0123456789") == "" {
				names = append(names, e.Name())
			}
		}
		fmt.Println("folder", dir, strings.Join(names, " "))
	}
	return nil
}

// tell prints, as JSON, what a variation changes.
func tell(args []string) error {
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	_, offset := time.Now().Zone()
	mask := unix.Umask(0)
	return json.NewEncoder(os.Stdout).Encode(map[string]any{
		"hostname": host, "user": fmt.Sprintf("%d:%d", os.Getuid(), os.Getgid()), "login": os.Getenv("USER"),
		"time": time.Now().UTC(), "offset": offset, "zone": os.Getenv("TZ"), "locale": os.Getenv("LC_ALL"),
		"umask": fmt.Sprintf("%04o", mask), "processors": runtime.NumCPU(), "folder": dir, "home": os.Getenv("HOME"), "arguments": args, "place": os.Getenv("PLACE"),
	})
}

// own does to a file in dir what unpacking a package does.
func own(dir string) error {
	file, node := dir+"/file", dir+"/node"
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		return err
	}
	if err := os.Chown(file, 1234, 5678); err != nil {
		return err
	}
	if err := unix.Chmod(file, 0o4755); err != nil {
		return err
	}
	if err := unix.Mknod(node, unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3))); err != nil {
		return err
	}
	// Capabilities of a file: CAP_NET_RAW, permitted and effective (version 2).
	value := []byte{1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	if err := unix.Setxattr(file, "security.capability", value, 0); err != nil {
		return err
	}
	if err := unix.Chroot(dir); err != nil {
		return err
	}
	return unix.Setuid(1234)
}
