package record

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/dirhash"
	"golang.org/x/sys/unix"

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
	Format: lock.SelectionFormat, Name: "tools", Distribution: "debian", Architecture: "amd64",
	Packages: []lock.SelectedPackage{{Name: "abc", Version: "1:2+b1", Architecture: "amd64", Archive: "debian", Path: "pool/main/a/abc_2.deb", SHA256: abc, Size: 3}},
}

const status = "Package: abc\nStatus: install ok installed\nVersion: 1:2+b1\n\nPackage: gone\nStatus: deinstall ok config-files\nVersion: 1\n"

// plan is a step that has an input of each kind and copies one to its product.
func plan(t *testing.T) (Plan, func(context.Context, []string) error) {
	dir := t.TempDir()
	text, err := selection.Encode()
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir+"/in/selection/tools.json", string(text))
	write(t, dir+"/in/locked/whatever.deb", "abc")
	write(t, dir+"/in/program/p", "")
	write(t, dir+"/in/source/file", "abc")
	write(t, dir+"/in/root.tree/etc/passwd", "")
	if err := errors.Join(os.Symlink("abc", dir+"/in/source/link"), os.Symlink("..", dir+"/in/root.tree/up")); err != nil {
		t.Fatal(err)
	}
	p := Plan{
		Step: "copy", Command: []string{"cp"}, SourceDateEpoch: 1, In: dir + "/in", Out: dir + "/out",
		Container: "tools", Status: write(t, dir+"/status", status),
	}
	return p, func(context.Context, []string) error { write(t, p.Out+"/sub/product", "abc"); return nil }
}

func TestRun(t *testing.T) {
	p, run := plan(t)
	full := filepath.Dir(write(t, t.TempDir()+"/x", ""))
	p.Caches = []string{t.TempDir(), full}
	r, err := Run(t.Context(), p, run)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Products) != 1 || r.Products[0] != (Item{Name: "sub/product", SHA256: abc, Size: 3}) {
		t.Errorf("products: %+v", r.Products)
	}
	want := []Item{
		{Name: "locked/debian/pool/main/a/abc_2.deb", SHA256: abc, Size: 3, URI: "pkg:deb/debian/abc@1:2%2Bb1?arch=amd64&distro=debian"},
		{Name: "program/p", SHA256: nul, Use: Tool},
		{Name: "root.tree"},
		{Name: "selection/tools.json", Use: Tool},
		{Name: "source/file", SHA256: abc, Size: 3},
		{Name: "source/link", SHA256: abc, Size: 3},
	}
	if len(r.Materials) != len(want) {
		t.Fatalf("materials: %+v", r.Materials)
	}
	for i, m := range r.Materials {
		if want[i].SHA256 == "" {
			m.SHA256, m.Size = "", 0
		}
		if m != want[i] {
			t.Errorf("material %d: %+v, want %+v", i, m, want[i])
		}
	}
	if len(r.Caches) != 1 || r.Caches[0] != full {
		t.Errorf("caches: %q, want the one that is not empty", r.Caches)
	}
	data, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Parse(data); err != nil {
		t.Error(err)
	}
}

// TestStatement: the statement says what the record says.
func TestStatement(t *testing.T) {
	p, run := plan(t)
	r, err := Run(t.Context(), p, run)
	if err != nil {
		t.Fatal(err)
	}
	s, err := r.Statement(provenance.Builder{ID: provenance.LocalBuilder})
	if err != nil {
		t.Fatal(err)
	}
	data, err := s.Encode()
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
	if pred.BuildDefinition.ExternalParameters.Step != "copy" || len(pred.BuildDefinition.ResolvedDependencies) != len(r.Materials) {
		t.Errorf("provenance: %+v", pred)
	}
}

