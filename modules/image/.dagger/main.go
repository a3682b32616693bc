// Image makes images of the device out of root file systems, a kernel and keys.
// Each function is a run or a few of the image program; what it depends on is in
// its arguments.
package main

import (
	"context"
	"encoding/json"
	"strconv"

	"dagger/image/internal/dagger"
)

type Image struct {
	// The image program (modules/image/cmd/image).
	Program *dagger.File
	// The sandbox program (modules/sandbox).
	Sandbox *dagger.File
	// The root file system with the tools: package set "imagetools".
	Tools *dagger.Directory
	// Seconds since 1970: every time in the images.
	Epoch string
	// Not empty: makes everything in another world (see modules/sandbox).
	Variation string
}

func New(
	// The image program, static (modules/image/cmd/image).
	program *dagger.File,
	// The sandbox program, static (modules/sandbox).
	sandbox *dagger.File,
	// The root file system with the tools: package set "imagetools".
	tools *dagger.Directory,
	// Seconds since 1970: every time in the images.
	epoch string,
	// Not empty: makes everything in another world (see modules/sandbox).
	// +optional
	variation string,
) *Image {
	return &Image{Program: program, Sandbox: sandbox, Tools: tools, Epoch: epoch, Variation: variation}
}

const (
	program = "/usr/bin/image"
	sandbox = "/usr/bin/sandbox"
)

// The files of an unsigned set.
const (
	rootImage = "root.erofs"
	hashTree  = "root.verity"
	rootHash  = "roothash"
	osRelease = "os-release"
	normal    = "uki.efi"
	manifest  = "unsigned.json"
)

// plan is what the definition says of the image.
type plan struct {
	Name, Version, CommandLine    string
	Tries                         int
	Microcode                     bool
	ESPSize, RootSize, VeritySize int64
}

// Plan reads what the definition says of the image, and refuses a version that
// labels cannot hold before anything is built. It returns JSON.
func (m *Image) Plan(
	ctx context.Context,
	// mangos.toml.
	definition *dagger.File,
	// Another version than the definition's.
	// +optional
	version string,
) (string, error) {
	return m.step().
		WithMountedFile("/in/mangos.toml", definition).
		With(run("plan", "--definition", "/in/mangos.toml", "--version", version)).
		Stdout(ctx)
}

// Root returns the root file system image (root.erofs) and its os-release.
func (m *Image) Root(
	// The root file system of the package set "root".
	tree *dagger.Directory,
	// What is laid over it.
	overlay *dagger.Directory,
	// The programs, in their places.
	programs *dagger.Directory,
	// What Plan returns.
	plan string,
) (*dagger.Directory, error) {
	p, err := readPlan(plan)
	if err != nil {
		return nil, err
	}
	return m.step().
		WithMountedDirectory("/in/tree", tree).
		WithMountedDirectory("/in/overlay", overlay).
		WithMountedDirectory("/in/programs", programs).
		With(run("root", "--tree", "/in/tree", "--overlay", "/in/overlay", "--overlay", "/in/programs",
			"--name", p.Name, "--version", p.Version, "--out", "/out/"+rootImage, "--os-release", "/out/"+osRelease)).
		Directory("/out"), nil
}

// Verity returns the hash tree (root.verity) and the root hash of an image.
func (m *Image) Verity(image *dagger.File) *dagger.Directory {
	return m.step().
		WithMountedFile("/in/root", image).
		With(run("verity", "--root", "/in/root", "--tree", "/out/"+hashTree, "--root-hash", "/out/"+rootHash)).
		Directory("/out")
}

// Initrd returns the initrd, without the command line that belongs to a root.
func (m *Image) Initrd(
	// The unpacked package set "initrd".
	tree *dagger.Directory,
	// What is laid over it.
	overlay *dagger.Directory,
	// The programs, in their places.
	programs *dagger.Directory,
) *dagger.File {
	return m.step().
		WithMountedDirectory("/in/tree", tree).
		WithMountedDirectory("/in/overlay", overlay).
		WithMountedDirectory("/in/programs", programs).
		With(run("initrd", "--tree", "/in/tree", "--overlay", "/in/overlay", "--overlay", "/in/programs", "--out", "/out/initrd")).
		Directory("/out").
		File("initrd")
}

// Microcode returns the early archive of processor microcode.
func (m *Image) Microcode(
	// The unpacked package set "microcode".
	tree *dagger.Directory,
) *dagger.File {
	return m.step().
		WithMountedDirectory("/in/tree", tree).
		With(run("microcode", "--tree", "/in/tree", "--out", "/out/microcode.cpio")).
		Directory("/out").
		File("microcode.cpio")
}

