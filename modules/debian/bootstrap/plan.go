package bootstrap

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"pault.ag/go/debian/dependency"

	"github.com/mastercard/mangos/modules/debian/deb"
	"github.com/mastercard/mangos/modules/debian/lock"
)

// ErrPlan says that the packages cannot be put into an order.
var ErrPlan = errors.New("no order of installation")

// member is a package of the selection.
type member struct {
	name, version, file string
	essential           bool
	// pre and all are what Pre-Depends, and both it and Depends, name within
	// the selection.
	pre, all []string
}

// plan is the order of installation.
type plan struct {
	members map[string]member
	// essential is the closure that is unpacked without dpkg.
	essential []string
	// batches follow it, each after the Pre-Depends of its members.
	batches [][]string
	// built is the date of the newest package.
	built time.Time
}

// newPlan reads the control data of the selection's package files in the folder
// dir.
func newPlan(s *lock.Selection, dir string) (*plan, error) {
	p := &plan{members: map[string]member{}}
	provides := map[string][]string{}
	depends := map[string][2]string{}
	for _, sel := range s.Packages {
		m, provided, needs, built, err := readMember(sel, dir)
		if err != nil {
			return nil, fmt.Errorf("package %s: %w", sel.Name, err)
		}
		p.members[m.name] = m
		depends[m.name] = needs
		for _, name := range append(provided, m.name) {
			provides[name] = append(provides[name], m.name)
		}
		if built.After(p.built) {
			p.built = built
		}
	}
	for name, m := range p.members {
		pre, err := within(depends[name][0], provides)
		if err != nil {
			return nil, fmt.Errorf("package %s: Pre-Depends: %w", name, err)
		}
		rest, err := within(depends[name][1], provides)
		if err != nil {
			return nil, fmt.Errorf("package %s: Depends: %w", name, err)
		}
		m.pre, m.all = pre, append(rest, pre...)
		p.members[name] = m
	}
	return p, p.order()
}

// readMember reads one package and checks that it is what the selection says.
func readMember(sel lock.SelectedPackage, dir string) (m member, provides []string, needs [2]string, built time.Time, err error) {
	file := filepath.Join(dir, path.Base(sel.Path))
	d, err := deb.Open(file)
	if err != nil {
		return m, nil, needs, built, err
	}
	defer d.Close()
	c, err := d.Control()
	if err != nil {
		return m, nil, needs, built, err
	}
	if c.Get("Package") != sel.Name || c.Get("Version") != sel.Version {
		return m, nil, needs, built, fmt.Errorf("the file says it is %q %q, the selection %s %s",
			c.Get("Package"), c.Get("Version"), sel.Name, sel.Version)
	}
	for word := range strings.SplitSeq(c.Get("Provides"), ",") {
		name, _, _ := strings.Cut(strings.TrimSpace(word), " ")
		provides = append(provides, name)
	}
	m = member{name: sel.Name, version: sel.Version, file: file, essential: c.Get("Essential") == "yes"}
	return m, provides, [2]string{c.Get("Pre-Depends"), c.Get("Depends")}, d.Built(), nil
}

// within returns the members that satisfy a dependency field: of each relation
// the first alternative that the selection has, be it by a provider.
func within(field string, provides map[string][]string) ([]string, error) {
	if field == "" {
		return nil, nil
	}
	dep, err := dependency.Parse(field)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, relation := range dep.Relations {
		for _, possibility := range relation.Possibilities {
			found := provides[possibility.Name]
			if slices.Contains(found, possibility.Name) {
				found = []string{possibility.Name}
			}
			if len(found) > 0 {
				names = append(names, found...)
				break
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

func (p *plan) order() error {
	var roots, rest []string
	for name, m := range p.members {
		if m.essential {
			roots = append(roots, name)
		}
	}
	if len(roots) == 0 {
		return fmt.Errorf("%w: no package is Essential", ErrPlan)
	}
	p.essential = p.closure(roots)
	installed := map[string]bool{}
	for _, name := range p.essential {
		installed[name] = true
	}
	for name := range p.members {
		if !installed[name] {
			rest = append(rest, name)
		}
	}
	slices.Sort(rest)
	return p.batch(rest, installed)
}

// closure returns names and all that they depend on, sorted.
func (p *plan) closure(names []string) []string {
	seen := map[string]bool{}
	queue := slices.Clone(names)
	for len(queue) > 0 {
		name := queue[0]
		queue = queue[1:]
		if !seen[name] {
			seen[name] = true
			queue = append(queue, p.members[name].all...)
		}
	}
	list := make([]string, 0, len(seen))
	for name := range seen {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

// batch appends the batches that install names: first, in batches of their own,
// what they pre-depend on, with all that it depends on; dpkg unpacks no package
// before that is configured.
func (p *plan) batch(names []string, installed map[string]bool) error {
	var pre []string
	for _, name := range names {
		for _, need := range p.members[name].pre {
			if !installed[need] && need != name {
				pre = append(pre, need)
			}
		}
	}
	if len(pre) > 0 {
		first := slices.DeleteFunc(p.closure(pre), func(n string) bool { return installed[n] })
		if len(first) >= len(names) {
			return fmt.Errorf("%w: pre-dependencies in a circle among %s", ErrPlan, strings.Join(names, ", "))
		}
		if err := p.batch(first, installed); err != nil {
			return err
		}
	}
	var left []string
	for _, name := range names {
		if !installed[name] {
			left = append(left, name)
			installed[name] = true
		}
	}
	if len(left) > 0 {
		p.batches = append(p.batches, left)
	}
	return nil
}
