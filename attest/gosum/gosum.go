// Package gosum reads go.sum, which says what every Go module's content must be
// (go.dev/ref/mod, "go.sum files").
package gosum

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/mod/module"
)

// MaxSize is the size in bytes of the largest file that is read.
const MaxSize = 16 << 20

// ErrSyntax: not a go.sum file, or one with two sums for the same content.
var ErrSyntax = errors.New("not a go.sum file")

// Sums are the sums of the modules' content. Those of go.mod files are left out:
// they are the go command's to check.
type Sums map[module.Version]string

// Parse reads a file's text. Errors wrap [ErrSyntax].
func Parse(text []byte) (Sums, error) {
	if len(text) > MaxSize {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrSyntax, MaxSize)
	}
	sums := Sums{}
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if len(words) != 3 || !strings.HasPrefix(words[2], "h1:") {
			return nil, fmt.Errorf("%w: line %.120q", ErrSyntax, line)
		}
		if strings.HasSuffix(words[1], "/go.mod") {
			continue
		}
		m := module.Version{Path: words[0], Version: words[1]}
		if known, ok := sums[m]; ok && known != words[2] {
			return nil, fmt.Errorf("%w: two sums for %s", ErrSyntax, m)
		}
		sums[m] = words[2]
	}
	return sums, nil
}

// Load reads the file at path.
func Load(path string) (Sums, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read go.sum: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("read go.sum %s: %w", path, err)
	}
	sums, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("read go.sum %s: %w", path, err)
	}
	return sums, nil
}