// Unsigned returns what is the same for everybody, whatever their keys.
func (m *Image) Unsigned(
	// The root file system of the package set "root".
	root *dagger.Directory,
	// The unpacked package set "initrd".
	initrd *dagger.Directory,
	// The unpacked package set "microcode".
	microcode *dagger.Directory,
	// The kernel without certificate: vmlinux, bzImage, release, ranges.json.
	kernel *dagger.Directory,
	// The folders root and initrd, to be laid over the package sets.
	overlays *dagger.Directory,
	// The folders root and initrd with programs in their places.
	programs *dagger.Directory,
	// What Plan returns.
	plan string,
) (*dagger.Directory, error) {
	p, err := readPlan(plan)
	if err != nil {
		return nil, err
	}
	image, err := m.Root(root, overlays.Directory("root"), programs.Directory("root"), plan)
	if err != nil {
		return nil, err
	}
	tree := m.Verity(image.File(rootImage))
	args := []string{"unsigned", "--name", p.Name, "--version", p.Version,
		"--root", "/in/image/" + rootImage, "--os-release", "/in/image/" + osRelease,
		"--tree", "/in/tree/" + hashTree, "--root-hash", "/in/tree/" + rootHash,
		"--initrd", "/in/initrd", "--kernel", "/in/kernel", "--cmdline", p.CommandLine, "--out", "/out"}
	step := m.step().
		With(files("/in/image", image, rootImage, osRelease)).
		With(files("/in/tree", tree, hashTree, rootHash)).
		WithMountedFile("/in/initrd", m.Initrd(initrd, overlays.Directory("initrd"), programs.Directory("initrd"))).
		With(files("/in/kernel", kernel, "vmlinux", "bzImage", "release", "ranges.json"))
	if p.Microcode {
		step = step.WithMountedFile("/in/microcode.cpio", m.Microcode(microcode))
		args = append(args, "--microcode", "/in/microcode.cpio")
	}
	return step.With(run(args...)).Directory("/out").
		WithDirectory("/", image).
		WithDirectory("/", tree), nil
}

// Split returns root and hash tree, compressed, as updates fetch them. No key
// has a part in it.
func (m *Image) Split(
	// What Unsigned returns.
	unsigned *dagger.Directory,
	// What Plan returns.
	plan string,
) (*dagger.Directory, error) {
	p, err := readPlan(plan)
	if err != nil {
		return nil, err
	}
	return m.step().
		WithMountedFile("/in/root", unsigned.File(rootImage)).
		WithMountedFile("/in/tree", unsigned.File(hashTree)).
		WithMountedFile("/in/roothash", unsigned.File(rootHash)).
		With(run("split", "--root", "/in/root", "--tree", "/in/tree", "--root-hash", "/in/roothash",
			"--name", p.Name, "--version", p.Version, "--out", "/out")).
		Directory("/out"), nil
}

// Predict returns the values of PCR 11 that an organisation's image leaves, from
// what is public.
func (m *Image) Predict(
	// What Unsigned returns.
	unsigned *dagger.Directory,
	// The kernel with the organisation's certificate.
	bzImage *dagger.File,
	// The public half of its PCR key.
	pcrPublic *dagger.File,
	// What Plan returns.
	plan string,
	// The image is signed with try-out keys.
	// +optional
	tryOut bool,
) (*dagger.File, error) {
	p, err := readPlan(plan)
	if err != nil {
		return nil, err
	}
	return m.step().
		WithMountedFile("/in/uki.efi", unsigned.File(normal)).
		WithMountedFile("/in/bzImage", bzImage).
		WithMountedFile("/in/pcr.pub", pcrPublic).
		With(run("predict", "--normal-form", "/in/uki.efi", "--kernel", "/in/bzImage", "--pcr-public", "/in/pcr.pub",
			"--try-out="+strconv.FormatBool(tryOut), "--name", p.Name, "--version", p.Version, "--out", "/out/pcrs.json")).
		Directory("/out").
		File("pcrs.json"), nil
}

func readPlan(text string) (plan, error) {
	var p plan
	return p, json.Unmarshal([]byte(text), &p)
}

// step is a container with the tools and the two programs, and an empty /out.
func (m *Image) step() *dagger.Container {
	return dag.Container().WithRootfs(m.Tools).
		WithFile(program, m.Program).
		WithFile(sandbox, m.Sandbox).
		WithEnvVariable("SOURCE_DATE_EPOCH", m.Epoch).
		WithEnvVariable("MANGOS_VARIATION", m.Variation).
		WithDirectory("/out", dag.Directory())
}

// files mounts files of a folder one by one. A file of a folder is known by its
// content, and the step is done again only when it is another; a folder that a
// step made is known by how it was made.
func files(at string, from *dagger.Directory, names ...string) func(*dagger.Container) *dagger.Container {
	return func(c *dagger.Container) *dagger.Container {
		for _, name := range names {
			c = c.WithMountedFile(at+"/"+name, from.File(name))
		}
		return c
	}
}

// run runs a step of the image program in the sandbox.
func run(args ...string) func(*dagger.Container) *dagger.Container {
	return func(c *dagger.Container) *dagger.Container {
		return c.WithExec(append([]string{sandbox, "--", program}, args...),
			dagger.ContainerWithExecOpts{InsecureRootCapabilities: true})
	}
}
