package record

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mastercard/mangos/attest/provenance"
	"github.com/mastercard/mangos/attest/statement"
	"github.com/mastercard/mangos/modules/debian/lock"
)

const (
	abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	nul = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

var selection = &lock.Selection{
	Distribution: "debian",
	Packages:     []lock.SelectedPackage{{Name: "abc", Version: "1:2+b1", Architecture: "amd64", Archive: "debian", Path: "pool/main/a/abc_2.deb", SHA256: abc, Size: 3}},
}

// plan is a step that copies its input to its product.
func plan(t *testing.T) (Plan, func(context.Context, []string) error) {
	dir := t.TempDir()
	in, out := write(t, dir+"/in", "abc"), dir+"/out/product"
	p := Plan{
		Step: "copy", Command: []string{"cp"}, SourceDateEpoch: 1,
		Materials: []Source{{Name: "in", Path: in}}, Products: []Source{{Name: "product", Path: out}},
	}
	return p, func(context.Context, []string) error { write(t, out, "abc"); return nil }
}

func TestRun(t *testing.T) {
	p, run := plan(t)
	deb := write(t, t.TempDir()+"/whatever.deb", "abc")
	status := write(t, t.TempDir()+"/status", "Package: abc\nStatus: install ok installed\nVersion: 1:2+b1\n\nPackage: gone\nStatus: deinstall ok config-files\nVersion: 1\n")
	p.Locked, p.Index = []string{filepath.Dir(deb)}, NewIndex(selection)
	p.Container = &Container{Packages: Packages(selection), Status: status}
	r, err := Run(t.Context(), p, run)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Products) != 1 || r.Products[0].SHA256 != abc || r.Products[0].Size != 3 {
		t.Errorf("products: %+v", r.Products)
	}
	if len(r.Materials) != 2 || r.Materials[1].Name != "locked/debian/pool/main/a/abc_2.deb" || r.Materials[1].Use != "" ||
		r.Materials[1].URI != "pkg:deb/debian/abc@1:2%2Bb1?arch=amd64&distro=debian" {
		t.Errorf("materials: %+v", r.Materials)
	}
	data, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Parse(data); err != nil {
		t.Error(err)
	}
	s, err := r.Statement(provenance.Builder{ID: provenance.LocalBuilder})
	if err != nil {
		t.Fatal(err)
	}
	data, err = s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	again, err := statement.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	pred, err := provenance.Parse(again)
	if err != nil {
		t.Fatal(err)
	}
	if pred.BuildDefinition.ExternalParameters.Step != "copy" || len(pred.BuildDefinition.ResolvedDependencies) != 2 {
		t.Errorf("provenance: %+v", pred)
	}
}

