// Package machine knows what the machine that runs an engine must have and
// what it is configured to use: packages, container runtimes, mirrors, the Go
// proxy.
package machine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// Facts are what Check judges; Look takes them from the machine.
type Facts struct {
	OS, Arch string
	UID      int
	Free     uint64 // bytes that the state folder's file system has left
}

// What an engine asks of the disk, in bytes.
const (
	// FreeToBuild is needed before the engine has been compiled: compiler
	// cache, programs and image are 6 GB, and a first image build 14 GB.
	FreeToBuild = 20 << 30
	// FreeToFill is needed as long as the engine has built nothing.
	FreeToFill = 14 << 30
	// FreeToRun is needed afterwards.
	FreeToRun = 2 << 30
)

// Check returns an error, with the way out, when no embedded engine can run;
// need is one of the amounts above.
func Check(f Facts, state string, need uint64) error {
	switch {
	case f.OS != "linux" || f.Arch != "amd64":
		return fmt.Errorf("the embedded engine runs on Linux on amd64 only, and this is %s on %s: install Docker or another container runtime that Dagger knows, or name an engine in _EXPERIMENTAL_DAGGER_RUNNER_HOST", f.OS, f.Arch)
	case f.UID != 0:
		return errors.New("no container runtime answers, and the embedded engine needs root: call this with sudo, or start Docker, or name an engine in _EXPERIMENTAL_DAGGER_RUNNER_HOST")
	case f.Free < need:
		return fmt.Errorf("no space: %s has %.1f GB left, and %.0f GB are needed: free some (ci/dagger engine prune), or set MANGOS_STATE to a folder on a larger disk", state, gb(f.Free), gb(need))
	}
	return nil
}

func gb(n uint64) float64 { return float64(n) / (1 << 30) }

// FreeSpace returns how many bytes an unprivileged user may still write to
// path's file system.
func FreeSpace(path string) (uint64, error) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(path, &fs); err != nil {
		return 0, fmt.Errorf("look how much space %s has: %w", path, err)
	}
	return fs.Bavail * uint64(fs.Bsize), nil
}

// runtimes are the clients that Dagger tries, in its order. It goes by the
// first one that is installed, whether or not that one's daemon runs.
var runtimes = []string{"docker", "podman", "finch", "nerdctl"}

// ContainerRuntime returns the name of the client through which Dagger would
// provision an engine, or "" when none is installed or the first one does not
// answer.
func ContainerRuntime(ctx context.Context) string {
	for _, name := range runtimes {
		if _, err := exec.LookPath(name); err != nil {
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		if exec.CommandContext(ctx, name, "version").Run() != nil {
			return ""
		}
		return name
	}
	return ""
}

// GoEnv returns variables of the go command's configuration, by name.
func GoEnv(ctx context.Context, names ...string) (map[string]string, error) {
	out, err := exec.CommandContext(ctx, "go", append([]string{"env", "-json"}, names...)...).Output()
	if err != nil {
		return nil, fmt.Errorf("ask go for its settings: %w", err)
	}
	env := map[string]string{}
	if err := json.Unmarshal(out, &env); err != nil {
		return nil, fmt.Errorf("ask go for its settings: %w", err)
	}
	return env, nil
}

// Handed are the caller's variables that an engine passes on to its
// containers, so that they reach the network as the machine does.
var handed = []string{
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "FTP_PROXY", "ALL_PROXY",
	"http_proxy", "https_proxy", "no_proxy", "ftp_proxy", "all_proxy",
}

// ProxyEnv returns the caller's network proxy settings as NAME=value.
func ProxyEnv() []string {
	var out []string
	for _, name := range handed {
		if v, ok := os.LookupEnv(name); ok && !strings.ContainsRune(v, '\n') {
			out = append(out, name+"="+v)
		}
	}
	return out
}
