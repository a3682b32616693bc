//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/mastercard/mangos/ci/launcher/build"
	"github.com/mastercard/mangos/ci/launcher/daemon"
	"github.com/mastercard/mangos/ci/launcher/machine"
)

// programs are what the embedded engine consists of.
var programs = []string{build.CLI, build.Engine, build.Init, build.DNSName, build.Codegen}

// checkMachine returns an error, with the way out, when no embedded engine can
// run here.
func (l *launcher) checkMachine(src build.Source) error {
	free, err := machine.FreeSpace(l.state)
	if err != nil {
		return err
	}
	need := uint64(machine.FreeToRun)
	switch {
	case l.pruning:
		need = 0 // it is what makes room
	case !build.Present(l.binDir(src), programs...):
		need = machine.FreeToBuild
	case daemon.Unused(l.state):
		need = machine.FreeToFill
	}
	facts := machine.Facts{OS: runtime.GOOS, Arch: runtime.GOARCH, UID: os.Geteuid(), Free: free}
	return machine.Check(facts, l.state, need)
}

// furnish makes whatever the engine still lacks and returns the configuration
// to run it with; ages is that of withLock. The caller holds the start lock.
func (l *launcher) furnish(ctx context.Context, src build.Source, ages bool) (daemon.Config, error) {
	var cfg daemon.Config
	if err := l.installPackages(ctx); err != nil {
		return cfg, err
	}
	if err := l.compile(ctx, src, programs...); err != nil {
		return cfg, err
	}
	var image, digest string
	err := l.withLock(ages, func(lock string) (err error) {
		image, digest, err = l.sdkImage(ctx, src, lock)
		return err
	})
	if err != nil {
		return cfg, err
	}
	env, err := machine.GoEnv(ctx, "GOPROXY")
	if err != nil {
		return cfg, err
	}
	cfg = daemon.Config{
		State:   l.state,
		Bin:     l.binDir(src),
		Content: image,
		Digest:  digest,
		Env:     append(machine.ProxyEnv(), "GOPROXY="+env["GOPROXY"]),
	}
	for _, n := range machine.Needs {
		switch n.Package {
		case "runc":
			cfg.Runc = n.Find()
		case "dnsmasq-base":
			cfg.DNSMasq = n.Find()
		case "containernetworking-plugins":
			cfg.CNI = filepath.Dir(n.Find())
		}
	}
	return cfg, nil
}

func (l *launcher) installPackages(ctx context.Context) error {
	missing := machine.Missing()
	if len(missing) == 0 {
		return nil
	}
	return l.say.Do("install through apt: "+machine.Describe(missing), func() error {
		if err := machine.Install(ctx, missing); err != nil {
			return err
		}
		if still := machine.Missing(); len(still) > 0 {
			return fmt.Errorf("apt installed %s, but not where this program looks for it", machine.Describe(still))
		}
		return nil
	})
}

// compile makes those of the programs that are not there yet.
func (l *launcher) compile(ctx context.Context, src build.Source, programs ...string) error {
	var missing []string
	for _, p := range programs {
		if !build.Present(l.binDir(src), p) {
			missing = append(missing, p)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	what := "compile the Dagger engine and client " + src.Version + " (first time only, about 5 minutes on two cores)"
	if len(missing) == 1 {
		what = fmt.Sprintf("compile the Dagger %s %s (first time only)", missing[0], src.Version)
	}
	log, err := os.OpenFile(filepath.Join(l.state, "build.log"), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return fmt.Errorf("open the build log: %w", err)
	}
	defer log.Close()
	return l.say.Do(what, func() error {
		return build.Compile(ctx, src, l.binDir(src), log, missing...)
	})
}

// downloadToolchain has the go command fetch a toolchain as a module, through
// the configured proxy and checked against the checksum database, and returns
// its folder.
func downloadToolchain(ctx context.Context, version string) (string, error) {
	module := "golang.org/toolchain@v0.0.1-go" + version + ".linux-amd64"
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", module)
	cmd.Dir = os.TempDir()
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off", "GO111MODULE=on")
	out, runErr := cmd.Output()
	var answer struct{ Dir, Error string }
	if err := json.Unmarshal(out, &answer); err != nil {
		return "", fmt.Errorf("fetch %s: %w", module, errors.Join(runErr, err))
	}
	if runErr != nil || answer.Dir == "" {
		return "", fmt.Errorf("fetch %s: %s", module, answer.Error)
	}
	return answer.Dir, nil
}
