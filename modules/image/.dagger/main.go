// Image makes images of the device out of root file systems, a kernel and keys.
// Each function is a run or a few of the image program; what it depends on is in
// its arguments. Each step leaves a record of what went in and what came out
// (attest/record), for which its files lie in /in and /out under the names that
// they have in the record.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"

	"dagger/image/internal/dagger"
)

type Image struct {
	// The image program (modules/image/cmd/image).
	Program *dagger.File
	// The sandbox program (modules/sandbox).
	Sandbox *dagger.File
	// The record program (attest/cmd/record).
	Record *dagger.File
	// The root file system with the tools: package set "imagetools".
	Tools *dagger.Directory
	// The selection that it was made from.
	Selection *dagger.File
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
	// The record program, static (attest/cmd/record).
	record *dagger.File,
	// The root file system with the tools: package set "imagetools".
	tools *dagger.Directory,
	// The selection that it was made from.
	selection *dagger.File,
	// Seconds since 1970: every time in the images.
	epoch string,
	// Not empty: makes everything in another world (see modules/sandbox).
	// +optional
	variation string,
) *Image {
	return &Image{Program: program, Sandbox: sandbox, Record: record, Tools: tools, Selection: selection, Epoch: epoch, Variation: variation}
}

// The files of an unsigned set.
const (
	rootImage = "root.erofs"
	hashTree  = "root.verity"
	rootHash  = "roothash"
	osRelease = "os-release"
	normal    = "uki.efi"
)

// planFile is what the definition says of the image: its name, and where steps find it.
const (
	planFile = "plan.json"
	planPath = "/in/" + planFile
)

// Plan reads what the definition says of the image, plan.json, and refuses a version
// that labels cannot hold before anything is built. The other functions take its text:
// what they do is known by what it says, and not by how it was made.
func (m *Image) Plan(
	// mangos.toml.
	definition *dagger.File,
	// Another version than the definition's.
	// +optional
	version string,
) *Made {
	step := m.step("plan").file("source/mangos.toml", definition)
	args := []string{"plan", "--definition", "/in/source/mangos.toml", "--out", "/out/" + planFile}
	if version != "" {
		step.record = append(step.record, "--parameter", "version="+version)
		args = append(args, "--version", version)
	}
	return step.run(args...)
}

// Root returns the root file system image (root.erofs) and its os-release.
func (m *Image) Root(
	// The root file system of the package set "root".
	tree *dagger.Directory,
	// What is laid over it.
	overlay *dagger.Directory,
	// The programs, in their places.
	programs *dagger.Directory,
	// The bill of materials that it holds.
	bill *dagger.File,
	// The text of plan.json (see Plan).
	plan string,
) (*Made, error) {
	p, err := readPlan(plan)
	if err != nil {
		return nil, err
	}
	return m.step("erofs").plan(p).
		folder("root.tree", tree).
		folder("source/modules/image/tree/root", overlay).
		folder("device/root", programs).
		file(document+installed, bill).
		run("root", "--tree", "/in/root.tree", "--overlay", "/in/source/modules/image/tree/root", "--overlay", "/in/device/root",
			"--overlay", "/in/document", "--plan", planPath, "--out", "/out/"+rootImage, "--os-release", "/out/"+osRelease), nil
}

// Verity returns the hash tree (root.verity) and the root hash of an image.
func (m *Image) Verity(image *dagger.File) *Made {
	return m.step("verity").
		file(rootImage, image).
		run("verity", "--root", "/in/"+rootImage, "--tree", "/out/"+hashTree, "--root-hash", "/out/"+rootHash)
}

// Initrd returns the initrd (initrd.cpio), without the command line that belongs
// to a root.
func (m *Image) Initrd(
	// The unpacked package set "initrd".
	tree *dagger.Directory,
	// What is laid over it.
	overlay *dagger.Directory,
	// The programs, in their places.
	programs *dagger.Directory,
) *Made {
	return m.step("initrd").
		folder("initrd.tree", tree).
		folder("source/modules/image/tree/initrd", overlay).
		folder("device/initrd", programs).
		run("initrd", "--tree", "/in/initrd.tree", "--overlay", "/in/source/modules/image/tree/initrd",
			"--overlay", "/in/device/initrd", "--out", "/out/initrd.cpio")
}

// Microcode returns the early archive of processor microcode (microcode.cpio).
func (m *Image) Microcode(
	// The unpacked package set "microcode".
	tree *dagger.Directory,
) *Made {
	return m.step("microcode").
		folder("microcode.tree", tree).
		run("microcode", "--tree", "/in/microcode.tree", "--out", "/out/microcode.cpio")
}

// Common is what is the same for everybody, whatever their keys: the unsigned set, and
// root and hash tree as updates fetch them; with the records of all steps.
type Common struct {
	Files   *dagger.Directory
	Updates *dagger.Directory
	Records *dagger.Directory
}

