package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/mastercard/mangos/attest/strictjson"
	"github.com/mastercard/mangos/runtime/installer"
)

// options are the flags of install. A seed file has the same names.
type options struct {
	source, key, target, code, version, minimumVersion, then string
	minimum                                                  sizeFlag
	dryRun                                                   bool
}

func (o *options) flags(f *pflag.FlagSet) {
	o.screenFlags(f)
	f.StringVar(&o.target, "target", "", "disk: its device file, a name in /dev/disk/by-id or by-path, or a part of its model or serial number; or a file")
	f.StringVar(&o.code, "code", "", "the code of a disk that is not empty: what is on it is lost")
	f.StringVar(&o.then, "then", "stop", "what to do afterwards: reboot, poweroff or stop")
	f.BoolVar(&o.dryRun, "dry-run", false, "do all but write")
}

func (o *options) choices() installer.Options {
	return installer.Options{
		Source: o.source, KeyFile: o.key, Target: o.target, Code: o.code,
		Version: o.version, MinimumVersion: o.minimumVersion, Minimum: int64(o.minimum),
	}
}

// screenFlags are the settings that the screen does not ask for.
func (o *options) screenFlags(f *pflag.FlagSet) {
	f.StringVar(&o.source, "source", "", "address (https://HOST/PATH) or folder with the release")
	f.StringVar(&o.key, "key", "", "file with the organisation's release key, OpenPGP, armored")
	f.StringVar(&o.version, "version", "", "version to install (default: the newest)")
	f.StringVar(&o.minimumVersion, "minimum-version", "", "refuse older versions than this")
	f.Var(&o.minimum, "minimum", "least size of a target, with a suffix K, M or G")
}

// readSeed sets flags from a file: a JSON object with the flags' names, texts and
// true or false. A flag that stands on the command line, too, is refused: which
// of them counts is not ours to guess.
func readSeed(path string, f *pflag.FlagSet) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read seed: %w", err)
	}
	defer file.Close()
	const longest = 64 << 10
	raw, err := io.ReadAll(io.LimitReader(file, longest))
	if err != nil {
		return fmt.Errorf("read seed: %w", err)
	}
	var seed map[string]any
	if err := strictjson.Unmarshal(raw, &seed); err != nil {
		return fmt.Errorf("read seed %s: %w", path, err)
	}
	for name, value := range seed {
		flag := f.Lookup(name)
		switch {
		case flag == nil || name == "seed" || name == "root":
			return fmt.Errorf("read seed %s: there is no setting %.40q", path, name)
		case flag.Changed:
			return fmt.Errorf("read seed %s: %s is given on the command line, too", path, name)
		}
		var text string
		switch v := value.(type) {
		case string:
			text = v
		case bool:
			text = strconv.FormatBool(v)
		default:
			return fmt.Errorf("read seed %s: %s is neither a text nor true or false", path, name)
		}
		if err := f.Set(name, text); err != nil {
			return fmt.Errorf("read seed %s: %w", path, err)
		}
	}
	return nil
}

func (o *options) check() error {
	for _, c := range []struct{ name, value string }{{"source", o.source}, {"key", o.key}, {"target", o.target}} {
		if c.value == "" {
			return fmt.Errorf("--%s is missing", c.name)
		}
	}
	if o.then != "reboot" && o.then != "poweroff" && o.then != "stop" {
		return errors.New("--then: want reboot, poweroff or stop")
	}
	return nil
}

// sizeFlag is a number of bytes with an optional suffix K, M or G, powers of 1024.
type sizeFlag int64

func (s *sizeFlag) String() string { return strconv.FormatInt(int64(*s), 10) }
func (*sizeFlag) Type() string     { return "size" }

func (s *sizeFlag) Set(text string) error {
	shift := map[string]int{"K": 10, "M": 20, "G": 30}[text[max(len(text)-1, 0):]]
	n, err := strconv.ParseInt(strings.TrimRight(text, "KMG"), 10, 64)
	if err != nil || n < 0 || n > 1<<60>>shift || shift == 0 && strings.TrimRight(text, "KMG") != text {
		return errors.New("want a number of bytes, with a suffix K, M or G")
	}
	*s = sizeFlag(n << shift)
	return nil
}
