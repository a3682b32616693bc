package sbom

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"
	"golang.org/x/sys/unix"

	"github.com/mastercard/mangos/attest/internal/oracle"
	"github.com/mastercard/mangos/format/erofs"
	"github.com/mastercard/mangos/modules/debian/lock"
)

// lay makes files below dir; a content that begins with "-> " is a symbolic link.
func lay(t *testing.T, dir string, files map[string]string) string {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, ok := strings.CutPrefix(content, "-> "); ok {
			err = os.Symlink(target, path)
		} else {
			err = os.WriteFile(path, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// product lays out the parts of a small product, with this test as its programs.
func product(t *testing.T) *Product {
	t.Helper()
	self, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	database := map[string]string{
		"var/lib/dpkg/status": "Package: tool\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n\n" +
			"Package: shared\nStatus: install ok installed\nArchitecture: all\nVersion: 2\nSource: tool (1)\n",
		"var/lib/dpkg/info/tool.list": "/.\n/usr\n/bin/tool\n/etc/tool.conf\n/usr/bin/t\n/usr/share/doc/tool/copyright\n" +
			"/usr/lib/systemd/systemd\n/usr/sbin/init\n/usr/lib/os-release\n/usr/share/replaced\n",
		"var/lib/dpkg/info/shared.list": "/.\n/usr/share/shared\n/usr/share/doc/shared\n",
		// The sums of "tool" and, for the file that a script changed, of another text.
		"var/lib/dpkg/info/tool.md5sums":  "39ab32c5aeb56c9f5ae17f073ce31023  bin/tool\n00000000000000000000000000000000  etc/tool.conf\n",
		"var/lib/dpkg/info/tool.postinst": "#!/bin/sh\nwrite /etc/generated /etc/generated.d\n",
	}
	lay(t, in("root"), database)
	lay(t, in("root"), map[string]string{
		"bin": "-> usr/bin", "usr/bin/tool": "tool", "usr/bin/t": "-> /etc/alternatives/t", "etc/alternatives/t": "-> /bin/tool",
		"etc/tool.conf": "changed", "etc/generated": "x", "etc/link": "-> /bin/tool", "usr/share/shared": "s", "usr/share/replaced": "old",
		"usr/share/doc/tool/copyright": "Format: x\n\nFiles: *\nLicense: Expat\n", "usr/share/doc/shared": "-> tool",
		"usr/lib/systemd/systemd": "pid 1", "usr/sbin/init": "-> ../lib/systemd/systemd", "usr/lib/os-release": "ID=x\n",
	})
	lay(t, in("root-overlay"), map[string]string{"usr/share/replaced": "new", "etc/ours": "o"})
	lay(t, in("root-programs"), map[string]string{"usr/lib/mangos/self": string(self)})
	lay(t, in("initrd"), map[string]string{"usr/lib/systemd/systemd": "pid 1", "usr/lib/stray": "?"})
	lay(t, in("initrd-database"), map[string]string{
		"var/lib/dpkg/status":         "Package: tool\nStatus: install ok unpacked\nArchitecture: amd64\nVersion: 1\n",
		"var/lib/dpkg/info/tool.list": "/.\n/lib/systemd/systemd\n/usr/lib/systemd/systemd\n",
	})
	lay(t, in("initrd-overlay"), map[string]string{"etc/initrd-release": "ID=x\n", "init": "gate"})
	lay(t, in("boot"), database)
	lay(t, in("boot"), map[string]string{"usr/bin/t": "stub", "usr/share/doc/tool/copyright": "free"})
	lay(t, in("kernel"), map[string]string{
		"bzImage": "b", "vmlinux": "v", "System.map": "s", "config": "c", "ranges.json": "r", "release": "6.12.1-mangos\n",
	})
	l := sample().Lock
	for _, name := range []string{"tool 1", "shared 2"} {
		name, version, _ := strings.Cut(name, " ")
		l.Packages = append(l.Packages, lock.Package{
			Name: name, Version: version, Architecture: "amd64", Suite: "trixie", Path: "pool/" + name + ".deb",
			SHA256: digest(name), Source: "bash", SourceVersion: "5.2-2",
		})
	}
	return &Product{
		Name: "mangos", Version: "0.1", Lock: l, KernelSource: "linux",
		Root:     Layers{Tree: in("root"), Overlay: in("root-overlay"), Programs: in("root-programs")},
		Initrd:   Layers{Tree: in("initrd"), Database: in("initrd-database"), Overlay: in("initrd-overlay")},
		BootTree: in("boot"), Boot: []string{"usr/bin/t"},
	}
}

func TestCollect(t *testing.T) {
	p := product(t)
	list, err := p.Components(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	type what struct{ owner, origin string }
	got := map[string]what{}
	for _, c := range list {
		for _, f := range c.Files {
			got[c.Name+":"+f.Path] = what{f.Package, f.Origin}
			if (f.Program != nil) != (f.Path == "usr/lib/mangos/self") {
				t.Errorf("%s is, or is not, a program of ours", f.Path)
			}
		}
	}
	for name, want := range map[string]what{
		"root:usr/bin/tool":              {"tool", ""},
		"root:usr/bin/t":                 {"tool", ""},
		"root:usr/share/shared":          {"shared", ""},
		"root:etc/tool.conf":             {"tool", "not as the package brought it: " + configured},
		"root:etc/generated":             {"", "in no package: " + configured + "; named in tool.postinst"},
		"root:etc/link":                  {"", "in no package: " + configured + "; its target is of tool"},
		"root:etc/alternatives/t":        {"", "in no package: " + configured + "; set by update-alternatives"},
		"root:etc/ours":                  {"", "in no package: modules/image/tree/root of the repository (step source)"},
		"root:usr/share/replaced":        {"tool", "not as the package brought it: modules/image/tree/root of the repository (step source)"},
		"root:usr/lib/os-release":        {"tool", "not as the package brought it: made by step erofs, which puts the image together"},
		"root:etc/machine-id":            {"", "in no package: made by step erofs, which puts the image together"},
		"root:usr/lib/dpkg-db/status":    {"", "dpkg's database, " + configured},
		"root:usr/lib/mangos/self":       {"", ""},
		"initrd:usr/lib/systemd/systemd": {"tool", ""},
		"initrd:usr/lib/stray":           {"", "in no package: of step tree-initrd; no package lists it"},
		"initrd:etc/initrd-release":      {"", "in no package: modules/image/tree/initrd of the repository (step source)"},
		"initrd:bin":                     {"", "in no package: made by step initrd, which puts the image together"},
		"boot:usr/bin/t":                 {"tool", ""},
	} {
		if got[name] != want {
			t.Errorf("%s: %+v, want %+v", name, got[name], want)
		}
	}
	for _, c := range list {
		if c.Name == "boot" && (len(c.Packages) != 1 || string(c.Copyright["tool"]) != "free") {
			t.Errorf("boot: %+v, %q", c.Packages, c.Copyright)
		}
		if c.Name == "root" && (len(c.Copyright["shared"]) == 0 || c.LeftOut != InstalledPath) {
			t.Errorf("root: %q, leaves out %q", c.Copyright, c.LeftOut)
		}
		if c.Name == "kernel" && (len(c.Files) != 0 || c.Version != "6.12.1") {
			t.Errorf("kernel: %+v", c)
		}
	}
}

// TestOutline: the document that the root will hold does not depend on the files
// of the other parts.
func TestOutline(t *testing.T) {
	p := product(t)
	document := func() string {
		list, err := p.Components(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		return string(encode(t, Input{Name: p.Name, Version: p.Version, Epoch: 1, Lock: p.Lock, Components: list}))
	}
	before := document()
	if err := os.WriteFile(filepath.Join(p.Initrd.Tree, "usr/lib/systemd/systemd"), []byte("another"), 0o644); err != nil {
		t.Fatal(err)
	}
	if document() != before {
		t.Error("a file of the initrd shows in the root's document")
	}
	if !strings.Contains(before, `"SPDXID":"SPDXRef-initrd-deb-tool"`) || strings.Contains(before, "SPDXRef-initrd-file-") {
		t.Error("the initrd is not outlined")
	}
	p.Document = lay(t, t.TempDir(), map[string]string{InstalledPath: before})
	if after := document(); !strings.Contains(after, "SPDXRef-initrd-file-") || !strings.Contains(after, "./"+InstalledPath) {
		t.Error("the release's document does not list the files of the initrd")
	}
}

// TestInstalled: the image's document is that which belongs to the release's.
func TestInstalled(t *testing.T) {
	p := product(t)
	p.Kernel = filepath.Join(filepath.Dir(p.Root.Tree), "kernel")
	document := func(installed bool) string {
		list, err := p.Components(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		in := Input{Name: p.Name, Version: p.Version, Epoch: 1, Lock: p.Lock, Components: list}
		if installed {
			in = Installed(in)
		}
		return string(encode(t, in))
	}
	p.Document = lay(t, t.TempDir(), map[string]string{InstalledPath: "document"})
	derived := document(true)
	p.Document, p.Kernel = "", ""
	if derived != document(false) {
		t.Error("it is another one than that which is made before there is a root")
	}
}

// TestTwoFolders: where the parts lie does not show.
func TestTwoFolders(t *testing.T) {
	document := func() string {
		p := product(t)
		list, err := p.Components(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		return string(encode(t, Input{Name: p.Name, Version: p.Version, Epoch: 1, Lock: p.Lock, Components: list}))
	}
	a, b := document(), document()
	if a != b {
		t.Error("two folders give two documents")
	}
	checkSchema(t, []byte(a))
}

func TestCollectRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Product) error
		want   error
	}{
		"a FIFO": {func(p *Product) error { return unix.Mkfifo(filepath.Join(p.Root.Tree, "etc/fifo"), 0o644) }, ErrFile},
		"a document too early": {func(p *Product) error {
			name := filepath.Join(p.Root.Tree, InstalledPath)
			return errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, nil, 0o644))
		}, ErrFile},
		"no document where there should be one": {func(p *Product) error { p.Document = p.Root.Overlay; return nil }, ErrFile},
		"a script among the programs": {func(p *Product) error {
			return os.WriteFile(filepath.Join(p.Root.Programs, "usr/lib/mangos/script"), []byte("#!/bin/sh\n"), 0o755)
		}, nil},
		"a kernel of another version": {func(p *Product) error {
			p.Kernel = filepath.Join(filepath.Dir(p.Root.Tree), "kernel")
			return os.WriteFile(filepath.Join(p.Kernel, "release"), []byte("6.12.10\n"), 0o644)
		}, errKernel},
		"a kernel of no locked source": {func(p *Product) error { p.KernelSource = "hurd"; return nil }, ErrUnlocked},
	} {
		p := product(t)
		if err := c.change(p); err != nil {
			t.Fatal(err)
		}
		_, err := p.Components(context.Background())
		if err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestKernel(t *testing.T) {
	p := product(t)
	p.Kernel = filepath.Join(filepath.Dir(p.Root.Tree), "kernel")
	list, err := p.Components(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range list {
		if c.Name != "kernel" {
			continue
		}
		if len(c.Files) != 6 || !strings.Contains(c.Comment, "6.12.1-mangos") || c.Source != "linux=6.12.1-1" || !strings.Contains(c.CPE, ":6.12.1:") {
			t.Errorf("%+v", c)
		}
	}
}

// TestCheckImage holds a document against an image that mkfs.erofs made of the
// same tree, and of others.
func TestCheckImage(t *testing.T) {
	p := product(t)
	p.Document = lay(t, t.TempDir(), map[string]string{InstalledPath: "document"})
	list, err := p.Components(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	doc, err := Build(Input{Name: p.Name, Version: p.Version, Epoch: 1, Lock: p.Lock, Components: list})
	if err != nil {
		t.Fatal(err)
	}
	tree := t.TempDir()
	for _, f := range list[0].Files {
		content := "-> " + f.Target
		if !f.Link {
			for _, dir := range []string{p.Root.Tree, p.Root.Overlay, p.Root.Programs, p.Document} {
				name := strings.Replace(f.Path, "usr/lib/dpkg-db", "var/lib/dpkg", 1)
				if text, err := os.ReadFile(filepath.Join(dir, name)); err == nil {
					content = string(text)
				}
			}
			if f.Path == "usr/lib/os-release" {
				content = "ID=x\nIMAGE_ID=mangos\nIMAGE_VERSION=0.1\n"
			}
			if f.Path == "etc/machine-id" {
				content = ""
			}
		}
		lay(t, tree, map[string]string{f.Path: content})
	}
	check := func() (int, error) {
		name := filepath.Join(t.TempDir(), "x.erofs")
		oracle.Run(t, "", "mkfs.erofs", "-zlz4hc", name, tree)
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		st, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		img, err := erofs.Open(f, st.Size())
		if err != nil {
			t.Fatal(err)
		}
		n, err := CheckImage(context.Background(), doc, "root", img)
		if err != nil {
			return n, err
		}
		if p, err := CheckOwners(doc, "root", img); err != nil || p != 2 {
			return n, fmt.Errorf("%d packages: %w", p, err)
		}
		return n, nil
	}
	if n, err := check(); err != nil || n != len(list[0].Files) {
		t.Fatalf("%d of %d files, %v", n, len(list[0].Files), err)
	}
	in := func(name string) string { return filepath.Join(tree, name) }
	for name, fault := range map[string]struct{ do, undo func() error }{
		"a changed file": {func() error { return os.WriteFile(in("etc/ours"), []byte("x"), 0o644) }, func() error { return os.WriteFile(in("etc/ours"), []byte("o"), 0o644) }},
		"a file more":    {func() error { return os.WriteFile(in("etc/more"), nil, 0o644) }, func() error { return os.Remove(in("etc/more")) }},
		"a file less":    {func() error { return os.Rename(in("etc/ours"), tree+".gone") }, func() error { return os.Rename(tree+".gone", in("etc/ours")) }},
		"another target": {func() error { return errors.Join(os.Remove(in("bin")), os.Symlink("usr/sbin", in("bin"))) }, func() error { return errors.Join(os.Remove(in("bin")), os.Symlink("usr/bin", in("bin"))) }},
		"a link for a file": {func() error { return errors.Join(os.Remove(in("etc/ours")), os.Symlink("o", in("etc/ours"))) }, func() error {
			return errors.Join(os.Remove(in("etc/ours")), os.WriteFile(in("etc/ours"), []byte("o"), 0o644))
		}},
		"a file that says what the link said": {func() error {
			return errors.Join(os.Remove(in("bin")), os.WriteFile(in("bin"), []byte("usr/bin"), 0o644))
		}, func() error { return errors.Join(os.Remove(in("bin")), os.Symlink("usr/bin", in("bin"))) }},
		"a FIFO": {func() error { return unix.Mkfifo(in("etc/fifo"), 0o644) }, func() error { return os.Remove(in("etc/fifo")) }},
	} {
		if err := fault.do(); err != nil {
			t.Fatal(err)
		}
		if _, err := check(); !errors.Is(err, ErrDiffers) {
			t.Errorf("%s: %v", name, err)
		}
		if err := fault.undo(); err != nil {
			t.Fatal(err)
		}
	}
	for name, change := range map[string]func(*spdx.Document){
		"a comment that contradicts the digest": func(doc *spdx.Document) {
			for _, f := range doc.Files {
				if f.FileName == "./bin" {
					f.FileComment = strings.Replace(f.FileComment, "usr/bin", "usr/other", 1) // with the digest of usr/bin
				}
			}
		},
		"a file that is left out": func(doc *spdx.Document) {
			componentOf(doc, "root").PackageVerificationCode.ExcludedFiles = []string{"./etc/ours"}
		},
		"a file that is listed twice":     func(doc *spdx.Document) { doc.Files = append(doc.Files, doc.Files[0]) },
		"a file under another identifier": func(doc *spdx.Document) { doc.Files[0].FileSPDXIdentifier = "root-file-0" },
	} {
		text, err := Encode(doc)
		if err != nil {
			t.Fatal(err)
		}
		good := doc
		if doc, err = Parse(text); err != nil {
			t.Fatal(err)
		}
		change(doc)
		if _, err := check(); !errors.Is(err, ErrDiffers) {
			t.Errorf("%s: %v", name, err)
		}
		doc = good
	}
	if _, err := CheckImage(context.Background(), doc, "nothing", nil); !errors.Is(err, ErrDiffers) {
		t.Errorf("a component that is not there: %v", err)
	}
}
