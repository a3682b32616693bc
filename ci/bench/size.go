//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// measureSize returns the sizes of root image and unified kernel image, ours and
// those of mkosi's image of the same packages.
func measureSize(ctx context.Context, b *bench) ([]figure, error) {
	if err := b.begin(ctx); err != nil {
		return nil, err
	}
	rival := filepath.Join(b.dir, "mkosi")
	if _, err := b.call(ctx, "call", "mkosi-image", "-o", rival); err != nil {
		return nil, err
	}
	ours, err := releaseSizes(b.release())
	if err != nil {
		return nil, fmt.Errorf("sizes of the release: %w", err)
	}
	text, err := readText(filepath.Join(rival, "sizes"))
	if err != nil {
		return nil, err
	}
	theirs, err := mkosiSizes(string(text))
	if err != nil {
		return nil, fmt.Errorf("sizes of mkosi's image: %w", err)
	}
	return compareSizes(ours, theirs), nil
}

// sizes are in bytes.
type sizes struct{ root, kernel float64 }

// compareSizes says of ours how they compare.
func compareSizes(ours, theirs sizes) []figure {
	var figures []figure
	for _, f := range []struct {
		name         string
		ours, theirs float64
	}{{"root image", ours.root, theirs.root}, {"unified kernel image", ours.kernel, theirs.kernel}} {
		figures = append(figures,
			figure{Name: f.name, Unit: "bytes", Values: []float64{f.ours}, Note: fmt.Sprintf("%.0f %% of mkosi's", 100*f.ours/f.theirs)},
			figure{Name: "mkosi, " + f.name, Unit: "bytes", Values: []float64{f.theirs}, Note: "with Debian's kernel and its modules"})
	}
	return figures
}

// releaseSizes reads the sizes in a release. Its root image is compressed there: the
// manifest of the unsigned set has the size of what a device gets.
func releaseSizes(dir string) (sizes, error) {
	var s sizes
	image, err := single(dir, "*.efi")
	if err != nil {
		return s, err
	}
	st, err := os.Stat(image)
	if err != nil {
		return s, err
	}
	s.kernel = float64(st.Size())
	manifest, err := single(dir, "*.unsigned.json")
	if err != nil {
		return s, err
	}
	text, err := readText(manifest)
	if err != nil {
		return s, err
	}
	s.root, err = manifestSize(text, "root.erofs")
	return s, err
}

// manifestSize finds the size of a file in the manifest of an unsigned set.
func manifestSize(text []byte, name string) (float64, error) {
	var manifest struct {
		Files []struct {
			Name string
			Size int64
		}
	}
	if err := json.Unmarshal(text, &manifest); err != nil {
		return 0, fmt.Errorf("manifest of the unsigned set: %w", err)
	}
	for _, f := range manifest.Files {
		if f.Name == name && f.Size > 0 {
			return float64(f.Size), nil
		}
	}
	return 0, fmt.Errorf("the manifest of the unsigned set has no %s", name)
}

// single returns the one file in dir that matches.
func single(dir, pattern string) (string, error) {
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		return "", err
	}
	if len(found) != 1 {
		return "", fmt.Errorf("%d files match %s", len(found), pattern)
	}
	return found[0], nil
}

// mkosiSizes reads the lines "SIZE NAME" that mkosi-image writes: of the partitions
// of the root, which is split off as image.root.raw with its hash tree beside it, and
// of the kernel image.
func mkosiSizes(text string) (sizes, error) {
	var s sizes
	for line := range strings.Lines(text) {
		size, name, found := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		n, err := strconv.ParseInt(size, 10, 64)
		if !found || err != nil {
			return s, fmt.Errorf("not a size and a name: %q", line)
		}
		switch {
		case name == "image.efi":
			s.kernel = float64(n)
		case strings.HasPrefix(name, "image.root") && !strings.Contains(name, "verity"):
			s.root = float64(n)
		}
	}
	if s.root <= 0 || s.kernel <= 0 {
		return s, errors.New("a root image and image.efi are not both there")
	}
	return s, nil
}
