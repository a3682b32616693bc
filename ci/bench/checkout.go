//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// bench is a clone that is changed and built, as a person changes and builds a
// checkout.
type bench struct {
	runs   int
	commit string
	dir    string // everything below is removed in the end
	tree   string // the clone
}

func prepare(ctx context.Context, repo string, runs int) (*bench, error) {
	dir, err := os.MkdirTemp("", "mangos-bench-")
	if err != nil {
		return nil, err
	}
	b := &bench{runs: runs, dir: dir, tree: filepath.Join(dir, "mangos")}
	if _, err = command(ctx, repo, "git", "clone", "--quiet", ".", b.tree); err == nil {
		b.commit, err = command(ctx, b.tree, "git", "rev-parse", "HEAD")
	}
	if err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

func (b *bench) close() { os.RemoveAll(b.dir) }

// reset puts the clone back to what it was.
func (b *bench) reset(ctx context.Context) error {
	if _, err := command(ctx, b.tree, "git", "reset", "--quiet", "--hard"); err != nil {
		return err
	}
	_, err := command(ctx, b.tree, "git", "clean", "--quiet", "-fdx")
	return err
}

// call runs ci/dagger in the clone and returns how many seconds it took.
func (b *bench) call(ctx context.Context, args ...string) (float64, error) {
	return timed(ctx, b.tree, append([]string{filepath.Join(b.tree, "ci/dagger"), "--progress=plain"}, args...)...)
}

// release is the folder that builds are written to.
func (b *bench) release() string { return filepath.Join(b.dir, "release") }

// build calls build-image, with more arguments, and returns the seconds. Of the release
// that it is written onto nothing is left, and only what differs is written.
func (b *bench) build(ctx context.Context, args ...string) (float64, error) {
	return b.buildWith(ctx, nil, args)
}

// buildWith is build with flags of the pipeline.
func (b *bench) buildWith(ctx context.Context, pipeline, args []string) (float64, error) {
	return b.call(ctx, slices.Concat([]string{"call"}, pipeline, []string{"build-image"}, args, []string{"export", "--path", b.release(), "--wipe"})...)
}

// begin builds the clone as it was, into an empty folder.
func (b *bench) begin(ctx context.Context) error {
	if err := errors.Join(b.reset(ctx), os.RemoveAll(b.release())); err != nil {
		return err
	}
	_, err := b.build(ctx)
	return err
}

// write replaces a file of the clone.
func (b *bench) write(name, text string) error {
	return os.WriteFile(filepath.Join(b.tree, name), []byte(text), 0o644)
}

// setRoot is where the definition has the package set of the image.
const setRoot = "[distribution.debian.sets.root]"

// filterNothing gives the package set root a path filter that matches nothing: an
// earlier run may have made the same set, and then nothing would be left to do.
func (b *bench) filterNothing(stamp string) error {
	definition, err := readText(filepath.Join(b.tree, "mangos.toml"))
	if err != nil {
		return err
	}
	before, after, found := strings.Cut(string(definition), setRoot)
	first, rest, paths := strings.Cut(after, "paths = [\n")
	if !found || !paths {
		return errors.New("mangos.toml: the package set root has no paths")
	}
	return b.write("mangos.toml", before+setRoot+first+"paths = [\n"+fmt.Sprintf("  \"-/%s\",\n", stamp)+rest)
}

// dropPackage takes a package that nothing else needs out of the package set root,
// in the definition and in the lock, as if both had been made without it, and gives
// the set a filter of its own.
func (b *bench) dropPackage(name, stamp string) error {
	definition, err := readText(filepath.Join(b.tree, "mangos.toml"))
	if err != nil {
		return err
	}
	before, after, found := strings.Cut(string(definition), setRoot)
	line := fmt.Sprintf("  %q,\n", name)
	if !found || !strings.Contains(after, line) {
		return fmt.Errorf("mangos.toml: the package set root does not ask for %s", name)
	}
	if err := b.write("mangos.toml", before+setRoot+strings.Replace(after, line, "", 1)); err != nil {
		return err
	}
	text, err := readText(filepath.Join(b.tree, "debian.lock.json"))
	if err != nil {
		return err
	}
	lock, err := withoutPackage(text, "root", name)
	if err != nil {
		return err
	}
	return errors.Join(b.write("debian.lock.json", string(lock)), b.filterNothing(stamp))
}

// withoutPackage returns the lock with a package taken out of a set, every other byte
// as it was.
func withoutPackage(lock []byte, set, name string) ([]byte, error) {
	start := bytes.Index(lock, fmt.Appendf(nil, "{\"name\":%q,\"base\":", set))
	if start < 0 {
		return nil, fmt.Errorf("the lock has no package set %q", set)
	}
	end := start + bytes.IndexByte(lock[start:], '\n')
	part := strings.ReplaceAll(string(lock[start:end]), fmt.Sprintf("%q,", name), "")
	part = strings.ReplaceAll(part, fmt.Sprintf(",%q", name), "")
	changed := append(append(bytes.Clone(lock[:start]), part...), lock[end:]...)
	if bytes.Equal(changed, lock) {
		return nil, fmt.Errorf("the lock's package set %s has no %s", set, name)
	}
	if !json.Valid(changed) {
		return nil, errors.New("the lock is no longer JSON")
	}
	return changed, nil
}

// maxComplaint bounds what is shown of a failed command, in bytes.
const maxComplaint = 4000

// command runs a program and returns what it printed, without the last newline.
func command(ctx context.Context, dir, name string, args ...string) (string, error) {
	out, _, err := output(ctx, dir, name, args...)
	return out, err
}

// output is command with what the program printed on standard error.
func output(ctx context.Context, dir, name string, args ...string) (stdout, stderr string, err error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	var out, log collected
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Run(); err != nil {
		complaint := bytes.TrimSpace(log.text)
		complaint = complaint[max(0, len(complaint)-maxComplaint):]
		return "", "", fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, complaint)
	}
	return strings.TrimSuffix(string(out.text), "\n"), string(log.text), nil
}

// maxPrinted bounds what a command may print, in bytes.
const maxPrinted = 64 << 20

// collected is what a command printed. What exceeds maxPrinted is an error.
type collected struct{ text []byte }

func (p *collected) Write(b []byte) (int, error) {
	if len(p.text)+len(b) > maxPrinted {
		return 0, fmt.Errorf("it prints more than %d bytes", maxPrinted)
	}
	p.text = append(p.text, b...)
	return len(b), nil
}

// maxText bounds the files that are read whole, in bytes.
const maxText = 32 << 20

// readText reads a file of at most maxText bytes.
func readText(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxText+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxText {
		return nil, fmt.Errorf("%s: more than %d bytes", path, maxText)
	}
	return text, nil
}
