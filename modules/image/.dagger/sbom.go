package main

import (
	"dagger/image/internal/dagger"
)

const (
	// document is the folder that has the bill of materials that the image itself
	// holds, in its place.
	document  = "document/"
	installed = "usr/share/mangos/sbom.spdx.json.zst"
	boot      = "/usr/lib/systemd/boot/efi/"
)

// parts are what an image is put together from.
type parts struct {
	root, initrd, microcode      *dagger.Directory
	overlays, programs, contents *dagger.Directory
	account                      *dagger.Directory
	plan                         plan
}

// bill returns a step that writes a bill of materials of the parts, and its
// command line.
func (m *Image) bill(name string, x *parts) (*step, []string) {
	s := m.step(name).plan(x.plan).
		file("program/attest", x.account.File("attest")).
		files("source/", x.account, "debian.lock.json", "debian.sources.json", "go.sum", "go.mod").
		folder("source/format", x.account.Directory("format")).
		folder("source/runtime", x.account.Directory("runtime")).
		folder("root.tree", x.root).
		folder("initrd.tree", x.initrd).
		folder("initrd.database.tree", x.contents.Directory("initrd")).
		folder("source/modules/image/tree", x.overlays).
		folder("device", x.programs)
	args := []string{programs + "attest", "sbom", "--plan", planPath,
		"--lock", "/in/source/debian.lock.json", "--sources", "/in/source/debian.sources.json", "--go-sum", "/in/source/go.sum",
		"--source", "/in/source",
		"--root", "/in/root.tree", "--root-overlay", "/in/source/modules/image/tree/root", "--root-programs", "/in/device/root",
		"--initrd", "/in/initrd.tree", "--initrd-database", "/in/initrd.database.tree",
		"--initrd-overlay", "/in/source/modules/image/tree/initrd", "--initrd-programs", "/in/device/initrd",
		"--boot", boot + "linuxx64.efi.stub", "--boot", boot + "systemd-bootx64.efi"}
	if x.plan.Microcode {
		s.folder("microcode.tree", x.microcode).folder("microcode.database.tree", x.contents.Directory("microcode"))
		args = append(args, "--microcode", "/in/microcode.tree", "--microcode-database", "/in/microcode.database.tree")
	}
	return s, args
}

// deviceBill returns the bill of materials that the image itself holds, in its
// place below "document". It is made before there is a root or a kernel.
func (m *Image) deviceBill(x *parts) *Made {
	s, args := m.bill("sbom-device", x)
	return s.runs(append(args, "--out", "/out/"+document+installed)...)
}

// releaseBill returns the bill of materials of a release.
func (m *Image) releaseBill(x *parts, device, root *Made, kernel *dagger.Directory) *Made {
	s, args := m.bill("sbom", x)
	return s.
		file(document+installed, device.Files.File(document+installed)).
		files("", root.Files, rootImage).
		files("kernel/", kernel, "vmlinux", "bzImage", "System.map", "config", "release", "ranges.json").
		runs(append(args, "--document", "/in/document", "--root-image", "/in/"+rootImage, "--kernel", "/in/kernel",
			"--out", "/out/"+x.plan.bill())...)
}

// bill is the name of the bill of materials in a release.
func (p plan) bill() string { return p.Name + "_" + p.Version + ".spdx.json" }
