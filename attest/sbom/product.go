package sbom

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mastercard/mangos/attest/sourceid"
	"github.com/mastercard/mangos/attest/tree"
	"github.com/mastercard/mangos/format/dpkg"
	"github.com/mastercard/mangos/modules/debian/lock"
	"github.com/mastercard/mangos/modules/image/fstree"
	"github.com/mastercard/mangos/modules/image/initrd"
	"github.com/mastercard/mangos/modules/image/rootfs"
	"github.com/mastercard/mangos/modules/kernel/artifact"
)

// InstalledPath is where an image holds its bill of materials.
const InstalledPath = "usr/share/mangos/sbom.spdx.json.zst"

// Layers are the folders that a tree is put together from; see packages rootfs
// and initrd.
type Layers struct {
	// Tree has the packages, Database dpkg's database where it is not in Tree.
	Tree, Database string
	// Overlay is laid over it, then Programs.
	Overlay, Programs string
}

// Product is where the parts of an image lie.
type Product struct {
	Name, Version string
	Root          Layers
	// Document is a folder with the installed bill of materials in its place.
	// Empty: there is none yet, and the document is to be that one.
	Document string
	// RootImage is the finished image of the root; may be empty.
	RootImage string
	Initrd    Layers
	Microcode Layers // may be empty
	// Boot are files of the file system Boot.Tree that go into the image as they
	// are: the boot loader, the kernel image's stub.
	BootTree string
	Boot     []string
	// KernelSource is the name of the kernel's source package, Kernel the folder
	// of a kernel without certificate. Empty: it is not compiled yet.
	KernelSource, Kernel string
	Lock                 *lock.Lock
	// Source is the folder of the Go module that the programs were compiled from. Empty:
	// their source is not identified.
	Source string
}

// Where files are from, in the words of the document. A step is one of package
// pipeline's.
const (
	configured   = "made by step tree-root, by maintainer scripts and dpkg while the packages were configured"
	unpacked     = "of step tree-%s; no package lists it"
	fromSource   = "modules/image/tree/%s of the repository (step source)"
	fromPrograms = "our own programs (step programs)"
	fromSBOM     = "this product's bill of materials, without itself (step sbom-device)"
	assembled    = "made by step %s, which puts the image together"
	compiled     = "compiled from the kernel's source (step %s)"
)

// Components lists the parts of the product. While there is no document yet, those
// beside the root are only outlined: so that the root, which will hold the
// document, is the same whatever changes in a file of the others.
func (p *Product) Components(ctx context.Context) ([]Component, error) {
	var list []Component
	copyrights := map[string][]byte{}
	for _, make := range []func(context.Context, map[string][]byte) (*Component, error){
		p.root, p.initrd, p.microcode, p.boot, p.kernel,
	} {
		c, err := make(ctx, copyrights)
		if err != nil {
			return nil, err
		}
		if c == nil {
			continue
		}
		if c.Name != "root" && p.Document == "" {
			c.outline()
		} else if err := p.identify(c); err != nil {
			return nil, err
		}
		list = append(list, *c)
	}
	return list, nil
}

// identify finds out what the programs of a component were compiled from.
func (p *Product) identify(c *Component) error {
	if p.Source == "" {
		return nil
	}
	for i := range c.Files {
		f := &c.Files[i]
		if f.Program == nil {
			continue
		}
		var err error
		if f.Source, err = sourceid.ReadProgram(p.Source, f.Program); err != nil {
			return fmt.Errorf("collect %s: /%s: %w", c.Name, f.Path, err)
		}
	}
	return nil
}

func (p *Product) root(ctx context.Context, copyrights map[string][]byte) (*Component, error) {
	o := rootfs.Options{Tree: p.Root.Tree, Name: p.Name, Version: p.Version}
	t := p.Root.tree("root", configured, "erofs")
	for _, dir := range []string{p.Root.Overlay, p.Root.Programs, p.Document} {
		if dir != "" {
			o.Overlays = append(o.Overlays, dir)
		}
	}
	if p.Document != "" {
		t.Overlays[p.Document] = fromSBOM
	}
	files, _, err := rootfs.Finalise(o)
	if err != nil {
		return nil, err
	}
	t.Tree = files
	c := Part("root")
	c.Copyright = copyrights
	if (files.Get(InstalledPath) != nil) != (p.Document != "") {
		return nil, fmt.Errorf("collect root: /%s: there when it should not be, or not there when it should: %w", InstalledPath, ErrFile)
	}
	if p.Document == "" {
		c.LeftOut = InstalledPath
	}
	if p.RootImage != "" {
		digest, _, err := tree.HashFile(p.RootImage, true)
		if err != nil {
			return nil, err
		}
		c.Artifact = &Artifact{Name: filepath.Base(p.RootImage), SHA256: digest}
	}
	return &c, t.Collect(ctx, &c)
}

