// Mangos builds a secure Linux operating system from locked inputs, and checks
// and compares what was built.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"dagger/mangos/internal/dagger"
)

// Mangos holds the pipeline's inputs. Each folder has only what its steps may
// depend on, so that a change of anything else leaves them done.
type Mangos struct {
	// +private
	Definition *dagger.Directory
	// +private
	Locked *dagger.File
	// +private
	Identities *dagger.File
	// +private
	Source *dagger.Directory
	// +private
	Fragments *dagger.Directory
	// +private
	Trees *dagger.Directory
	// +private
	Mirrors *dagger.Secret
	// +private
	Goproxy *dagger.Secret
	// +private
	PackageCache string
}

func New(
	// mangos.toml and the archive keys that it names.
	// +defaultPath="/"
	// +ignore=["**", "!mangos.toml", "!modules/debian/keys/*"]
	definition *dagger.Directory,
	// The lock.
	// +defaultPath="/debian.lock.json"
	lock *dagger.File,
	// What is known of the sources of the lock's packages (see sources).
	// +defaultPath="/debian.sources.json"
	identities *dagger.File,
	// What the programs are compiled from.
	// +defaultPath="/"
	// +ignore=["**", "!go.mod", "!go.sum", "!attest/**", "!compare/**", "!format/**", "!modules/**", "!runtime/**", "modules/image/tree", "modules/*/.dagger", "modules/*/*/.dagger", "**/*.md", "**/*_test.go", "**/testdata"]
	source *dagger.Directory,
	// The kernel's configuration.
	// +defaultPath="/modules/kernel/config"
	fragments *dagger.Directory,
	// What is laid over the packages' trees.
	// +defaultPath="/modules/image/tree"
	trees *dagger.Directory,
	// Where packages are fetched from first, as words of the form ARCHIVE=URL.
	// With "?cacheKey=mirrors" it does not matter to what is already built.
	// +optional
	mirrors *dagger.Secret,
	// The Go module proxy, in the form of the GOPROXY variable. With
	// "?cacheKey=goproxy" it does not matter to what is already built.
	// +optional
	goproxy *dagger.Secret,
	// A name for a package cache of its own: with a new one the root file system and
	// the initrd are made from nothing, the tools and the kernel are not.
	// +optional
	packageCache string,
) *Mangos {
	return &Mangos{
		Definition: definition, Locked: lock, Identities: identities, Source: source, Fragments: fragments, Trees: trees,
		Mirrors: mirrors, Goproxy: goproxy, PackageCache: packageCache,
	}
}

// Lock asks the archive for its newest state and returns a fresh lock. It is refused
// when the archive offers something older than the present lock has, a suite, a
// package or a source that is built.
// +cache="never"
func (m *Mangos) Lock(
	// Accepts something older, or a present lock that cannot be read.
	// +optional
	acceptOlder bool,
) *dagger.File {
	return m.debian().Lock(m.Definition, dagger.DebianLockOpts{Present: m.Locked, AcceptOlder: acceptOlder})
}

// Programs returns the pipeline's own programs, compiled with the pinned
// toolchain: static, and the same bits whoever compiles them.
func (m *Mangos) Programs() *dagger.Directory { return m.built().Files() }

// built returns the programs, and the records of how they were made.
func (m *Mangos) built() *dagger.GolangMade { return m.builtIn("") }

// builtIn compiles them in another world, if it has a name.
func (m *Mangos) builtIn(variation string) *dagger.GolangMade {
	return m.golang().Build(m.kept(m.Source), []string{
		"./attest/cmd/attest",
		"./attest/cmd/record",
		"./compare/cmd/compare",
		"./modules/debian/cmd/debian",
		"./modules/golang/cmd/gotest",
		"./modules/golang/cmd/tally",
		"./modules/image/cmd/image",
		"./modules/kernel/cmd/bootcheck",
		"./modules/kernel/cmd/kernel",
		"./modules/kernel/cmd/kernelprobe",
		"./modules/publish/cmd/publish",
		"./modules/sandbox",
		"./modules/vm/cmd/probe",
		"./modules/vm/cmd/vm",
		"./runtime/cmd/extension",
		"./runtime/cmd/failure",
		"./runtime/cmd/gate",
	}, dagger.GolangBuildOpts{Variation: variation})
}

// program returns one of the programs.
func (m *Mangos) program(name string) *dagger.File {
	return m.Programs().File(name)
}

// kept returns a folder that is known by its content, wherever it came from.
func (m *Mangos) kept(folder *dagger.Directory) *dagger.Directory {
	return m.golang().Keep(folder)
}

func (m *Mangos) golang() *dagger.Golang {
	return dag.Golang(dagger.GolangOpts{Goproxy: m.Goproxy})
}

func (m *Mangos) debian() *dagger.Debian { return m.debianWith("") }

