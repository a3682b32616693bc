// Package diffoscope hands pairs of files to diffoscope(1), where it is
// installed, and passes on what it says.
package diffoscope

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/mastercard/mangos/compare/component"
	"github.com/mastercard/mangos/compare/content"
	"github.com/mastercard/mangos/compare/difference"
	"github.com/mastercard/mangos/compare/terminal"
)

// ErrMissing: diffoscope is not installed.
var ErrMissing = errors.New("diffoscope is not installed")

// Limits of a run.
const (
	maxFile   = 512 << 20 // bytes of a file that is written out for it
	maxOutput = 4 << 20   // bytes of its output that are passed on
	pairs     = 3         // files that are looked at
)

// Run writes out the files of the first few findings, each pair once, and lets
// diffoscope compare them. Its output is escaped. What only a manifest tells of
// is left out.
func Run(ctx context.Context, out io.Writer, a, b *component.Node, findings []difference.Finding) error {
	program, err := exec.LookPath("diffoscope")
	if err != nil {
		return fmt.Errorf("diffoscope: %w: apt install diffoscope-minimal", ErrMissing)
	}
	done := map[string]bool{}
	for _, f := range findings {
		path := innermost(f.Path)
		name := (&difference.Finding{Path: path}).Location()
		if len(done) == pairs || done[name] || f.Signed {
			continue
		}
		x, y, err := both(a, b, path)
		if err != nil {
			return fmt.Errorf("diffoscope: %w", err)
		}
		if x == nil {
			continue
		}
		done[name] = true
		fmt.Fprintf(out, "\ndiffoscope: %s\n", terminal.Escape(name))
		if err := compare(ctx, program, out, x, y); err != nil {
			return fmt.Errorf("diffoscope: %w", err)
		}
	}
	if len(done) == 0 {
		fmt.Fprintln(out, "\ndiffoscope: no finding is about a file whose bytes are there on both sides")
	}
	return nil
}

// innermost is the path to the innermost file, of a file system or of the release.
func innermost(path []difference.Step) []difference.Step {
	for n := len(path); n > 0; n-- {
		switch path[n-1].Kind {
		case component.File, component.Partition, component.Artifact:
			return path[:n]
		}
	}
	return path
}

// both are the contents at the path, nil if one of the sides has none.
func both(a, b *component.Node, path []difference.Step) (x, y content.Content, err error) {
	for n, root := range []*component.Node{a, b} {
		node, err := difference.Locate(root, path)
		if errors.Is(err, difference.ErrNotThere) {
			return nil, nil, nil
		}
		if err != nil {
			return nil, nil, err
		}
		if node.Content == nil || node.Content.Size() > maxFile {
			return nil, nil, nil
		}
		if n == 0 {
			x = node.Content
		} else {
			y = node.Content
		}
	}
	return x, y, nil
}

// compare runs diffoscope on two contents. It ends with 1 where it sees a
// difference.
func compare(ctx context.Context, program string, out io.Writer, a, b content.Content) error {
	dir, err := os.MkdirTemp("", "mangos-diffoscope-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for name, c := range map[string]content.Content{"a": a, "b": b} {
		if err := write(filepath.Join(dir, name), c); err != nil {
			return err
		}
	}
	cmd := exec.CommandContext(ctx, program, "--no-progress", "--text-color", "never", "--text", "-", "a", "b")
	cmd.Dir = dir
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	escape(out, io.LimitReader(pipe, maxOutput))
	if n, _ := io.Copy(io.Discard, pipe); n > 0 {
		fmt.Fprintf(out, "… and %d more bytes\n", n)
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 {
		return nil
	}
	return err
}

func write(path string, c content.Content) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, content.Reader(c)); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// escape passes lines on; what is in them comes from the files.
func escape(out io.Writer, in io.Reader) {
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 64<<10), maxOutput)
	for lines.Scan() {
		fmt.Fprintln(out, "  "+terminal.Escape(lines.Text()))
	}
}
