package bootstrap

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/mastercard/mangos/modules/debian/debtest"
	"github.com/mastercard/mangos/modules/debian/lock"
)

// selection builds packages, given as name and control fields, and selects them.
func selection(t *testing.T, packages map[string]string) (*lock.Selection, string) {
	t.Helper()
	dir, s := t.TempDir(), &lock.Selection{Name: "test"}
	for name, fields := range packages {
		p := debtest.Package{Name: name, Version: "1", Architecture: "all", Fields: fields}
		if err := os.WriteFile(filepath.Join(dir, name+".deb"), p.Build(t), 0o644); err != nil {
			t.Fatal(err)
		}
		s.Packages = append(s.Packages, lock.SelectedPackage{Name: name, Version: "1", Path: "pool/" + name + ".deb"})
	}
	sort.Slice(s.Packages, func(i, j int) bool { return s.Packages[i].Name < s.Packages[j].Name })
	return s, dir
}

func TestPlan(t *testing.T) {
	p, err := newPlan(selection(t, map[string]string{
		"base":    "Essential: yes\nPre-Depends: libc\n",
		"libc":    "",
		"systemd": "Pre-Depends: pre-lib | none\nDepends: dbus, nothing | udev, base\n",
		"pre-lib": "Depends: deep (>= 1), virtual\n",
		"deep":    "Pre-Depends: deeper\n",
		"deeper":  "",
		"prov":    "Provides: virtual (= 1)\n",
		"dbus":    "Depends: systemd\n", // a circle of Depends is no harm
		"udev":    "",
	}))
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"base", "libc"}; !reflect.DeepEqual(p.essential, want) {
		t.Errorf("essential %v, want %v", p.essential, want)
	}
	want := [][]string{{"deeper"}, {"deep", "pre-lib", "prov"}, {"dbus", "systemd", "udev"}}
	if !reflect.DeepEqual(p.batches, want) {
		t.Errorf("batches %v, want %v", p.batches, want)
	}
	if !p.built.Equal(debtest.Date) {
		t.Errorf("date %s", p.built)
	}
}

func TestPlanRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		packages map[string]string
		want     string
	}{
		"circle":          {map[string]string{"base": "Essential: yes\n", "a": "Pre-Depends: b\n", "b": "Pre-Depends: a\n"}, "circle"},
		"nothing to hold": {map[string]string{"a": ""}, "Essential"},
		"bad field":       {map[string]string{"base": "Essential: yes\nDepends: (((\n"}, "base"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := newPlan(selection(t, tt.packages))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error about %q", err, tt.want)
			}
		})
	}
	t.Run("another package in the file", func(t *testing.T) {
		s, dir := selection(t, map[string]string{"base": "Essential: yes\n"})
		s.Packages[0].Version = "2"
		if _, err := newPlan(s, dir); err == nil || !strings.Contains(err.Error(), "base 2") {
			t.Errorf("got %v", err)
		}
	})
}

func TestCheckStatus(t *testing.T) {
	p := &plan{members: map[string]member{"a": {name: "a", version: "1"}, "b": {name: "b", version: "2"}}}
	const good = "Package: a\nStatus: install ok installed\nVersion: 1\n\nPackage: b\nStatus: install ok installed\nVersion: 2\n"
	for text, ok := range map[string]bool{
		good: true,
		strings.Replace(good, "ok installed", "ok half-configured", 1): false,
		strings.Replace(good, "Version: 2", "Version: 3", 1):           false,
		"Package: a\nStatus: install ok installed\nVersion: 1\n":       false,
		good + "\nPackage: c\nStatus: install ok installed\n":          false,
	} {
		root := t.TempDir()
		if err := os.MkdirAll(filepath.Join(root, "var/lib/dpkg"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, "var/lib/dpkg/status"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := checkStatus(root, p); (err == nil) != ok || (err != nil && !errors.Is(err, ErrUnconfigured)) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// FuzzReadMember: whatever a package says of itself, it is the selected one, and a
// dependency names packages of the selection alone.
func FuzzReadMember(f *testing.F) {
	for _, fields := range []string{
		"Essential: yes\nPre-Depends: libc\n", "Provides: virtual (= 1), x\nDepends: a | b (>= 1) [amd64], c:any <!nocheck>\n", "Package: other\n", "Depends: ,|(\n",
	} {
		f.Add("a", "1", fields)
	}
	f.Add("b", "1", "")
	f.Add("a", "2", "")
	dir := f.TempDir()
	sel := lock.SelectedPackage{Name: "a", Version: "1", Path: "pool/a.deb"}
	f.Fuzz(func(t *testing.T, name, version, fields string) {
		p := debtest.Package{Name: name, Version: version, Architecture: "all", Fields: fields}
		if err := os.WriteFile(filepath.Join(dir, "a.deb"), p.Build(t), 0o644); err != nil {
			t.Fatal(err)
		}
		m, provides, needs, _, err := readMember(sel, dir)
		if err != nil {
			return
		}
		if !strings.Contains(name, m.name) || !strings.Contains(version, m.version) {
			t.Errorf("%q %q with %q is %+v", name, version, fields, m)
		}
		provided := map[string][]string{sel.Name: {sel.Name}}
		for _, name := range provides {
			provided[name] = []string{sel.Name}
		}
		for _, need := range needs {
			if names, err := within(need, provided); err == nil && len(names) > 0 && !slices.Equal(names, []string{sel.Name}) {
				t.Errorf("%q needs %q", need, names)
			}
		}
	})
}
