//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Budgets of the program compare.
const (
	maxCompareMemory = 256 << 20 // bytes, for images of any size
	maxFirst         = 5.0       // seconds to the first path that differs
	maxVerdict       = 2.0       // seconds for 50 organisations with 500 artifacts
	hashShare        = 0.8       // of the speed of sha256sum
)

// spent is what a program took.
type spent struct {
	seconds, peak float64 // peak in bytes
	out           string
}

// spend runs a program, which must end with the exit code, to its end.
func spend(ctx context.Context, code int, name string, args ...string) (spent, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	began := time.Now()
	err := cmd.Run()
	s := spent{seconds: time.Since(began).Seconds(), out: out.String()}
	if err != nil && !errors.As(err, new(*exec.ExitError)) {
		return s, fmt.Errorf("%s: %w", name, err)
	}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		s.peak = float64(usage.Maxrss << 10)
	}
	if cmd.ProcessState.ExitCode() != code {
		return s, fmt.Errorf("%s ends with %s, not with exit code %d\n%.2000s", name, cmd.ProcessState, code, log.String())
	}
	return s, nil
}

// compareProgram compiles compare, as it is at HEAD.
func (b *bench) compareProgram(ctx context.Context) (string, error) {
	program := filepath.Join(b.dir, "compare")
	_, err := command(ctx, b.tree, "go", "build", "-trimpath", "-o", program, "./compare/cmd/compare")
	return program, err
}

// images are two root file systems of 1 GB that differ in one byte of one file.
type images struct {
	a, b    string
	changed string // the file's path
}

// The tree of the images: half of the files are text, half are noise that
// compresses a little, as machine code does when it is compressed already.
const (
	treeFiles = 7_000
	fileSize  = 160 << 10
)

// images makes both. The tree is removed again.
func (b *bench) images(ctx context.Context) (*images, error) {
	tree := filepath.Join(b.dir, "tree")
	defer os.RemoveAll(tree)
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same files each time, and no secret
	words := make([][]byte, 4096)
	for i := range words {
		words[i] = fmt.Appendf(nil, "%x ", random.Uint64()>>(random.IntN(40)))
	}
	name := func(i int) string { return fmt.Sprintf("usr/%02d/%05d", i/100, i) }
	buffer := make([]byte, 0, fileSize+32)
	for i := range treeFiles {
		buffer = buffer[:0]
		for len(buffer) < fileSize {
			if i%2 == 0 {
				buffer = append(buffer, words[random.IntN(len(words))]...)
			} else {
				buffer = append(buffer, byte(random.IntN(100)))
			}
		}
		path := filepath.Join(tree, name(i))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(path, buffer, 0o644); err != nil {
			return nil, err
		}
	}
	x := &images{a: filepath.Join(b.dir, "a.raw"), b: filepath.Join(b.dir, "b.raw"), changed: name(treeFiles * 9 / 10)}
	if err := makeErofs(ctx, x.a, tree); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(tree, x.changed), os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	if _, err = f.WriteAt([]byte{0xff}, fileSize/2); err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	return x, makeErofs(ctx, x.b, tree)
}

func makeErofs(ctx context.Context, image, tree string) error {
	_, err := command(ctx, filepath.Dir(image), "mkfs.erofs", "--quiet", "-zlz4", "-C65536", "--all-root",
		"-T1700000000", "-U11111111-1111-1111-1111-111111111111", image, tree)
	if err != nil {
		return err
	}
	// A whole number of frames, each compressed by a process that knows its size.
	st, err := os.Stat(image)
	if err != nil {
		return err
	}
	return os.Truncate(image, (st.Size()+frameSize-1)/frameSize*frameSize)
}

// frameSize is that of the frames of a release's disk image.
const frameSize = 1 << 20

// compressFrames compresses a file as releases are: in frames of a fixed size.
func compressFrames(ctx context.Context, file string) (string, error) {
	out, err := os.Create(file + ".zst")
	if err != nil {
		return "", err
	}
	defer out.Close()
	cmd := exec.CommandContext(ctx, "split", fmt.Sprintf("--bytes=%d", frameSize),
		fmt.Sprintf("--filter=zstd --quiet -3 --check --stream-size=%d", frameSize), file)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = out, &log
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("split and compress %s: %w\n%s", file, err, log.String())
	}
	return out.Name(), out.Close()
}

// pair returns the compare program and two images for it.
func (b *bench) pair(ctx context.Context) (program string, x *images, err error) {
	if program, err = b.compareProgram(ctx); err != nil {
		return "", nil, err
	}
	x, err = b.images(ctx)
	return program, x, err
}

func (x *images) remove() {
	os.Remove(x.a)
	os.Remove(x.b)
}

