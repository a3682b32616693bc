package source

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mastercard/mangos/attest/tree"
)

// ErrKind: something that is neither a file nor a folder nor a link.
var ErrKind = errors.New("neither file, folder nor link")

// read lists the files and links below a folder, sorted by path, without what skip
// says of the names at the top: that is not looked at.
func read(ctx context.Context, root string, skip func(top string) bool) ([]tree.Entry, error) {
	names, err := os.ReadDir(root)
	if err != nil {
		return nil, err
	}
	var list []tree.Entry
	for _, n := range names {
		if skip(n.Name()) {
			continue
		}
		entries, err := tree.Read(ctx, filepath.Join(root, n.Name()))
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			e.Path = path.Join(n.Name(), e.Path)
			switch e.Type {
			case 'f', 'l':
				list = append(list, e)
			case 'd': // git keeps what is in it
			default:
				return nil, fmt.Errorf("%s: %w", filepath.Join(root, e.Path), ErrKind)
			}
		}
	}
	slices.SortFunc(list, func(a, b tree.Entry) int { return strings.Compare(a.Path, b.Path) })
	return list, nil
}
