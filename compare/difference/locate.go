package difference

import (
	"errors"
	"fmt"
	"strings"

	"github.com/mastercard/mangos/compare/component"
)

// ErrNotThere: a path that leads to no component.
var ErrNotThere = errors.New("no component there")

// Locate is the component that the path of a finding leads to from the root of
// the comparison.
func Locate(root *component.Node, path []Step) (*component.Node, error) {
	if len(path) == 0 || path[0].Name != root.Name {
		return nil, fmt.Errorf("locate: %w", ErrNotThere)
	}
	n := root
	for i, step := range path[1:] {
		names := []string{step.Name}
		if inTree(step.Kind) && strings.HasPrefix(step.Name, "/") && path[i].Kind != component.Dir {
			names = treeNames(n, step.Name)
		}
		for _, name := range names {
			e, err := n.Expand()
			if err != nil {
				return nil, fmt.Errorf("locate %q: %w", step.Name, err)
			}
			if e == nil || e.Find(name) == nil {
				return nil, fmt.Errorf("locate %q: %w", step.Name, ErrNotThere)
			}
			n = e.Find(name)
		}
	}
	return n, nil
}

// treeNames are the names on the way to a path of a tree. A file system begins
// with "/", an archive lists whole paths.
func treeNames(n *component.Node, path string) []string {
	if e, err := n.Expand(); err == nil && e != nil && e.Find(path) != nil {
		return []string{path}
	}
	names := []string{"/"}
	for _, part := range strings.Split(strings.Trim(path, "/"), "/") {
		if part != "" {
			names = append(names, part)
		}
	}
	return names
}