// measureIdentical compares two equal images, in turn with sha256sum of both at the
// same time.
func measureIdentical(ctx context.Context, b *bench) ([]figure, error) {
	program, x, err := b.pair(ctx)
	if err != nil {
		return nil, err
	}
	defer x.remove()
	if _, err := command(ctx, b.dir, "cp", x.a, x.b); err != nil {
		return nil, err
	}
	ours := figure{Name: "two identical images of 1 GB", Unit: "s"}
	peak := figure{Name: "  its peak memory", Unit: "bytes", Budget: maxCompareMemory}
	theirs := figure{Name: "sha256sum of both at once", Unit: "s"}
	hash := func() (spent, error) {
		return spend(ctx, 0, "sh", "-c", `sha256sum "$1" & sha256sum "$2" && wait $!`, "sh", x.a, x.b)
	}
	// Both are in the page cache then, for theirs as for ours.
	if _, err := hash(); err != nil {
		return nil, err
	}
	for range b.runs {
		s, err := hash()
		if err != nil {
			return nil, err
		}
		theirs.Values = append(theirs.Values, s.seconds)
		if s, err = spend(ctx, 0, program, "explain", x.a, x.b); err != nil {
			return nil, err
		}
		if !strings.Contains(s.out, "They are the same.") {
			return nil, fmt.Errorf("compare explain says of a copy:\n%s", s.out)
		}
		ours.Values, peak.Values = append(ours.Values, s.seconds), append(peak.Values, s.peak)
	}
	ours.Budget, ours.Note = theirs.median()/hashShare, "budget: 80 % of the speed of sha256sum"
	return []figure{ours, theirs, peak}, nil
}

// What diffoscope may take: it can take all memory that there is.
const (
	maxDiffoscope       = 20 * time.Minute
	maxDiffoscopeMemory = 8 << 30
)

// measureFirst finds the file that differs, in images as they are and compressed.
func measureFirst(ctx context.Context, b *bench) ([]figure, error) {
	program, x, err := b.pair(ctx)
	if err != nil {
		return nil, err
	}
	defer x.remove()
	pairs := []struct{ name, a, b string }{{"as they are", x.a, x.b}, {"compressed", "", ""}}
	if pairs[1].a, err = compressFrames(ctx, x.a); err != nil {
		return nil, err
	}
	defer os.Remove(pairs[1].a)
	if pairs[1].b, err = compressFrames(ctx, x.b); err != nil {
		return nil, err
	}
	defer os.Remove(pairs[1].b)
	var figures []figure
	for _, p := range pairs {
		for _, way := range []struct{ name, flag string }{{"first path that differs", "--first"}, {"all that differs", "--max=100"}} {
			f := figure{Name: way.name + ", " + p.name, Unit: "s", Budget: maxFirst}
			peak := figure{Name: "  its peak memory", Unit: "bytes", Budget: maxCompareMemory}
			for range b.runs {
				s, err := spend(ctx, 2, program, "explain", way.flag, p.a, p.b)
				if err != nil {
					return nil, err
				}
				if !strings.Contains(s.out, "/"+x.changed) {
					return nil, fmt.Errorf("compare explain does not name /%s:\n%s", x.changed, s.out)
				}
				f.Values, peak.Values = append(f.Values, s.seconds), append(peak.Values, s.peak)
			}
			figures = append(figures, f, peak)
		}
	}
	return append(figures, diffoscope(ctx, x)...), nil
}

// diffoscope is the rival, where it is installed. It runs once: it takes minutes.
func diffoscope(ctx context.Context, x *images) []figure {
	if _, err := exec.LookPath("diffoscope"); err != nil {
		fmt.Println("diffoscope is not installed: it is not measured")
		return nil
	}
	ctx, stop := context.WithTimeout(ctx, maxDiffoscope)
	defer stop()
	s, err := spend(ctx, 1, "prlimit", fmt.Sprintf("--as=%d", int64(maxDiffoscopeMemory)), "diffoscope", "--no-progress", "--text", "-", x.a, x.b)
	f := figure{Name: "diffoscope, as they are", Unit: "s", Values: []float64{s.seconds}}
	peak := figure{Name: "  its peak memory", Unit: "bytes", Values: []float64{s.peak}, Note: "of the largest of its processes"}
	switch {
	case ctx.Err() != nil || err != nil:
		f.Note = fmt.Sprintf("without a result: %.200q", err)
	case !strings.Contains(s.out, x.changed):
		f.Note = "without the path that differs"
	}
	return []figure{f, peak}
}

// decided is the line of the benchmark that judges 50 organisations.
var decided = regexp.MustCompile(`(?m)^BenchmarkDecide\S*\s+\d+\s+(\d+) ns/op`)

// measureVerdict judges 50 organisations with 500 artifacts each, from files to
// verdict. The memory is that of the program that also makes and signs them.
func measureVerdict(ctx context.Context, b *bench) ([]figure, error) {
	program := filepath.Join(b.dir, "verdict.test")
	if _, err := command(ctx, b.tree, "go", "test", "-c", "-o", program, "./compare/verdict"); err != nil {
		return nil, err
	}
	f := figure{Name: "verdict, 50 organisations x 500", Unit: "s", Budget: maxVerdict}
	peak := figure{Name: "  its peak memory", Unit: "bytes", Budget: maxCompareMemory, Note: "with making what is judged"}
	for range b.runs {
		s, err := spend(ctx, 0, program, "-test.run=^$", "-test.bench=^BenchmarkDecide$", "-test.benchtime=1x")
		if err != nil {
			return nil, err
		}
		m := decided.FindStringSubmatch(s.out)
		if m == nil {
			return nil, fmt.Errorf("no figure in what the benchmark prints:\n%s", s.out)
		}
		ns, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			return nil, err
		}
		f.Values, peak.Values = append(f.Values, ns/1e9), append(peak.Values, s.peak)
	}
	return []figure{f, peak}, nil
}
