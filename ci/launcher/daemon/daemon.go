// Package daemon starts, finds and stops the embedded engine: one process for
// each state folder, in a mount and a PID namespace of its own, that outlives
// whoever started it.
package daemon

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ErrDied says that the engine ended by itself.
var ErrDied = errors.New("the engine died")

// Config is all that an engine depends on. Two equal values describe
// interchangeable engines.
type Config struct {
	State   string   `json:"state"`   // the state folder, absolute
	Bin     string   `json:"bin"`     // folder with the programs engine, init and dnsname
	Content string   `json:"content"` // OCI content folder with the SDK image
	Digest  string   `json:"digest"`  // manifest digest of that image
	Runc    string   `json:"runc"`    // path of runc
	CNI     string   `json:"cni"`     // folder with the distribution's CNI plugins
	DNSMasq string   `json:"dnsmasq"` // path of dnsmasq
	Env     []string `json:"env"`     // what the machine wants handed on (proxies)
}

// Record is what is known of a started engine.
type Record struct {
	Config  Config    `json:"config"`
	Network Network   `json:"network"`
	PID     int       `json:"pid"`
	Ticks   uint64    `json:"ticks"` // start time of the process; with PID, its identity
	Started time.Time `json:"started"`
}

// Paths inside a state folder.
func socketPath(state string) string { return filepath.Join(state, "engine.sock") }
func recordPath(state string) string { return filepath.Join(state, "engine.json") }

// LogPath is the file that receives the engine's messages.
func LogPath(state string) string { return filepath.Join(state, "engine.log") }

// DataPath is the folder with the engine's cache.
func DataPath(state string) string { return filepath.Join(state, "data") }

// Unused reports whether the engine of a state folder has built nothing yet: it keeps
// whatever it makes as snapshots.
func Unused(state string) bool {
	entries, err := os.ReadDir(filepath.Join(DataPath(state), "worker", "snapshots", "snapshots"))
	return len(entries) == 0 && (err == nil || errors.Is(err, fs.ErrNotExist))
}

// Address is what the command line client calls the engine of a state folder.
func Address(state string) string { return "unix://" + socketPath(state) }

// Find returns the record of the engine that runs on the state folder, or nil.
func Find(state string) (*Record, error) {
	data, err := os.ReadFile(recordPath(state))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("find the engine: %w", err)
	}
	var r Record
	if err := json.Unmarshal(data, &r); err != nil {
		// A torn record belongs to no engine that can be found.
		return nil, nil
	}
	if ticks, err := startTicks(r.PID); err != nil || ticks != r.Ticks {
		return nil, nil
	}
	return &r, nil
}

// preface is what an HTTP/2 client begins with, and its settings, none (RFC 9113, section 3.4).
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + "\x00\x00\x00\x04\x00\x00\x00\x00\x00"

// A frame begins with 3 bytes of length, its type, flags and 4 bytes that name its stream;
// a server begins with its settings, on stream 0 (RFC 9113, sections 3.4, 4.1 and 6.5).
const (
	frameHeader   = 9
	frameSettings = 4
)

// answerTime is how long an engine may take to answer where the machine is busy.
const answerTime = 5 * time.Second

// Answers reports whether an engine serves on the state folder's socket. That it can be
// connected to would not do: the kernel still takes connections for one that is dying.
func Answers(state string) bool { return answersWithin(state, answerTime) }

func answersWithin(state string, limit time.Duration) bool {
	conn, err := net.DialTimeout("unix", socketPath(state), time.Second)
	if err != nil {
		return false
	}
	defer conn.Close()
	if conn.SetDeadline(time.Now().Add(limit)) != nil {
		return false
	}
	if _, err := conn.Write([]byte(preface)); err != nil {
		return false
	}
	header := make([]byte, frameHeader)
	if _, err := io.ReadFull(conn, header); err != nil {
		return false
	}
	return header[3] == frameSettings && header[4] == 0 && binary.BigEndian.Uint32(header[5:]) == 0
}

