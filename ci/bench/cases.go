//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

// benchmark is one thing that is measured.
type benchmark struct {
	name, about string
	measure     func(context.Context, *bench) ([]figure, error)
}

// cases in the order in which they are measured.
var cases = []benchmark{
	{"engine", "the start of the embedded engine", measureEngine},
	{"unchanged", "build-image onto its own result, nothing changed", measureUnchanged},
	{"program", "build-image after a change of one program of root and initrd", measureProgram},
	{"keys", "build-image with other keys", measureKeys},
	{"evidence", "build-image with another attest key: the evidence is made anew, and nothing else", measureEvidence},
	{"package", "build-image after a change of one package of the image", measurePackage},
	{"cold", "build-image from an empty package cache, and mkosi's build of the same packages", measureCold},
	{"size", "root image and unified kernel image, and mkosi's of the same packages", measureSize},
	{"kernel", "the kernel from source, compiled anew", measureKernel},
	{"verify", "attest verify of the release, and sha256sum of its bytes", measureVerify},
	{"trace", "attest trace of files of the release", measureTrace},
	{"compare-identical", "two identical images of 1 GB, and sha256sum of both", measureIdentical},
	{"compare-first", "the first path that differs in two images of 1 GB, and diffoscope", measureFirst},
	{"verdict", "the verdict over 50 organisations with 500 artifacts each", measureVerdict},
	{"proxy", "files through the release proxy, directly, and through nginx", measureProxy},
}

// repeat measures build-image runs times, onto the result of the one before; change
// makes the checkout another one each time and returns more arguments of build-image.
func (b *bench) repeat(ctx context.Context, f figure, change func(run int) ([]string, error)) ([]figure, error) {
	if err := b.begin(ctx); err != nil {
		return nil, err
	}
	for run := range b.runs {
		args, err := change(run)
		if err != nil {
			return nil, err
		}
		seconds, err := b.build(ctx, args...)
		if err != nil {
			return nil, err
		}
		f.Values = append(f.Values, seconds)
	}
	f.Unit = "s"
	return []figure{f}, b.reset(ctx)
}

// repeatChanged is repeat for changes that show in a part of the release's files:
// without this, a change that was left out would be measured as a fast one.
func (b *bench) repeatChanged(ctx context.Context, f figure, p part, change func(run int) ([]string, error)) ([]figure, error) {
	sums := ""
	figures, err := b.repeat(ctx, f, func(run int) ([]string, error) {
		if err := b.changed(p, &sums); err != nil {
			return nil, err
		}
		return change(run)
	})
	if err != nil {
		return nil, err
	}
	return figures, b.changed(p, &sums)
}

// part is what the names of some of a release's files have in common.
type part string

const (
	anything  part = ""
	rootImage part = ".root-x86-64."
)

// changed fails if the part of the release is the one with these checksums, and takes
// its own.
func (b *bench) changed(p part, sums *string) error {
	text, err := readText(filepath.Join(b.release(), "SHA256SUMS"))
	if err != nil {
		return err
	}
	own := ""
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, string(p)) {
			own += line
		}
	}
	if own == "" {
		return fmt.Errorf("the release's SHA256SUMS has no file *%s*: the change cannot show there", p)
	}
	if own == *sums {
		return fmt.Errorf("the change does not show in the release's files *%s*", p)
	}
	*sums = own
	return nil
}

func measureUnchanged(ctx context.Context, b *bench) ([]figure, error) {
	return b.repeat(ctx, figure{Name: "nothing changed", Budget: 3}, func(int) ([]string, error) { return nil, nil })
}

// stamp is different in each run of this program.
func stamp(run int) string { return fmt.Sprintf("%d-%d", time.Now().UnixNano(), run) }

func measureProgram(ctx context.Context, b *bench) ([]figure, error) {
	// This program lies in the root and in the initrd: everything behind either of
	// them is made anew, the compressed root and the disk as well.
	return b.repeatChanged(ctx, figure{Name: "one on-device program changed", Budget: 45}, rootImage, func(run int) ([]string, error) {
		// Such a variable stays in the program, and nothing else changes.
		return nil, b.write("runtime/cmd/failure/stamp.go",
			fmt.Sprintf("package main\n\nimport \"os\"\n\nfunc init() {\n\tif os.Getenv(%q) != \"\" {\n\t\tos.Exit(9)\n\t}\n}\n", stamp(run)))
	})
}

func measureKeys(ctx context.Context, b *bench) ([]figure, error) {
	generate, err := b.generator(ctx)
	if err != nil {
		return nil, err
	}
	return b.repeatChanged(ctx, figure{Name: "only the keys changed", Budget: 30}, anything, func(run int) ([]string, error) {
		keys := filepath.Join(b.dir, fmt.Sprintf("keys.%d", run))
		return keyFlags(keys, keys), generate(keys)
	})
}