// TestRefusals: each way to make a record say what is not so.
func TestRefusals(t *testing.T) {
	failed := errors.New("step failed")
	later := time.Now().Add(time.Hour)
	cases := []struct {
		name   string
		change func(t *testing.T, p *Plan, run *func(context.Context, []string) error)
		want   error
	}{
		{"input changes", func(t *testing.T, p *Plan, run *func(context.Context, []string) error) {
			inner, path := *run, p.Materials[0].Path
			*run = func(ctx context.Context, c []string) error {
				write(t, path, "xyz")
				os.Chtimes(path, later, later)
				return inner(ctx, c)
			}
		}, ErrChanged},
		{"input disappears", func(t *testing.T, p *Plan, run *func(context.Context, []string) error) {
			inner, path := *run, p.Materials[0].Path
			*run = func(ctx context.Context, c []string) error { os.Remove(path); return inner(ctx, c) }
		}, ErrChanged},
		{"product there before", func(t *testing.T, p *Plan, _ *func(context.Context, []string) error) {
			write(t, p.Products[0].Path, "old")
		}, ErrStale},
		{"scratch folder not empty", func(t *testing.T, p *Plan, _ *func(context.Context, []string) error) {
			p.Scratch = []string{filepath.Dir(write(t, t.TempDir()+"/x", "old"))}
		}, ErrStale},
		{"product not made", func(t *testing.T, p *Plan, run *func(context.Context, []string) error) {
			*run = func(context.Context, []string) error { return nil }
		}, ErrMissing},
		{"command fails", func(t *testing.T, p *Plan, run *func(context.Context, []string) error) {
			*run = func(context.Context, []string) error { return failed }
		}, failed},
		{"file not in the lock", func(t *testing.T, p *Plan, _ *func(context.Context, []string) error) {
			p.Locked, p.Index = []string{write(t, t.TempDir()+"/abc_2.deb", "other")}, NewIndex(selection)
		}, ErrNotLocked},
		{"no lock at all", func(t *testing.T, p *Plan, _ *func(context.Context, []string) error) {
			p.Locked = []string{write(t, t.TempDir()+"/abc_2.deb", "abc")}
		}, ErrNotLocked},
		{"tool of another version", func(t *testing.T, p *Plan, _ *func(context.Context, []string) error) {
			p.Container = &Container{Packages(selection), write(t, t.TempDir()+"/s", "Package: abc\nStatus: install ok installed\nVersion: 2\n")}
		}, ErrContainer},
		{"tool not installed", func(t *testing.T, p *Plan, _ *func(context.Context, []string) error) {
			p.Container = &Container{Packages(selection), write(t, t.TempDir()+"/s", "")}
		}, ErrContainer},
		{"tool not selected", func(t *testing.T, p *Plan, _ *func(context.Context, []string) error) {
			p.Container = &Container{nil, write(t, t.TempDir()+"/s", "Package: abc\nStatus: install ok installed\nVersion: 2\n")}
		}, ErrContainer},
		{"unclaimed mount", func(t *testing.T, p *Plan, _ *func(context.Context, []string) error) {
			p.MountInfo = write(t, t.TempDir()+"/m", "36 35 98:0 / /input rw,noatime shared:1 - ext4 /dev/sda rw\n")
		}, ErrUnclaimed},
		{"link as input", func(t *testing.T, p *Plan, _ *func(context.Context, []string) error) {
			dir := t.TempDir()
			os.Symlink("/etc/passwd", dir+"/l")
			p.Materials[0].Path = dir
		}, nil},
		{"hostile step name", func(t *testing.T, p *Plan, _ *func(context.Context, []string) error) { p.Step = "../x" }, ErrInvalid},
		{"hostile item name", func(t *testing.T, p *Plan, _ *func(context.Context, []string) error) { p.Materials[0].Name = "a\nb" }, ErrInvalid},
		{"one name twice", func(t *testing.T, p *Plan, _ *func(context.Context, []string) error) {
			p.Products = append(p.Products, p.Products[0])
		}, ErrInvalid},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p, run := plan(t)
			c.change(t, &p, &run)
			r, err := Run(t.Context(), p, run)
			if err == nil || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if r != nil {
				t.Errorf("there is a record: %+v", r)
			}
		})
	}
}

func TestMounts(t *testing.T) {
	empty := t.TempDir()
	p := Plan{
		Materials: []Source{{Name: "a", Path: "/in/a"}}, Products: []Source{{Name: "o", Path: empty + "/o"}},
		Locked: []string{"/packages/"}, Secrets: []string{"/run/secret"}, Caches: []string{"/cache"},
	}
	for _, c := range []struct {
		point, kind string
		want        bool
	}{
		{"/", "overlay", true}, {"/proc", "proc", true}, {"/dev/shm", "tmpfs", true}, {"/etc/resolv.conf", "ext4", true},
		{"/in/a", "ext4", true}, {"/in/a/b", "ext4", true}, {"/in", "ext4", false}, {"/in/ab", "ext4", false},
		{"/packages", "overlay", true}, {"/run/secret", "tmpfs", true}, {"/run", "tmpfs", false}, {"/cache", "ext4", true},
		{empty, "ext4", true}, {"/tmp", "tmpfs", false}, {"/procedure", "ext4", false},
	} {
		if got := p.claims(c.point, c.kind); got != c.want {
			t.Errorf("%s (%s): %v, want %v", c.point, c.kind, got, c.want)
		}
	}
	point, kind, err := parseMount(`36 35 98:0 /mnt1 /mnt\0402 rw,noatime master:1 - ext3 /dev/root rw`)
	if err != nil || point != "/mnt 2" || kind != "ext3" {
		t.Errorf("%q %q %v", point, kind, err)
	}
	if _, _, err := parseMount("nonsense"); err == nil {
		t.Error("nonsense is read as a mount")
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"format":"mangos-step-record-1","step":"x","command":[],"sourceDateEpoch":1,"materials":[],"products":[{"name":"a","sha256":"` + nul + `","size":0}],"started":"","finished":""}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := Parse(data)
		if err != nil {
			return
		}
		if _, err := r.Encode(); err != nil {
			t.Errorf("a parsed record does not encode: %v", err)
		}
	})
}

func FuzzStatus(f *testing.F) {
	f.Add("Package: a\nStatus: install ok installed\nVersion: 1\n\n")
	f.Fuzz(func(t *testing.T, text string) { readStatus(strings.NewReader(text)) })
}
