package fstree

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path"
	"strings"
)

// maxList bounds the size in bytes of a list of patterns.
const maxList = 1 << 20

// RemoveList removes what the patterns in the file at listPath name: one to a
// line, "#" begins a comment.
//
// A pattern is a path without a leading slash, in which "*", "?" and "[...]"
// stand for something within one part. With a slash at its end it names a
// folder, which goes with all below it; without, it names anything else. A
// pattern that names nothing is an error: the list would be telling a story
// that is no longer true.
func (t *Tree) RemoveList(listPath string) error {
	text, err := os.ReadFile(listPath)
	if err != nil {
		return fmt.Errorf("remove: %w", err)
	}
	if len(text) > maxList {
		return fmt.Errorf("remove: %s has more than %d bytes: %w", listPath, maxList, ErrTree)
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		pattern, _, _ := strings.Cut(lines.Text(), "#")
		if pattern = strings.TrimSpace(pattern); pattern == "" {
			continue
		}
		if err := t.Remove(pattern); err != nil {
			return fmt.Errorf("%s, line %d: %w", listPath, n, err)
		}
	}
	return lines.Err()
}

// Remove removes what one pattern names; see RemoveList.
func (t *Tree) Remove(pattern string) error {
	folder := strings.HasSuffix(pattern, "/")
	clean := strings.TrimSuffix(pattern, "/")
	if clean == "" || clean == "." || strings.HasPrefix(clean, "/") || path.Clean(clean) != clean {
		return fmt.Errorf("remove %q: not a clean relative path: %w", pattern, ErrTree)
	}
	var found []string
	for name, e := range t.entries {
		ok, err := path.Match(clean, name)
		if err != nil {
			return fmt.Errorf("remove %q: %w: %w", pattern, ErrTree, err)
		}
		if ok && e.IsDir() == folder {
			found = append(found, name)
		}
	}
	if len(found) == 0 {
		return fmt.Errorf("remove %q: nothing in the tree has this name: %w", pattern, ErrTree)
	}
	for _, name := range found {
		delete(t.entries, name)
		if folder {
			t.removeBelow(name)
		}
	}
	return nil
}
