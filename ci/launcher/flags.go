//go:build linux

package main

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/mastercard/mangos/ci/launcher/machine"
)

// settingsEnv, set to "no", keeps the machine's settings out of calls.
const settingsEnv = "MANGOS_MACHINE_SETTINGS"

// aptEtc is where apt is configured.
const aptEtc = "/etc/apt"

// mirrorsEnv holds the mirrors, as words ARCHIVE=URL, for the module's
// constructor and for the debian program. A mirror may hold a password and
// must not matter to what is built: so it travels as a secret whose cache key
// is fixed.
const mirrorsEnv = "MANGOS_MIRRORS"

// goproxyEnv holds the Go proxy for the module's constructor, a secret for the
// same reasons.
const goproxyEnv = "MANGOS_GOPROXY"

// addMachineFlags gives a call of the root module the mirrors and the Go proxy
// that this machine is configured to use, as flags of the module's constructor
// and as environment, unless the caller gave such flags. Other calls stay as
// they are.
func (l *launcher) addMachineFlags(ctx context.Context, args []string) (withFlags, env []string, err error) {
	at := callIndex(args)
	if at < 0 || os.Getenv(settingsEnv) == "no" || !l.inRootModule() {
		return args, nil, nil
	}
	var flags, shown []string
	if !hasFlag(args, "mirrors") {
		mirrors, err := mirrorWords()
		if err != nil {
			return nil, nil, err
		}
		if mirrors != "" {
			flags = append(flags, "--mirrors=env://"+mirrorsEnv+"?cacheKey=mirrors")
			env = append(env, mirrorsEnv+"="+mirrors)
			shown = append(shown, "mirrors "+mirrors)
		} else {
			l.say.Say("apt's configuration names no mirror of an archive by http or https: what no cache has comes from its permanent home; give a mirror as %s='debian=URL debian-security=URL'", mirrorsEnv)
		}
	}
	if !hasFlag(args, "goproxy") {
		settings, err := machine.GoEnv(ctx, "GOPROXY")
		if err != nil {
			return nil, nil, err
		}
		if proxy := settings["GOPROXY"]; proxy != "" {
			flags = append(flags, "--goproxy=env://"+goproxyEnv+"?cacheKey=goproxy")
			env = append(env, goproxyEnv+"="+proxy)
			shown = append(shown, "Go proxy "+proxy)
		}
	}
	if len(flags) == 0 {
		return args, nil, nil
	}
	l.say.Say("this machine's settings (%s=no leaves them out): %s", settingsEnv, redact(strings.Join(shown, "; ")))
	return slices.Insert(slices.Clone(args), at+1, flags...), env, nil
}

// mirrorWords returns what the caller set in MANGOS_MIRRORS, else the mirrors
// of apt's configuration, as words ARCHIVE=URL.
func mirrorWords() (string, error) {
	if words := strings.TrimSpace(os.Getenv(mirrorsEnv)); words != "" {
		return words, nil
	}
	mirrors, err := machine.Mirrors(aptEtc)
	if err != nil {
		return "", err
	}
	words := make([]string, 0, len(mirrors))
	for _, m := range mirrors {
		words = append(words, m.Name+"="+m.URL)
	}
	return strings.Join(words, " "), nil
}

// callIndex returns the place of the word "call" in a command line that calls
// the module of the working folder, else -1.
func callIndex(args []string) int {
	if hasFlag(args, "mod") || slices.ContainsFunc(args, func(a string) bool {
		return strings.HasPrefix(a, "-m") && !strings.HasPrefix(a, "--")
	}) {
		return -1
	}
	// Before the command there are only flags; those that take a value as a
	// word of its own are named.
	withValue := []string{"--progress", "--env-file", "--dot-output", "--dot-focus-field", "--interactive-command", "-x"}
	for i := 0; i < len(args); i++ {
		switch {
		case args[i] == "call":
			return i
		case slices.Contains(withValue, args[i]):
			i++
		case !strings.HasPrefix(args[i], "-"):
			return -1
		}
	}
	return -1
}

// hasFlag reports whether --name or --name=value is among args.
func hasFlag(args []string, name string) bool {
	return slices.ContainsFunc(args, func(a string) bool {
		return a == "--"+name || strings.HasPrefix(a, "--"+name+"=")
	})
}

// inRootModule reports whether the nearest dagger.json above the working
// folder is this checkout's own.
func (l *launcher) inRootModule() bool {
	dir, err := os.Getwd()
	if err != nil {
		return false
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "dagger.json")); err == nil {
			a, errA := os.Stat(dir)
			b, errB := os.Stat(l.repo)
			return errA == nil && errB == nil && os.SameFile(a, b)
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return false
		}
		dir = parent
	}
}

var userInfo = regexp.MustCompile(`://[^/@\s,|]*@`)

// redact masks user names and passwords in addresses, for people's eyes.
func redact(text string) string {
	return userInfo.ReplaceAllString(text, "://...@")
}