// Unsigned returns what is the same for everybody, whatever their keys.
func (m *Image) Unsigned(
	ctx context.Context,
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
	// Which package each file is of: dpkg's databases in the folders initrd and
	// microcode.
	contents *dagger.Directory,
	// What the bill of materials is made with: attest, the program, and
	// debian.lock.json, debian.sources.json, go.sum and go.mod, and the folders format
	// and runtime of the repository, which the programs of the device are compiled from.
	account *dagger.Directory,
	// The text of plan.json (see Plan).
	plan string,
) (*Common, error) {
	p, err := readPlan(plan)
	if err != nil {
		return nil, err
	}
	x := &parts{root, initrd, microcode, overlays, programs, contents, account, p}
	device := m.deviceBill(x)
	image, err := m.Root(root, overlays.Directory("root"), programs.Directory("root"), device.Files.File(document+installed), plan)
	if err != nil {
		return nil, err
	}
	tree := m.Verity(image.Files.File(rootImage))
	base := m.Initrd(initrd, overlays.Directory("initrd"), programs.Directory("initrd"))
	material := m.releaseBill(x, device, image, kernel)
	args := []string{"unsigned", "--plan", planPath,
		"--root", "/in/" + rootImage, "--os-release", "/in/" + osRelease, "--tree", "/in/" + hashTree, "--root-hash", "/in/" + rootHash,
		"--initrd", "/in/initrd.cpio", "--kernel", "/in/kernel",
		"--sbom", "/in/" + p.bill(), "--out", "/out", "--manifest", "/out/" + p.manifest()}
	step := m.step("uki").plan(p).
		files("", image.Files, rootImage, osRelease).
		files("", tree.Files, hashTree, rootHash).
		files("", base.Files, "initrd.cpio").
		files("", material.Files, p.bill()).
		files("kernel/", kernel, "vmlinux", "bzImage", "release", "ranges.json")
	records, early := together(device, image, tree, base, material), dag.Directory()
	if p.Microcode {
		made := m.Microcode(microcode)
		step.files("", made.Files, "microcode.cpio")
		args = append(args, "--microcode", "/in/microcode.cpio")
		records, early = records.WithDirectory("/", made.Records), made.Files
	}
	made, updates := step.run(args...), m.updates(image.Files, tree.Files, p)
	// To compress takes long, and both processors: it begins when the root is there.
	if err := sideBySide(ctx, updates.Files, made.Files); err != nil {
		return nil, err
	}
	return &Common{
		Files: made.Files.
			WithFile(p.bill(), material.Files.File(p.bill())).
			WithDirectory("/", image.Files).
			WithDirectory("/", tree.Files).
			WithDirectory("/", early),
		Updates: updates.Files,
		Records: records.WithDirectory("/", together(made, updates)),
	}, nil
}

// sideBySide makes folders at the same time.
func sideBySide(ctx context.Context, folders ...*dagger.Directory) error {
	made := make(chan error)
	for _, folder := range folders {
		go func() {
			_, err := folder.Sync(ctx)
			made <- err
		}()
	}
	var errs []error
	for range folders {
		errs = append(errs, <-made)
	}
	return errors.Join(errs...)
}

// updates returns root and hash tree, compressed, as updates fetch them. No key
// has a part in it.
func (m *Image) updates(image, tree *dagger.Directory, p plan) *Made {
	return m.step("update").plan(p).
		files("", image, rootImage).
		files("", tree, hashTree, rootHash).
		run("split", "--root", "/in/"+rootImage, "--tree", "/in/"+hashTree, "--root-hash", "/in/"+rootHash,
			"--plan", planPath, "--out", "/out")
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
	// The text of plan.json (see Plan).
	plan string,
	// The image is signed with try-out keys.
	// +optional
	tryOut bool,
) (*dagger.File, error) {
	p, err := readPlan(plan)
	if err != nil {
		return nil, err
	}
	return m.container().
		WithMountedFile("/in/uki.efi", unsigned.File(normal)).
		WithMountedFile("/in/bzImage", bzImage).
		WithMountedFile("/in/pcr.pub", pcrPublic).
		WithMountedFile(planPath, p.file()).
		With(unrecorded("predict", "--normal-form", "/in/uki.efi", "--kernel", "/in/bzImage", "--pcr-public", "/in/pcr.pub",
			"--try-out="+strconv.FormatBool(tryOut), "--plan", planPath, "--out", "/out/pcrs.json")).
		Directory("/out").
		File("pcrs.json"), nil
}

// plan is what connecting the steps takes of plan.json, and its text for the steps.
type plan struct {
	Name, Version string
	Microcode     bool
	text          string
}

// file is plan.json, known by its content.
func (p plan) file() *dagger.File {
	return dag.Directory().WithNewFile(planFile, p.text).File(planFile)
}

// manifest is the name of the list of the unsigned set.
func (p plan) manifest() string { return p.Name + "_" + p.Version + ".unsigned.json" }

func readPlan(text string) (plan, error) {
	p := plan{text: text}
	err := json.Unmarshal([]byte(text), &p)
	return p, err
}
