// Package service is what passes between systemd and a service that it starts:
// the sockets that it hands over, the word that the service is ready or ends, and
// whether it takes the service's output for the journal.
package service

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// ErrSockets: what stands in the environment does not describe sockets for this
// process.
var ErrSockets = errors.New("unusable sockets from systemd")

const (
	firstSocket = 3 // sd_listen_fds(3), SD_LISTEN_FDS_START
	maxSockets  = 16
)

// Listeners returns the listening sockets that systemd hands over to this process,
// none if it hands over none: sd_listen_fds(3). Programs that this one starts get
// neither the sockets nor the word of them. It may be called once. Errors wrap
// ErrSockets.
func Listeners() ([]net.Listener, error) {
	pid, count := os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDS")
	for _, name := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		if err := os.Unsetenv(name); err != nil {
			return nil, err
		}
	}
	if pid == "" || count == "" || pid != strconv.Itoa(os.Getpid()) {
		return nil, nil // meant for another process
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 || n > maxSockets {
		return nil, fmt.Errorf("%w: LISTEN_FDS is %.20q, want a number up to %d", ErrSockets, count, maxSockets)
	}
	var all []net.Listener
	for fd := firstSocket; fd < firstSocket+n; fd++ {
		l, err := listener(fd)
		if err != nil {
			for _, other := range all {
				_ = other.Close()
			}
			return nil, fmt.Errorf("%w: descriptor %d: %w", ErrSockets, fd, err)
		}
		all = append(all, l)
	}
	return all, nil
}

func listener(fd int) (net.Listener, error) {
	listening, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil {
		return nil, err
	}
	if listening == 0 {
		return nil, errors.New("it does not listen")
	}
	file := os.NewFile(uintptr(fd), "socket")
	defer file.Close()
	return net.FileListener(file) // a duplicate that is closed on exec
}

// States of a service: sd_notify(3).
const (
	Ready    = "READY=1"
	Stopping = "STOPPING=1"
)

// Notify tells systemd the state of the service. Where nobody wants to know it
// does nothing.
func Notify(state string) error {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte(state)); err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	return nil
}

// Journaled says whether a file, standard error as a rule, goes to the journal:
// systemd.exec(5), JOURNAL_STREAM.
func Journaled(file *os.File) bool {
	var st unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &st); err != nil {
		return false
	}
	return os.Getenv("JOURNAL_STREAM") == fmt.Sprintf("%d:%d", st.Dev, st.Ino)
}