func (p *Product) initrd(ctx context.Context, copyrights map[string][]byte) (*Component, error) {
	t := p.Initrd.tree("initrd", fmt.Sprintf(unpacked, "initrd"), "initrd")
	o := initrd.Options{Tree: p.Initrd.Tree}
	for _, dir := range []string{p.Initrd.Overlay, p.Initrd.Programs} {
		if dir != "" {
			o.Overlays = append(o.Overlays, dir)
		}
	}
	files, err := initrd.Finalise(o)
	if err != nil {
		return nil, err
	}
	t.Tree = files
	c := Part("initrd")
	c.Copyright = copyrights
	return &c, t.Collect(ctx, &c)
}

func (p *Product) microcode(ctx context.Context, copyrights map[string][]byte) (*Component, error) {
	if p.Microcode.Tree == "" {
		return nil, nil
	}
	files, err := fstree.Load(p.Microcode.Tree)
	if err != nil {
		return nil, err
	}
	t := p.Microcode.tree("microcode", fmt.Sprintf(unpacked, "microcode"), "microcode")
	t.Tree = files
	c := Part("microcode")
	c.Copyright = copyrights
	if err := t.Collect(ctx, &c); err != nil {
		return nil, err
	}
	c.Files = slices.DeleteFunc(c.Files, func(f File) bool {
		return f.Link || !slices.ContainsFunc(initrd.Vendors, func(v initrd.Vendor) bool { return v.Has(f.Path) })
	})
	c.onlyOwners()
	return &c, nil
}

func (p *Product) boot(ctx context.Context, copyrights map[string][]byte) (*Component, error) {
	if len(p.Boot) == 0 {
		return nil, nil
	}
	files, err := fstree.Pick(p.BootTree, p.Boot...)
	if err != nil {
		return nil, err
	}
	t := Tree{Tree: files, Base: p.BootTree, Configured: fmt.Sprintf(unpacked, "imagetools"), Database: dpkg.Dir(p.BootTree)}
	c := Part("boot")
	c.Copyright = copyrights
	if err := t.Collect(ctx, &c); err != nil {
		return nil, err
	}
	c.onlyOwners()
	for _, pkg := range c.Packages {
		if text, err := dpkg.Dir(p.BootTree).ReadFile("usr/share/doc/"+pkg.Name+"/copyright", 1<<20); err == nil {
			c.Copyright[pkg.Name] = text
		}
	}
	return &c, nil
}

func (p *Product) kernel(_ context.Context, _ map[string][]byte) (*Component, error) {
	if p.KernelSource == "" {
		return nil, nil
	}
	source := ""
	for _, key := range p.Lock.Build {
		if name, _, _ := strings.Cut(key, "="); name == p.KernelSource {
			source = key
		}
	}
	if source == "" {
		return nil, fmt.Errorf("kernel: source %s: %w", p.KernelSource, ErrUnlocked)
	}
	if p.Kernel == "" {
		c := Kernel(source, "")
		return &c, nil
	}
	files, release, err := kernelFiles(p.Kernel)
	if err != nil {
		return nil, fmt.Errorf("kernel: %w", err)
	}
	c := Kernel(source, release)
	if release != c.Version && !strings.HasPrefix(release, c.Version+"-") || !printable(release) {
		return nil, fmt.Errorf("kernel: it calls itself %.60q, its source is of %q: %w", release, c.Version, errKernel)
	}
	c.Files = files
	return &c, nil
}

// kernelFiles lists the files of a compiled kernel, and returns what it calls itself.
func kernelFiles(dir string) (list []File, release string, err error) {
	names := []string{artifact.BzImage, artifact.SystemMap, artifact.Config, artifact.Ranges, artifact.Release, artifact.Vmlinux}
	files, err := fstree.Pick(dir, names...)
	if err != nil {
		return nil, "", err
	}
	for _, name := range files.Paths() {
		e := files.Get(name)
		if e.IsDir() {
			continue
		}
		step := "kernel"
		if name == artifact.BzImage || name == artifact.Ranges {
			step = "kernel-packed"
		}
		f := File{Path: name, Origin: nobody + fmt.Sprintf(compiled, step)}
		if _, err := digests(&f, e, false); err != nil {
			return nil, "", err
		}
		list = append(list, f)
	}
	text, err := files.ReadFile(artifact.Release, 4<<10)
	return list, strings.TrimSpace(string(text)), err
}

var errKernel = errors.New("the kernel is not of the locked source")

// tree says where the parts of a tree are from: of the component of that name,
// which the step puts together.
func (l Layers) tree(name, configured, step string) Tree {
	t := Tree{
		Base: l.Tree, Configured: configured, Overlays: map[string]string{}, Programs: l.Programs,
		Made: fmt.Sprintf(assembled, step),
	}
	if l.Overlay != "" {
		t.Overlays[l.Overlay] = fmt.Sprintf(fromSource, name)
	}
	if l.Programs != "" {
		t.Overlays[l.Programs] = fromPrograms
	}
	if l.Database != "" {
		t.Database = dualFiles{dpkg.Dir(l.Database), l.Tree}
	}
	return t
}

// dualFiles reads dpkg's database from one folder and the links of a merged /usr
// from another.
type dualFiles struct {
	dpkg.Dir
	tree string
}

// Readlink implements [dpkg.Files].
func (d dualFiles) Readlink(name string) (string, error) { return dpkg.Dir(d.tree).Readlink(name) }
