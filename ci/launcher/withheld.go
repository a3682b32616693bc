//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// maxLock is the size of the largest lock that is read, in bytes: that of package lock.
const maxLock = 64 << 20

// sayWithheld says after a build what the lock that it was made from has something
// older for: whoever builds may not have seen the lock being made.
func (l *launcher) sayWithheld(args []string) {
	if function(args) != "build-image" {
		return
	}
	file := l.lock()
	if given := flagValue(args, "lock"); given != "" {
		file = given
	}
	withheld, err := readWithheld(file)
	if err != nil {
		l.say.Say("what the lock withholds is not known: %v", err)
	}
	for _, w := range withheld {
		what := strings.Trim(strconv.QuoteToASCII(strings.Replace(w, "=", " ", 1)), `"`)
		l.say.Say("withheld: %s, because no server had its files when the lock was made, which has something older", what)
	}
}

// readWithheld returns what a lock names as withheld.
func readWithheld(file string) ([]string, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var lock struct{ Withheld []string }
	if err := json.NewDecoder(io.LimitReader(f, maxLock)).Decode(&lock); err != nil {
		return nil, fmt.Errorf("read the lock %s: %w", file, err)
	}
	return lock.Withheld, nil
}

// flagValue returns the value of --name among args, or "".
func flagValue(args []string, name string) string {
	for i, a := range args {
		if value, ok := strings.CutPrefix(a, "--"+name+"="); ok {
			return value
		}
		if a == "--"+name && i+1 < len(args) {
			return args[i+1]
		}
	}
	return ""
}