// debianWith returns the module that makes trees, with a package cache of its own.
func (m *Mangos) debianWith(cache string) *dagger.Debian {
	lock := m.kept(dag.Directory().WithFile("debian.lock.json", m.Locked)).File("debian.lock.json")
	return dag.Debian(m.program("debian"), m.program("sandbox"), m.program("record"),
		dagger.DebianOpts{Mirrors: m.Mirrors, Lock: lock, Cache: cache})
}

func (m *Mangos) linux() *dagger.Kernel {
	return dag.Kernel(m.program("kernel"), m.program("sandbox"), m.program("record"))
}

// selections returns what each step needs of the lock.
func (m *Mangos) selections() *dagger.DebianMade {
	definition := m.kept(m.Definition.WithFile("debian.lock.json", m.Locked))
	return m.debian().Selections(definition.File("debian.lock.json"), definition.File("mangos.toml"))
}

// selection returns one of them, as a file that is known by its content. The name
// is that of a package set, or source-NAME.
func (m *Mangos) selection(ctx context.Context, name string) (*dagger.File, error) {
	text, err := m.selections().Files().File(name + ".json").Contents(ctx)
	if err != nil {
		return nil, err
	}
	return dag.Directory().WithNewFile(name+".json", text).File(name + ".json"), nil
}

// tools returns the root file system of a package set that something is made with.
func (m *Mangos) tools(ctx context.Context, set string) (*dagger.Directory, error) {
	made, err := m.toolTree(ctx, set, "")
	if err != nil {
		return nil, err
	}
	return made.Files(), nil
}

// toolTree returns the same with the records, made in another world if that has a name.
func (m *Mangos) toolTree(ctx context.Context, set, variation string) (*dagger.DebianMade, error) {
	selection, err := m.selection(ctx, set)
	if err != nil {
		return nil, err
	}
	return m.debian().Rootfs(selection, dagger.DebianRootfsOpts{Variation: variation}), nil
}

// tree returns the root file system of a package set of the image, and the records
// of how it was made.
func (m *Mangos) tree(ctx context.Context, set, variation string) (*dagger.DebianMade, error) {
	selection, err := m.selection(ctx, set)
	if err != nil {
		return nil, err
	}
	return m.debianWith(m.PackageCache).Rootfs(selection, dagger.DebianRootfsOpts{Variation: variation}), nil
}

// unpacked returns the files of a package set, and the records; no script of
// theirs has run.
func (m *Mangos) unpacked(ctx context.Context, set, variation string) (*dagger.DebianMade, error) {
	selection, err := m.selection(ctx, set)
	if err != nil {
		return nil, err
	}
	return m.debianWith(m.PackageCache).Extracted(selection, dagger.DebianExtractedOpts{Variation: variation}), nil
}

// epoch returns the time that everything in an image has: the date of the locked
// distribution.
func (m *Mangos) epoch(ctx context.Context) (string, error) {
	text, err := m.Locked.Contents(ctx)
	if err != nil {
		return "", fmt.Errorf("read the lock: %w", err)
	}
	var lock struct{ SourceDateEpoch int64 }
	if err := json.Unmarshal([]byte(text), &lock); err != nil {
		return "", fmt.Errorf("read the lock: %w", err)
	}
	if lock.SourceDateEpoch <= 0 {
		return "", fmt.Errorf("read the lock: it has no sourceDateEpoch")
	}
	return strconv.FormatInt(lock.SourceDateEpoch, 10), nil
}

// Kernel returns Linux, without a certificate: vmlinux, System.map, bzImage,
// config, release and ranges.json.
func (m *Mangos) Kernel(
	ctx context.Context,
	// Not empty and never given before: compiles anew, whatever was compiled before.
	// +optional
	afresh string,
) (*dagger.Directory, error) {
	return m.kernel(ctx, "", afresh)
}

func (m *Mangos) kernel(ctx context.Context, variation, afresh string) (*dagger.Directory, error) {
	made, err := m.compiled(ctx, variation, afresh)
	if err != nil {
		return nil, err
	}
	return made.Files(), nil
}

// compiled returns the kernel, and the records of how it was made.
func (m *Mangos) compiled(ctx context.Context, variation, afresh string) (*dagger.KernelMade, error) {
	x, err := m.kernelInputs(ctx, variation)
	if err != nil {
		return nil, err
	}
	return m.linux().Unsigned(x.sources, x.sourcesSelection, x.tools, x.toolsSelection, dagger.KernelUnsignedOpts{
		Fragments: m.kept(m.Fragments), Variation: variation, Afresh: afresh,
	}), nil
}

// kernelInputs are what a kernel is made from, and with.
type kernelInputs struct {
	sources, tools                   *dagger.Directory
	sourcesSelection, toolsSelection *dagger.File
}

