package main

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// variationEnv names the variable that makes a sandbox a different world: what
// it otherwise fixes, it sets to something else. A build that is done twice,
// once with this variable, shows what its results depend on. Any text but the
// empty one asks for it; a different text makes a build system run a step again.
const variationEnv = "MANGOS_VARIATION"

// varied replaces a world's settings: the time zone is the one whose date
// differs from UTC's most, the umask lets the group write, one processor is
// left, and the other names are other names.
func varied(o options, env []string) (options, []string) {
	if o.Hostname == defaultHostname {
		o.Hostname = "variation"
	}
	for _, entry := range []string{"LANG=C", "LC_ALL=C", "TZ=<+14>-14", "USER=somebody", "LOGNAME=somebody"} {
		name, _, _ := strings.Cut(entry, "=")
		env = replaceEnv(env, name, entry)
	}
	return o, env
}

// umask returns what the command's file modes lack.
func umask(variation string) int {
	if variation != "" {
		return 0o002
	}
	return 0o022
}

// leaveOneProcessor takes all processors but the first that may be used from
// the calling thread and its children.
func leaveOneProcessor() error {
	var have, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &have); err != nil {
		return fmt.Errorf("read the processors in use: %w", err)
	}
	for cpu := 0; cpu < len(have)*64; cpu++ {
		if have.IsSet(cpu) {
			one.Set(cpu)
			break
		}
	}
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return fmt.Errorf("leave one processor: %w", err)
	}
	return nil
}