// Start starts an engine and waits until it answers, at most until ctx ends.
// self is the program that, called with Stage and a record's path, ends in
// Enter. The caller keeps other starters away.
func Start(ctx context.Context, self string, cfg Config) (*Record, error) {
	network, release, err := reserveNetwork(ctx, cfg.State)
	if err != nil {
		return nil, err
	}
	defer release()
	rec := &Record{Config: cfg, Network: network, Started: time.Now().UTC()}
	request := filepath.Join(cfg.State, "start.json")
	if err := writeJSON(request, rec); err != nil {
		return nil, fmt.Errorf("start the engine: %w", err)
	}
	logFile, err := openLog(cfg.State)
	if err != nil {
		return nil, fmt.Errorf("start the engine: %w", err)
	}
	defer logFile.Close()
	if err := os.Remove(socketPath(cfg.State)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("start the engine: %w", err)
	}

	cmd := exec.Command(self, Stage, request)
	cmd.Dir = "/"
	cmd.Env = []string{}
	cmd.Stdout, cmd.Stderr = logFile, logFile
	// The engine is the first process of its PID namespace: what it started ends with
	// it, however it ends. A name server that outlived it would keep its network's
	// address, and no engine would start again.
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID, Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the engine: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()

	rec.PID = cmd.Process.Pid
	if rec.Ticks, err = startTicks(rec.PID); err == nil {
		err = writeJSON(recordPath(cfg.State), rec)
	}
	if err != nil {
		cmd.Process.Kill()
		return nil, fmt.Errorf("start the engine: %w", err)
	}
	return rec, awaitAnswer(ctx, cfg.State, cmd.Process, ended)
}

// awaitAnswer polls the socket, which is all that tells of an engine's being ready.
func awaitAnswer(ctx context.Context, state string, p *os.Process, ended <-chan error) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			os.Remove(recordPath(state))
			return fmt.Errorf("%w while starting: call again once what its last messages name is put right (all of them: ci/dagger engine logs):\n%s", ErrDied, Tail(state, 15))
		case <-ctx.Done():
			p.Kill()
			os.Remove(recordPath(state))
			return fmt.Errorf("start the engine: it does not answer (%w): call again once what its last messages name is put right (all of them: ci/dagger engine logs):\n%s", ctx.Err(), Tail(state, 15))
		case <-tick.C:
			if Answers(state) {
				return nil
			}
		}
	}
}

// Stop ends the engine of the state folder and reports whether there was one.
// It asks first and kills after grace.
func Stop(state string, grace time.Duration) (bool, error) {
	rec, err := Find(state)
	if rec == nil || err != nil {
		return false, err
	}
	if err := syscall.Kill(rec.PID, syscall.SIGTERM); err != nil {
		return false, fmt.Errorf("stop the engine: %w", err)
	}
	gone := func(limit time.Duration) bool {
		for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			if ticks, err := startTicks(rec.PID); err != nil || ticks != rec.Ticks {
				return true
			}
		}
		return false
	}
	if !gone(grace) {
		if err := syscall.Kill(rec.PID, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return false, fmt.Errorf("stop the engine: %w", err)
		}
		if !gone(10 * time.Second) {
			return false, fmt.Errorf("stop the engine: process %d does not end", rec.PID)
		}
	}
	rec.Network.remove()
	os.Remove(socketPath(state))
	if err := os.Remove(recordPath(state)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return true, fmt.Errorf("stop the engine: %w", err)
	}
	return true, nil
}

// Tail returns the last lines of the engine's messages.
func Tail(state string, lines int) string {
	f, err := os.Open(LogPath(state))
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	const window = 64 << 10
	if info, err := f.Stat(); err == nil && info.Size() > window {
		f.Seek(-window, io.SeekEnd)
	}
	data, err := io.ReadAll(io.LimitReader(f, window))
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(data), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// openLog opens the log for appending; the one before is kept when it has
// grown beyond reading.
func openLog(state string) (*os.File, error) {
	path := LogPath(state)
	if info, err := os.Stat(path); err == nil && info.Size() > 32<<20 {
		if err := os.Rename(path, path+".old"); err != nil {
			return nil, err
		}
	}
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
}

// startTicks returns the start time of a process in clock ticks since boot
// (proc(5), field 22 of stat). A zombie counts as gone.
func startTicks(pid int) (uint64, error) {
	data, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0, err
	}
	// The second field is the program's name in parentheses, which may hold
	// spaces and parentheses itself.
	end := strings.LastIndexByte(string(data), ')')
	fields := strings.Fields(string(data[end+1:]))
	if end < 0 || len(fields) < 20 || fields[0] == "Z" {
		return 0, fmt.Errorf("process %d: no start time", pid)
	}
	return strconv.ParseUint(fields[19], 10, 64)
}

// writeJSON replaces the file at once, so that no reader sees half of it.
func writeJSON(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	tmp := path + ".new"
	if err := os.WriteFile(tmp, append(data, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// Equal reports whether engines of both configurations are interchangeable.
func (c Config) Equal(d Config) bool {
	return c.State == d.State && c.Bin == d.Bin && c.Content == d.Content && c.Digest == d.Digest &&
		c.Runc == d.Runc && c.DNSMasq == d.DNSMasq && c.CNI == d.CNI && slices.Equal(c.Env, d.Env)
}
