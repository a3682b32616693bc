// Package release makes the files of a release out of a disk image and its
// parts.
package release

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/mastercard/mangos/format/verity"
	"github.com/mastercard/mangos/modules/image/disk"
	"github.com/mastercard/mangos/modules/image/output"
	"github.com/mastercard/mangos/modules/image/tool"
)

// ErrRelease is wrapped by every error about what a release is made of.
var ErrRelease = errors.New("unusable release")

// Names are the names of a release's files.
type Names struct {
	// TryOut tells that try-out keys sign the release.
	TryOut bool `json:"tryOut"`
	// Entry is the boot entry, without ".efi".
	Entry string `json:"entry"`

	Disk      string `json:"disk"`
	Image     string `json:"image"`
	PCRs      string `json:"pcrs"`
	Unsigned  string `json:"unsigned"`
	Org       string `json:"org"`
	Signature string `json:"signature"`
	Tree      string `json:"tree"`
	Root      string `json:"root"`
}

// Name makes the names of the files of a release. What try-out keys have signed
// has a mark in its name, and does not match the patterns by which a machine
// looks for updates; files that are the same for everybody keep their names.
func Name(name, version string, root verity.RootHash, tryOut bool) Names {
	parts := disk.VerityParts(root, [3]string{}, [3]int64{}, [3]string{})
	same := name + "_" + version
	signed, org := same, "org_"+version
	if tryOut {
		signed, org = name+"-tryout_"+version, "org-tryout_"+version
	}
	return Names{
		TryOut: tryOut, Entry: signed,
		Disk: signed + ".raw.zst", Image: signed + ".efi", PCRs: signed + ".pcrs.json", Org: org + ".confext.raw",
		Unsigned:  same + ".unsigned.json",
		Signature: signed + ".root-x86-64-verity-sig." + parts[0].ID.String() + ".raw",
		Tree:      same + ".root-x86-64-verity." + parts[1].ID.String() + ".raw.xz",
		Root:      same + ".root-x86-64." + parts[2].ID.String() + ".raw.xz",
	}
}

// XZ compresses a file. The blocks have a fixed size, so that the number of
// processors does not show in the result; the level is low, because what is
// compressed is compressed already.
func XZ(ctx context.Context, in, out string) error {
	args := []string{"--compress", "--stdout", "-0", "--check=sha256",
		"--block-size=4MiB", "--threads=+" + strconv.Itoa(runtime.NumCPU())}
	return compress(in, out, func(r io.Reader, w io.Writer) error {
		return tool.Command{Name: "xz", Args: args, Stdin: r, Stdout: w}.RunTo(ctx)
	})
}

// compress makes the file out of the file in.
func compress(in, out string, compress func(io.Reader, io.Writer) error) error {
	f, err := os.Open(in)
	if err != nil {
		return fmt.Errorf("compress: %w", err)
	}
	defer f.Close()
	if err := output.Write(out, func(w io.Writer) error { return compress(f, w) }); err != nil {
		return fmt.Errorf("compress %s: %w", in, err)
	}
	return nil
}

// Sums returns the text of SHA256SUMS for the files of a folder, sorted, in the
// form of sha256sum --binary. Sums by an earlier run are left out. A folder without
// any other file is no release.
func Sums(dir string) ([]byte, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("checksums: %w", err)
	}
	var names []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "SHA256SUMS") {
			continue
		}
		if !e.Type().IsRegular() || strings.ContainsAny(e.Name(), "\n\\ *") {
			return nil, fmt.Errorf("checksums: %q has no place in a release: %w", e.Name(), ErrRelease)
		}
		names = append(names, e.Name())
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("checksums: there is no file in %s: %w", dir, ErrRelease)
	}
	slices.Sort(names)
	lines, errs := make([]string, len(names)), make([]error, len(names))
	var group sync.WaitGroup
	slots := make(chan struct{}, runtime.NumCPU())
	for i, name := range names {
		group.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			sum, _, err := disk.Digest(filepath.Join(dir, name))
			lines[i], errs[i] = hex.EncodeToString(sum[:])+" *"+name+"\n", err
		})
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("checksums: %w", err)
	}
	return []byte(strings.Join(lines, "")), nil
}