// TestNames: a step without a command names what is there, files of the
// distribution as the lock does.
func TestNames(t *testing.T) {
	out := t.TempDir()
	write(t, out+"/locked/x", "abc")
	write(t, out+"/source/a", "")
	r, err := Run(t.Context(), Plan{Step: "source", Out: out, Index: NewIndex(selection)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Products) != 2 || r.Products[0].Name != "locked/debian/pool/main/a/abc_2.deb" || r.Products[1].Name != "source/a" || len(r.Materials) != 0 {
		t.Errorf("%+v", r)
	}
}

func lstat(t *testing.T, path string) os.FileInfo {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// overwrite changes a file's content, and neither its size nor its time.
func overwrite(t *testing.T, path, text string) {
	t.Helper()
	old := lstat(t, path)
	write(t, path, text)
	if err := os.Chtimes(path, old.ModTime(), old.ModTime()); err != nil {
		t.Fatal(err)
	}
	if now := lstat(t, path); now.Size() != old.Size() || !now.ModTime().Equal(old.ModTime()) {
		t.Fatalf("%s has another size or time", path)
	}
}

// TestLinked: an engine may link to a step's inputs while it runs, which changes what
// the kernel says of them and not what they are.
func TestLinked(t *testing.T) {
	p, run := plan(t)
	elsewhere := t.TempDir()
	r, err := Run(t.Context(), p, func(ctx context.Context, c []string) error {
		path := p.In + "/source/file"
		before := lstat(t, path).Sys().(*syscall.Stat_t).Ctim
		if err := os.Link(path, elsewhere+"/link"); err != nil {
			return err
		}
		if lstat(t, path).Sys().(*syscall.Stat_t).Ctim == before {
			t.Error("a further link leaves all times: nothing is tried")
		}
		return run(ctx, c)
	})
	if err != nil || len(r.Materials) != 6 {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestSettle: a change after the wait bears a later time than the file had.
func TestSettle(t *testing.T) {
	path := write(t, t.TempDir()+"/file", "abc")
	s, err := takeSnapshot(t.Context(), filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	st := s[path]
	// As if it had been changed just now: to make the snapshot may have taken long.
	st.Ctim = unix.NsecToTimespec(time.Now().UnixNano())
	s[path] = st
	if err := s.settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	var coarse unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_REALTIME_COARSE, &coarse); err != nil {
		t.Fatal(err)
	}
	if coarse.Nano() <= st.Ctim.Nano() {
		t.Errorf("a change would bear the time %d, the file has %d", coarse.Nano(), st.Ctim.Nano())
	}
}

// TestRefusals: each way to make a record say what is not so.
func TestRefusals(t *testing.T) {
	failed := errors.New("step failed")
	later := time.Now().Add(time.Hour)
	type runner = func(context.Context, []string) error
	cases := []struct {
		name   string
		change func(t *testing.T, p *Plan, run *runner)
		want   error
	}{
		{"input changes", func(t *testing.T, p *Plan, run *runner) {
			inner, path := *run, p.In+"/source/file"
			*run = func(ctx context.Context, c []string) error {
				write(t, path, "xyz")
				os.Chtimes(path, later, later)
				return inner(ctx, c)
			}
		}, ErrChanged},
		{"input disappears", func(t *testing.T, p *Plan, run *runner) {
			inner, path := *run, p.In+"/source/file"
			*run = func(ctx context.Context, c []string) error { os.Remove(path); return inner(ctx, c) }
		}, ErrChanged},
		{"file in a tree changes", func(t *testing.T, p *Plan, run *runner) {
			inner, path := *run, p.In+"/root.tree/etc/passwd"
			*run = func(ctx context.Context, c []string) error {
				write(t, path, "root::0:0")
				return inner(ctx, c)
			}
		}, ErrChanged},
		{"mode changes in a tree", func(t *testing.T, p *Plan, run *runner) {
			inner, path := *run, p.In+"/root.tree/etc/passwd"
			*run = func(ctx context.Context, c []string) error {
				if err := os.Chmod(path, 0o755); err != nil {
					t.Error(err)
				}
				return inner(ctx, c)
			}
		}, ErrChanged},
		{"input changes and its time is set back", func(t *testing.T, p *Plan, run *runner) {
			inner, path := *run, p.In+"/source/file"
			*run = func(ctx context.Context, c []string) error { overwrite(t, path, "xyz"); return inner(ctx, c) }
		}, ErrChanged},
		{"file in a tree changes and its time is set back", func(t *testing.T, p *Plan, run *runner) {
			inner, path := *run, write(t, p.In+"/root.tree/etc/group", "abc")
			*run = func(ctx context.Context, c []string) error { overwrite(t, path, "xyz"); return inner(ctx, c) }
		}, ErrChanged},
		{"locked file changes and its time is set back", func(t *testing.T, p *Plan, run *runner) {
			inner, path := *run, p.In+"/locked/whatever.deb"
			*run = func(ctx context.Context, c []string) error { overwrite(t, path, "xyz"); return inner(ctx, c) }
		}, ErrChanged},
		{"file is replaced and its time is set back", func(t *testing.T, p *Plan, run *runner) {
			inner, path := *run, p.In+"/source/file"
			*run = func(ctx context.Context, c []string) error {
				old := lstat(t, path)
				write(t, path+".new", "abc")
				return errors.Join(os.Rename(path+".new", path), os.Chtimes(path, old.ModTime(), old.ModTime()), inner(ctx, c))
			}
		}, ErrChanged},
		{"new input", func(t *testing.T, p *Plan, run *runner) {
			inner, path := *run, p.In+"/source/more"
			*run = func(ctx context.Context, c []string) error { write(t, path, "xyz"); return inner(ctx, c) }
		}, ErrChanged},
		{"new file in a tree", func(t *testing.T, p *Plan, run *runner) {
			inner, path := *run, p.In+"/root.tree/etc/shadow"
			*run = func(ctx context.Context, c []string) error { write(t, path, "xyz"); return inner(ctx, c) }
		}, ErrChanged},
		{"new folder", func(t *testing.T, p *Plan, run *runner) {
			inner, path := *run, p.In+"/source/folder"
			*run = func(ctx context.Context, c []string) error { return errors.Join(os.Mkdir(path, 0o755), inner(ctx, c)) }
		}, ErrChanged},
		{"folder disappears", func(t *testing.T, p *Plan, run *runner) {
			inner, path := *run, p.In+"/root.tree/empty"
			if err := os.Mkdir(path, 0o755); err != nil {
				t.Fatal(err)
			}
			*run = func(ctx context.Context, c []string) error { return errors.Join(os.Remove(path), inner(ctx, c)) }
		}, ErrChanged},
		{"all inputs disappear", func(_ *testing.T, p *Plan, run *runner) {
			inner, path := *run, p.In
			*run = func(ctx context.Context, c []string) error { return errors.Join(os.RemoveAll(path), inner(ctx, c)) }
		}, ErrChanged},
		{"mode of a file changes", func(_ *testing.T, p *Plan, run *runner) {
			inner, path := *run, p.In+"/source/file"
			*run = func(ctx context.Context, c []string) error { return errors.Join(os.Chmod(path, 0o755), inner(ctx, c)) }
		}, ErrChanged},
		{"mode of a folder changes", func(_ *testing.T, p *Plan, run *runner) {
			inner, path := *run, p.In+"/root.tree/etc"
			*run = func(ctx context.Context, c []string) error { return errors.Join(os.Chmod(path, 0o700), inner(ctx, c)) }
		}, ErrChanged},
		{"link changes", func(t *testing.T, p *Plan, run *runner) {
			inner, path := *run, p.In+"/source/link"
			*run = func(ctx context.Context, c []string) error {
				os.Remove(path)
				os.Symlink("xyz", path)
				return inner(ctx, c)
			}
		}, ErrChanged},
		{"product there before", func(t *testing.T, p *Plan, _ *runner) { write(t, p.Out+"/sub/product", "old") }, ErrStale},
		{"product not made", func(t *testing.T, p *Plan, run *runner) {
			*run = func(context.Context, []string) error { return nil }
		}, ErrMissing},
		{"command fails", func(t *testing.T, p *Plan, run *runner) {
			*run = func(context.Context, []string) error { return failed }
		}, failed},
		{"file not in the lock", func(t *testing.T, p *Plan, _ *runner) { write(t, p.In+"/locked/abc_2.deb", "other") }, ErrNotLocked},
		{"product not in the lock", func(t *testing.T, p *Plan, run *runner) {
			*run = func(context.Context, []string) error { write(t, p.Out+"/locked/abc_2.deb", "other"); return nil }
		}, ErrNotLocked},
		{"no lock at all", func(t *testing.T, p *Plan, _ *runner) {
			p.Container = ""
			os.RemoveAll(p.In + "/selection")
		}, ErrNotLocked},
		{"tool of another version", func(t *testing.T, p *Plan, _ *runner) {
			write(t, p.Status, "Package: abc\nStatus: install ok installed\nVersion: 2\n")
		}, ErrContainer},
		{"tool not installed", func(t *testing.T, p *Plan, _ *runner) { write(t, p.Status, "") }, ErrContainer},
		{"tool not selected", func(t *testing.T, p *Plan, _ *runner) {
			write(t, p.Status, status+"\nPackage: more\nStatus: install ok installed\nVersion: 2\n")
		}, ErrContainer},
		{"no selection", func(t *testing.T, p *Plan, _ *runner) { p.Container = "other" }, ErrContainer},
		{"unclaimed mount", func(t *testing.T, p *Plan, _ *runner) {
			p.MountInfo = write(t, t.TempDir()+"/m", "36 35 98:0 / /input rw,noatime shared:1 - ext4 /dev/sda rw\n")
		}, ErrUnclaimed},
		{"device as input", func(t *testing.T, p *Plan, _ *runner) {
			if err := syscall.Mkfifo(p.In+"/source/fifo", 0o644); err != nil {
				t.Fatal(err)
			}
		}, nil},
		{"hostile step name", func(t *testing.T, p *Plan, _ *runner) { p.Step = "../x" }, ErrInvalid},
		{"hostile item name", func(t *testing.T, p *Plan, _ *runner) { write(t, p.In+"/a\nb", "") }, ErrInvalid},
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

// moduleCache lays out a module cache with one module, and the go.sum line
// that belongs to it.
func moduleCache(t *testing.T, root string) {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create("example.org/M@v1.0.0/go.mod")
	if err == nil {
		_, err = w.Write([]byte("module example.org/M\n"))
	}
	if err := errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	path := write(t, root+"/go/cache/download/example.org/!m/@v/v1.0.0.zip", b.String())
	write(t, root+"/go/example.org/!m@v1.0.0/go.mod", "module example.org/M\n")
	sum, err := dirhash.HashZip(path, dirhash.Hash1)
	if err != nil {
		t.Fatal(err)
	}
	write(t, root+"/source/go.sum", "example.org/M v1.0.0 "+sum+"\nexample.org/M v1.0.0/go.mod h1:x=\n")
}

func TestModules(t *testing.T) {
	run := func(change func(root string)) (*Record, error) {
		in, out := t.TempDir(), filepath.Dir(write(t, t.TempDir()+"/product", ""))
		moduleCache(t, in)
		change(in)
		return Run(t.Context(), Plan{Step: "x", In: in, Out: out}, nil)
	}
	r, err := run(func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	if m := r.Materials[0]; m.Name != "go/example.org/M@v1.0.0.zip" || m.URI != "pkg:golang/example.org/m@v1.0.0" || len(m.SHA256) != 64 || len(r.Materials) != 2 {
		t.Errorf("%+v", r.Materials)
	}
	in, out := t.TempDir(), t.TempDir()
	moduleCache(t, in)
	if err := os.Rename(in+"/go", out+"/go"); err != nil {
		t.Fatal(err)
	}
	r, err = Run(t.Context(), Plan{Step: "modules", In: in, Out: out}, nil)
	if err != nil || r.Products[0].Name != "go/example.org/M@v1.0.0.zip" {
		t.Errorf("as products: %+v, %v", r, err)
	}
	for name, change := range map[string]func(root string){
		"archive changed": func(root string) {
			write(t, root+"/go/cache/download/example.org/!m/@v/v1.0.0.zip", "PK\x05\x06"+strings.Repeat("\x00", 18))
		},
		"unpacked file changed": func(root string) { write(t, root+"/go/example.org/!m@v1.0.0/go.mod", "module other\n") },
		"unpacked file added":   func(root string) { write(t, root+"/go/example.org/!m@v1.0.0/x.go", "package m\n") },
		"not in go.sum":         func(root string) { write(t, root+"/source/go.sum", "") },
	} {
		if _, err := run(change); !errors.Is(err, ErrNotLocked) {
			t.Errorf("%s: got %v, want ErrNotLocked", name, err)
		}
	}
}

func TestMounts(t *testing.T) {
	p := Plan{In: "/in", Out: "/out/", Secrets: []string{"/run/secret"}, Caches: []string{"/cache"}}
	for _, c := range []struct {
		point, kind string
		want        bool
	}{
		{"/", "overlay", true}, {"/proc", "proc", true}, {"/dev/shm", "tmpfs", true}, {"/etc/resolv.conf", "ext4", true},
		{"/in/a", "ext4", true}, {"/in/a/b", "ext4", true}, {"/in", "ext4", true}, {"/int", "ext4", false},
		{"/out/tree", "overlay", true}, {"/run/secret", "tmpfs", true}, {"/run", "tmpfs", false}, {"/cache", "ext4", true},
		{"/tmp", "tmpfs", false}, {"/procedure", "ext4", false},
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

func FuzzMount(f *testing.F) {
	f.Add(`36 35 98:0 / /a\040b rw - overlay overlay rw`)
	f.Add(`36 35 98:0 / / rw shared:1 master:2 - ext4 /dev/sda rw`)
	f.Add(`36 - overlay /`)
	f.Fuzz(func(t *testing.T, line string) {
		point, kind, err := parseMount(line)
		if err == nil && (point == "" || kind == "" || strings.ContainsAny(kind, " \t")) {
			t.Errorf("%q is mounted as %q", point, kind)
		}
	})
}
