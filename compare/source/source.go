// Package source stands, by SHA-256, for what a build is made from: a folder of
// sources, and the parts of a checkout of this repository.
package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/mastercard/mangos/attest/tree"
)

// FolderSuffix ends the names of inputs that are folders.
const FolderSuffix = ".tree"

// ErrEmpty: a folder that stands for nothing.
var ErrEmpty = errors.New("it holds no files")

// Folder is the digest of a folder of sources, by what git keeps of one: names,
// contents, the targets of links, and whether a file may be executed. Owners
// and other permissions are those of whoever checked it out. Hidden entries at
// the top (.git) are left out. The SHA-256 is that of a line for each file and
// link, sorted by path: kind (f, x or l), SHA-256 or quoted target, quoted path.
// What git cannot keep, or nothing at all, is an error.
func Folder(ctx context.Context, path string) (string, error) {
	entries, err := read(ctx, path, func(top string) bool { return top[0] == '.' })
	if err != nil {
		return "", fmt.Errorf("digest folder: %w", err)
	}
	if len(entries) == 0 {
		return "", fmt.Errorf("digest folder: %s: %w", path, ErrEmpty)
	}
	return digest(entries), nil
}

// digest stands for files and links.
func digest(entries []tree.Entry) string {
	h := sha256.New()
	for _, e := range entries {
		switch {
		case e.Type == 'l':
			fmt.Fprintf(h, "l %q %q\n", e.Target, e.Path)
		case e.Mode&0o111 != 0:
			fmt.Fprintf(h, "x %s %q\n", e.SHA256, e.Path)
		default:
			fmt.Fprintf(h, "f %s %q\n", e.SHA256, e.Path)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}