// measureEvidence measures build-image with another attest key, which makes all the
// evidence anew and nothing else, and how much longer that takes than no change.
func measureEvidence(ctx context.Context, b *bench) ([]figure, error) {
	generate, err := b.generator(ctx)
	if err != nil {
		return nil, err
	}
	keys := filepath.Join(b.dir, "keys.evidence")
	if err := generate(keys); err != nil {
		return nil, err
	}
	if _, err := b.build(ctx, keyFlags(keys, keys)...); err != nil {
		return nil, err
	}
	unchanged, err := b.build(ctx, keyFlags(keys, keys)...)
	if err != nil {
		return nil, err
	}
	figures, err := b.repeatChanged(ctx, figure{Name: "evidence made anew"}, anything, func(run int) ([]string, error) {
		others := fmt.Sprintf("%s.%d", keys, run)
		return keyFlags(keys, others), generate(others, "--role", "attest")
	})
	if err != nil {
		return nil, err
	}
	added := figure{Name: "evidence, added", Unit: "s", Budget: 15}
	for _, seconds := range figures[0].Values {
		added.Values = append(added.Values, seconds-unchanged)
	}
	return append(figures, added), nil
}

// generator compiles what makes keys, and returns a function that makes them in a
// folder.
func (b *bench) generator(ctx context.Context) (func(dir string, args ...string) error, error) {
	programs := filepath.Join(b.dir, "programs")
	if _, err := b.call(ctx, "call", "programs", "-o", programs); err != nil {
		return nil, err
	}
	return func(dir string, args ...string) error {
		args = append([]string{"keys", "generate", "--dir", dir, "--organisation", "Bench " + stamp(0)}, args...)
		_, err := command(ctx, b.dir, filepath.Join(programs, "attest"), args...)
		return err
	}, nil
}

// keyFlags are build-image's for the keys in a folder, and the attest key in another.
func keyFlags(dir, attest string) []string {
	file := func(name string) string { return filepath.Join(dir, name) }
	return []string{
		"--secure-boot-key", "file:" + file("secure-boot.key"), "--secure-boot-certificate", file("secure-boot.crt"),
		"--verity-key", "file:" + file("verity.key"), "--verity-certificate", file("verity.crt"),
		"--pcr-key", "file:" + file("pcr.key"), "--pcr-public", file("pcr.pub"),
		"--release-key", "file:" + file("release.key"), "--release-public", file("release.pub"),
		"--attest-key", "file:" + filepath.Join(attest, "attest.key"), "--attest-public", filepath.Join(attest, "attest.pub"),
	}
}

// leaves are packages of the image that no other one needs.
var leaves = []string{"nftables", "tzdata", "dosfstools", "ca-certificates", "systemd-timesyncd"}

// measurePackage measures the image with one package more than the one before: it is
// not in the package cache, which is the run's own.
func measurePackage(ctx context.Context, b *bench) ([]figure, error) {
	f := figure{Name: "one package changed", Unit: "s", Budget: 90, Note: "fetched, and put into the root"}
	for run := range b.runs {
		cache := []string{"--package-cache", stamp(run)}
		if err := b.reset(ctx); err != nil {
			return nil, err
		}
		if err := b.dropPackage(leaves[run%len(leaves)], stamp(run)); err != nil {
			return nil, err
		}
		if _, err := b.buildWith(ctx, cache, nil); err != nil {
			return nil, err
		}
		sums := ""
		if err := errors.Join(b.changed(rootImage, &sums), b.reset(ctx), b.filterNothing(stamp(run))); err != nil {
			return nil, err
		}
		seconds, err := b.buildWith(ctx, cache, nil)
		if err != nil {
			return nil, err
		}
		if err := b.changed(rootImage, &sums); err != nil {
			return nil, err
		}
		f.Values = append(f.Values, seconds)
	}
	return []figure{f}, b.reset(ctx)
}

// measureCold measures ours and mkosi's in turn, each from an empty package cache.
// The budget of ours is mkosi's median.
func measureCold(ctx context.Context, b *bench) ([]figure, error) {
	if err := b.begin(ctx); err != nil {
		return nil, err
	}
	ours := figure{Name: "cold", Unit: "s", Note: "budget: mkosi's"}
	theirs := figure{Name: "mkosi, cold", Unit: "s", Note: "with Debian's kernel, installed and not built"}
	rival := filepath.Join(b.dir, "mkosi")
	// Its tools are there before the first measurement, as ours are.
	if _, err := b.call(ctx, "call", "mkosi-image", "-o", rival); err != nil {
		return nil, err
	}
	for run := range b.runs {
		seconds, err := b.call(ctx, "call", "mkosi-image", "-o", rival)
		if err != nil {
			return nil, err
		}
		theirs.Values = append(theirs.Values, seconds)
		if seconds, err = b.buildWith(ctx, []string{"--package-cache", stamp(run)}, nil); err != nil {
			return nil, err
		}
		ours.Values = append(ours.Values, seconds)
	}
	ours.Budget = theirs.median()
	return []figure{ours, theirs}, nil
}

func measureKernel(ctx context.Context, b *bench) ([]figure, error) {
	// The sources, the compiler and the programs are there afterwards.
	if err := b.begin(ctx); err != nil {
		return nil, err
	}
	seconds, err := b.call(ctx, "call", "kernel", "--afresh", stamp(0), "-o", filepath.Join(b.dir, "kernel"))
	return []figure{{Name: "kernel from source", Unit: "s", Values: []float64{seconds}, Budget: 20 * 60, Note: "measured once, whatever --runs says"}}, err
}
