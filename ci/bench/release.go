//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// released is a release, and what it is verified and traced with.
type released struct {
	dir            string
	attest, policy string // paths
	work           string // a folder for what is unpacked
}

// released builds a release, the programs, and the policy that trusts its keys.
func (b *bench) released(ctx context.Context) (released, error) {
	programs := filepath.Join(b.dir, "programs")
	r := released{dir: b.release(), attest: filepath.Join(programs, "attest"), policy: filepath.Join(b.dir, "policy.toml"), work: b.dir}
	if err := b.reset(ctx); err != nil {
		return r, err
	}
	if _, err := b.build(ctx); err != nil {
		return r, err
	}
	if _, err := b.call(ctx, "call", "programs", "-o", programs); err != nil {
		return r, err
	}
	_, err := b.call(ctx, "call", "policy", "-o", r.policy)
	return r, err
}

func measureVerify(ctx context.Context, b *bench) ([]figure, error) {
	r, err := b.released(ctx)
	if err != nil {
		return nil, err
	}
	return r.verify(ctx, b.runs)
}

// share is how much of sha256sum's speed, on every processor, verifying shall have.
const share = 0.8

// verify measures attest verify, in turn with sha256sum over the bytes that it has
// to look at: the disk image, unpacked, and the other files as they are. What is
// measured finds all of them in the page cache.
func (r released) verify(ctx context.Context, runs int) ([]figure, error) {
	files, size, err := r.bytes(ctx)
	if err != nil {
		return nil, err
	}
	sums := append([]string{"sha256sum"}, files...)
	verify := []string{r.attest, "verify", "--release", r.dir, "--policy", r.policy}
	for _, command := range [][]string{sums, verify} {
		if _, err := timed(ctx, r.work, command...); err != nil {
			return nil, err
		}
	}
	processors := runtime.NumCPU()
	plain := figure{Name: "sha256sum of a release's bytes", Unit: "s", Note: fmt.Sprintf("%.0f MB, on one processor", float64(size)/1e6)}
	ours := figure{Name: "verify", Unit: "s", Note: fmt.Sprintf("budget: %.0f %% of sha256sum's speed on %d processors", 100*share, processors)}
	for range runs {
		seconds, err := timed(ctx, r.work, sums...)
		if err != nil {
			return nil, err
		}
		plain.Values = append(plain.Values, seconds)
		if seconds, err = timed(ctx, r.work, verify...); err != nil {
			return nil, err
		}
		ours.Values = append(ours.Values, seconds)
	}
	ours.Budget = plain.median() / float64(processors) / share
	return []figure{plain, ours}, nil
}

// bytes returns the files that hold the release's bytes, unpacked, and their size.
func (r released) bytes(ctx context.Context) (files []string, size int64, err error) {
	entries, err := os.ReadDir(r.dir)
	if err != nil {
		return nil, 0, err
	}
	for _, e := range entries {
		path := filepath.Join(r.dir, e.Name())
		if strings.HasSuffix(path, ".raw.zst") {
			packed := path
			path = filepath.Join(r.work, "unpacked.raw")
			if _, err := command(ctx, r.work, "zstd", "--quiet", "--force", "--decompress", packed, "-o", path); err != nil {
				return nil, 0, err
			}
		}
		st, err := os.Stat(path)
		if err != nil {
			return nil, 0, err
		}
		files, size = append(files, path), size+st.Size()
	}
	if len(files) == 0 {
		return nil, 0, fmt.Errorf("%s is empty", r.dir)
	}
	return files, size, nil
}

// traced is what people ask for: a file of a package, the kernel, a program of ours,
// and a file that no package has.
var traced = []string{"/usr/bin/bash", "kernel", "/usr/lib/mangos/gate", "/etc/ld.so.cache"}

func measureTrace(ctx context.Context, b *bench) ([]figure, error) {
	r, err := b.released(ctx)
	if err != nil {
		return nil, err
	}
	return r.trace(ctx, b.runs, traced)
}

// trace measures attest trace of each, with the policy, which checks signatures.
func (r released) trace(ctx context.Context, runs int, asked []string) ([]figure, error) {
	var figures []figure
	for _, name := range asked {
		f := figure{Name: "trace " + name, Unit: "s", Budget: 0.2}
		for run := range runs + 1 {
			seconds, err := timed(ctx, r.work, r.attest, "trace", "--release", r.dir, "--policy", r.policy, name)
			if err != nil {
				return nil, err
			}
			if run > 0 { // the first has read the files into the page cache
				f.Values = append(f.Values, seconds)
			}
		}
		figures = append(figures, f)
	}
	return figures, nil
}

// timed runs a command and returns how many seconds it took.
func timed(ctx context.Context, dir string, words ...string) (float64, error) {
	began := time.Now()
	_, err := command(ctx, dir, words[0], words[1:]...)
	return time.Since(began).Seconds(), err
}