func (m *Mangos) kernelInputs(ctx context.Context, variation string) (*kernelInputs, error) {
	tools, err := m.toolTree(ctx, "build", variation)
	if err != nil {
		return nil, err
	}
	toolsSelection, err := m.selection(ctx, "build")
	if err != nil {
		return nil, err
	}
	selection, err := m.selection(ctx, "source-linux")
	if err != nil {
		return nil, err
	}
	return &kernelInputs{
		sources: m.debian().Packages(selection).Files(), sourcesSelection: selection, tools: tools.Files(), toolsSelection: toolsSelection,
	}, nil
}

// plan is what the definition says of an image.
type plan struct {
	Name, Version string
	Microcode     bool
	// text is plan.json, as the steps have it, and records the record of its step.
	text    string
	records *dagger.Directory
}

// image returns the module that makes images, with its tools, and what the
// definition says of the image.
func (m *Mangos) image(ctx context.Context, version, variation string) (*dagger.Image, plan, error) {
	tools, err := m.toolTree(ctx, "imagetools", variation)
	if err != nil {
		return nil, plan{}, err
	}
	selection, err := m.selection(ctx, "imagetools")
	if err != nil {
		return nil, plan{}, err
	}
	epoch, err := m.epoch(ctx)
	if err != nil {
		return nil, plan{}, err
	}
	image := dag.Image(m.program("image"), m.program("sandbox"), m.program("record"), tools.Files(), selection, epoch,
		dagger.ImageOpts{Variation: variation})
	made := image.Plan(m.kept(m.Definition).File("mangos.toml"), dagger.ImagePlanOpts{Version: version})
	text, err := made.Files().File("plan.json").Contents(ctx)
	if err != nil {
		return nil, plan{}, err
	}
	p := plan{text: text, records: made.Records()}
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return nil, plan{}, fmt.Errorf("read plan: %w", err)
	}
	return image, p, nil
}

// Unsigned returns what is the same for everybody who builds the lock, whatever
// their keys: root, hash tree, root hash, initrd, command line, the unified
// kernel image in its normal form, and unsigned.json, which lists them.
func (m *Mangos) Unsigned(
	ctx context.Context,
	// Another version than the definition's.
	// +optional
	version string,
) (*dagger.Directory, error) {
	kernel, err := m.Kernel(ctx, "")
	if err != nil {
		return nil, err
	}
	return m.unsigned(ctx, kernel, version, "")
}

func (m *Mangos) unsigned(ctx context.Context, kernel *dagger.Directory, version, variation string) (*dagger.Directory, error) {
	made, err := m.common(ctx, kernel, version, variation)
	if err != nil {
		return nil, err
	}
	return made.Files(), nil
}

// common returns the unsigned set, and the records of how it was made.
func (m *Mangos) common(ctx context.Context, kernel *dagger.Directory, version, variation string) (*dagger.ImageCommon, error) {
	image, plan, err := m.image(ctx, version, variation)
	if err != nil {
		return nil, err
	}
	root, err := m.tree(ctx, "root", variation)
	if err != nil {
		return nil, err
	}
	initrd, err := m.unpacked(ctx, "initrd", variation)
	if err != nil {
		return nil, err
	}
	microcode, err := m.unpacked(ctx, "microcode", variation)
	if err != nil {
		return nil, err
	}
	contents, err := m.contents(ctx, variation)
	if err != nil {
		return nil, err
	}
	return image.Unsigned(root.Files(), initrd.Files(), microcode.Files(), kernel, m.kept(m.Trees), m.onDevice(), contents, m.account(), plan.text), nil
}

// contents returns which package each file of the sets that are unpacked only is of.
func (m *Mangos) contents(ctx context.Context, variation string) (*dagger.Directory, error) {
	all := dag.Directory()
	for _, set := range []string{"initrd", "microcode"} {
		selection, err := m.selection(ctx, set)
		if err != nil {
			return nil, err
		}
		all = all.WithDirectory(set, m.debianWith(m.PackageCache).Contents(selection, dagger.DebianContentsOpts{Variation: variation}))
	}
	return all, nil
}

// account returns what a bill of materials is made with.
func (m *Mangos) account() *dagger.Directory {
	return m.kept(dag.Directory().
		WithFile("debian.lock.json", m.Locked).
		WithFile("debian.sources.json", m.Identities).
		WithFile("go.sum", m.Source.File("go.sum")).
		WithFile("go.mod", m.Source.File("go.mod")).
		WithDirectory("format", m.Source.Directory("format")).
		WithDirectory("runtime", m.Source.Directory("runtime"))).
		WithFile("attest", m.program("attest"))
}

// onDevice returns our own programs in their places in the root and the initrd.
func (m *Mangos) onDevice() *dagger.Directory {
	const place = "/usr/lib/mangos/"
	return dag.Directory().
		WithFile("initrd"+place+"gate", m.program("gate")).
		WithFile("initrd"+place+"failure", m.program("failure")).
		WithFile("root"+place+"extension", m.program("extension")).
		WithFile("root"+place+"failure", m.program("failure"))
}
