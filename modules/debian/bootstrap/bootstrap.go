// Package bootstrap makes a configured root file system from Debian packages
// alone: no container or tool of the machine is its base.
//
// The packages that are Essential, with what they depend on, are unpacked by
// package deb. Then the tree's own dpkg, in the sandbox, installs them, and the
// others after them, each batch in one run. At last what the clock, the machine
// and chance left behind is made the same everywhere; normal.go lists it.
//
// The tree's date is that of its newest package, so it depends on its packages
// and on nothing else of a lock.
package bootstrap

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/mastercard/mangos/modules/debian/control"
	"github.com/mastercard/mangos/modules/debian/deb"
	"github.com/mastercard/mangos/modules/debian/enter"
	"github.com/mastercard/mangos/modules/debian/lock"
)

// ErrUnconfigured says that dpkg left a package half-way.
var ErrUnconfigured = errors.New("package is not configured")

// Builder makes one root file system.
type Builder struct {
	Selection *lock.Selection
	// Packages is the folder of the selection's package files.
	Packages string
	// Root is an empty folder; its tree is good only if Build gives no error.
	Root string
	// Sandbox is the sandbox program.
	Sandbox string
	// Log, if set, gets a line for each step with the time that it took.
	Log io.Writer
}

// stage is the folder of the tree that the package files lie in meanwhile.
const stage = "/.packages"

// Build makes the root file system.
func (b *Builder) Build(ctx context.Context) error {
	if err := b.build(ctx); err != nil {
		return fmt.Errorf("bootstrap %s: %w", b.Selection.Name, err)
	}
	return nil
}

func (b *Builder) build(ctx context.Context) error {
	if b.Log == nil {
		b.Log = io.Discard
	}
	clock := time.Now()
	step := func(format string, args ...any) {
		fmt.Fprintf(b.Log, "bootstrap %s: %s (%.1f s)\n", b.Selection.Name, fmt.Sprintf(format, args...), time.Since(clock).Seconds())
		clock = time.Now()
	}
	filter, err := deb.ParseFilter(b.Selection.Paths)
	if err != nil {
		return err
	}
	p, err := newPlan(b.Selection, b.Packages)
	if err != nil {
		return err
	}
	step("%d packages, %d of them essential, %d batches", len(p.members), len(p.essential), len(p.batches))
	if _, err := deb.Unpack(p.files(p.essential), b.Root, filter); err != nil {
		return err
	}
	step("unpacked the essential packages")
	if err := b.prepare(p); err != nil {
		return err
	}
	root := enter.Root{Dir: b.Root, Sandbox: b.Sandbox, Env: []string{
		"DEBIAN_FRONTEND=noninteractive",
		"DEBCONF_NONINTERACTIVE_SEEN=true",
		"SYSTEMD_OFFLINE=1",
		"SOURCE_DATE_EPOCH=" + strconv.FormatInt(p.built.Unix(), 10),
	}}
	// The essential packages depend on each other in circles. base-passwd comes
	// first: the scripts of the others name users.
	first := p.first()
	rest := slices.DeleteFunc(slices.Clone(p.essential), func(name string) bool { return slices.Contains(first, name) })
	for _, batch := range [][]string{first, rest} {
		if err := b.install(ctx, root, p, batch, "--force-depends"); err != nil {
			return err
		}
	}
	step("installed the essential packages")
	for _, batch := range p.batches {
		if err := b.install(ctx, root, p, batch); err != nil {
			return err
		}
		step("installed %d packages", len(batch))
	}
	if err := checkStatus(b.Root, p); err != nil {
		return err
	}
	if err := b.clean(); err != nil {
		return err
	}
	if err := normalise(b.Root, p.built); err != nil {
		return err
	}
	step("made it the same everywhere")
	return nil
}

// first returns the packages that make a tree one that the scripts of others can
// run in.
func (p *plan) first() []string {
	return slices.DeleteFunc([]string{"base-files", "base-passwd"}, func(name string) bool {
		return !slices.Contains(p.essential, name)
	})
}

