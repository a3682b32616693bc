package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// options say how to run a command. They travel from the outer to the inner
// half of the program as JSON.
type options struct {
	Hostname    string
	Root        string // "" for the caller's own
	Env         []string
	UID, GID    uint32
	Ambient     bool // another user than root has the capabilities too
	KeepNetwork bool
	Dir         string   // working folder, inside Root; "" for the caller's or /
	In, Out     []string // folders with what the command reads and cannot change, and makes
	Nest        bool     // the command makes sandboxes: it keeps root's capabilities
	Variation   string   // not empty: a different world, see varied
	Elsewhere   string   // a folder of the variation's own
	Command     []string
}

const defaultHostname = "mangos"

const usage = "usage: sandbox [--hostname NAME] [--root DIR] [--env K=V]... [--user UID:GID] [--keep-network] [--dir DIR] " +
	"[--in DIR]... [--out DIR]... [--nest] -- COMMAND [ARGUMENT]..."

var (
	hostnameFormat = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$`)
	envName        = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// parse reads the command line, without the program's name.
func parse(args []string) (options, error) {
	o := options{Hostname: defaultHostname}
	flags := flag.NewFlagSet("sandbox", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&o.Hostname, "hostname", o.Hostname, "")
	flags.StringVar(&o.Root, "root", "", "")
	flags.StringVar(&o.Dir, "dir", "", "")
	flags.BoolVar(&o.KeepNetwork, "keep-network", false, "")
	flags.BoolVar(&o.Nest, "nest", false, "")
	flags.Func("in", "", folder(&o.In))
	flags.Func("out", "", folder(&o.Out))
	flags.Func("env", "", func(v string) error {
		name, value, ok := strings.Cut(v, "=")
		if !ok || !envName.MatchString(name) || strings.ContainsRune(value, 0) {
			return errors.New("not of the form NAME=VALUE")
		}
		o.Env = append(o.Env, v)
		return nil
	})
	flags.Func("user", "", func(v string) (err error) {
		o.UID, o.GID, err = parseUser(v)
		return err
	})
	if err := flags.Parse(args); err != nil {
		return options{}, fmt.Errorf("%w\n%s", err, usage)
	}
	o.Command = flags.Args()
	if len(o.Command) == 0 {
		return options{}, fmt.Errorf("no command given\n%s", usage)
	}
	if !hostnameFormat.MatchString(o.Hostname) {
		return options{}, fmt.Errorf("host name %q: wanted lower-case letters, digits and hyphens, 64 at most", o.Hostname)
	}
	if o.Dir != "" && !path.IsAbs(o.Dir) {
		return options{}, fmt.Errorf("working folder %q: wanted an absolute path", o.Dir)
	}
	if o.Root != "" && (o.Nest || len(o.In) > 0 || len(o.Out) > 0) {
		return options{}, errors.New("--in, --out and --nest are for commands without a --root of their own")
	}
	for _, out := range o.Out {
		if _, ok := o.pathIn(out, o.In); ok {
			return options{}, fmt.Errorf("--out %s lies in a folder of --in, which is read-only", out)
		}
	}
	if o.Root != "" {
		root, err := filepath.Abs(o.Root)
		if err != nil {
			return options{}, fmt.Errorf("root %q: %w", o.Root, err)
		}
		o.Root = root
	}
	return o, nil
}

// folder adds a flag's value to a list of folders.
func folder(list *[]string) func(string) error {
	return func(v string) error {
		if v = path.Clean(v); !path.IsAbs(v) || v == "/" {
			return errors.New("not an absolute path of a folder")
		}
		*list = append(*list, v)
		return nil
	}
}

// parseUser reads UID:GID, two decimal numbers.
func parseUser(v string) (uid, gid uint32, err error) {
	u, g, ok := strings.Cut(v, ":")
	if !ok {
		return 0, 0, errors.New("not of the form UID:GID")
	}
	u64, err1 := strconv.ParseUint(u, 10, 32)
	g64, err2 := strconv.ParseUint(g, 10, 32)
	// The highest number means "no user" to the kernel.
	const none = 1<<32 - 1
	if err1 != nil || err2 != nil || u64 == none || g64 == none {
		return 0, 0, errors.New("not two numbers UID:GID")
	}
	return uint32(u64), uint32(g64), nil
}

// environment returns what the command finds: the same everywhere, but for
// SOURCE_DATE_EPOCH, which epoch holds (empty when not set), and what the
// caller asked for by name.
func environment(o options, epoch string) ([]string, error) {
	home := "/root"
	if o.UID != 0 {
		home = "/"
	}
	env := []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=" + home,
		"LANG=C.UTF-8",
		"TZ=UTC",
	}
	if epoch != "" {
		if _, err := strconv.ParseUint(epoch, 10, 63); err != nil {
			return nil, fmt.Errorf("SOURCE_DATE_EPOCH is %q: wanted seconds since 1970", epoch)
		}
		env = append(env, "SOURCE_DATE_EPOCH="+epoch)
	}
	for _, add := range o.Env {
		name, _, _ := strings.Cut(add, "=")
		env = replaceEnv(env, name, add)
	}
	return env, nil
}

// replaceEnv sets the variable name to the whole entry, in its old place if it
// has one.
func replaceEnv(env []string, name, entry string) []string {
	for i, e := range env {
		if strings.HasPrefix(e, name+"=") {
			env[i] = entry
			return env
		}
	}
	return append(env, entry)
}