func (p *plan) files(names []string) []string {
	// base-files first: it brings the links /bin, /lib and /sbin.
	var list []string
	if m, ok := p.members["base-files"]; ok && slices.Contains(names, "base-files") {
		list = append(list, m.file)
	}
	for _, name := range names {
		if name != "base-files" {
			list = append(list, p.members[name].file)
		}
	}
	return list
}

// policy answers invoke-rc.d: no service is started.
const policy = "#!/bin/sh\nexit 101\n"

const policyPath = "usr/sbin/policy-rc.d"

// prepare lays out what dpkg needs, and the package files.
func (b *Builder) prepare(p *plan) error {
	for _, dir := range []string{"proc", "dev", "sys", "run", "tmp", "var/lib/dpkg/info", "var/lib/dpkg/updates", stage} {
		if err := os.MkdirAll(filepath.Join(b.Root, dir), 0o755); err != nil {
			return err
		}
		if dir == "tmp" {
			continue
		}
		if err := os.Chmod(filepath.Join(b.Root, dir), 0o755); err != nil {
			return err
		}
	}
	for name, content := range map[string]string{
		"var/lib/dpkg/status": "", "var/lib/dpkg/available": "", policyPath: policy,
	} {
		if err := write(filepath.Join(b.Root, name), content); err != nil {
			return err
		}
	}
	for _, m := range p.members {
		if err := place(m.file, filepath.Join(b.Root, stage, filepath.Base(m.file))); err != nil {
			return err
		}
	}
	return nil
}

// write writes a file that anybody can read and run, whatever the umask is.
func write(name, content string) error {
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		return err
	}
	mode := os.FileMode(0o644)
	if content == policy {
		mode = 0o755
	}
	return os.Chmod(name, mode)
}

// place links a package file into the tree, or copies it from another file
// system.
func place(from, to string) error {
	if os.Link(from, to) == nil {
		return nil
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}

// install runs dpkg once for a batch. Safe writing is of no use in a tree that is
// thrown away when anything fails.
func (b *Builder) install(ctx context.Context, root enter.Root, p *plan, names []string, options ...string) error {
	if len(names) == 0 {
		return nil
	}
	argv := append([]string{"/usr/bin/dpkg", "--force-unsafe-io", "--log=/dev/null", "--no-pager"}, options...)
	for _, rule := range b.Selection.Paths {
		option := "--path-exclude="
		if rule[0] == '+' {
			option = "--path-include="
		}
		argv = append(argv, option+rule[1:])
	}
	argv = append(argv, "--install")
	for _, name := range names {
		argv = append(argv, stage+"/"+filepath.Base(p.members[name].file))
	}
	_, err := root.Run(ctx, argv...)
	return err
}

// clean takes away what prepare brought.
func (b *Builder) clean() error {
	if err := os.RemoveAll(filepath.Join(b.Root, stage)); err != nil {
		return err
	}
	return os.Remove(filepath.Join(b.Root, policyPath))
}

// checkStatus makes sure that dpkg has every package of the plan, in its version
// and configured, and no other.
func checkStatus(root string, p *plan) error {
	f, err := os.Open(filepath.Join(root, "var/lib/dpkg/status"))
	if err != nil {
		return err
	}
	defer f.Close()
	r := control.NewReader(bufio.NewReader(f))
	seen := 0
	for {
		c, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		m, ok := p.members[c.Get("Package")]
		if !ok || c.Get("Status") != "install ok installed" || c.Get("Version") != m.version {
			return fmt.Errorf("%w: %s %s: %s", ErrUnconfigured, c.Get("Package"), c.Get("Version"), c.Get("Status"))
		}
		seen++
	}
	if seen != len(p.members) {
		return fmt.Errorf("%w: dpkg has %d packages, the selection %d", ErrUnconfigured, seen, len(p.members))
	}
	return nil
}
