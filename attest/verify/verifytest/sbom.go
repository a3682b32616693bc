package verifytest

import (
	"bytes"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/mastercard/mangos/attest/sbom"
	"github.com/mastercard/mangos/attest/sourceid"
	"github.com/mastercard/mangos/format/cpio"
	"github.com/mastercard/mangos/format/dpkg"
	"github.com/mastercard/mangos/format/uki/ukitest"
	"github.com/mastercard/mangos/modules/debian/lock"
	"github.com/mastercard/mangos/modules/kernel/artifact"
)

// A link of the root, the name of what lists all files, and how steps name the one that
// the root holds.
const (
	programLink   = "../usr/bin/program"
	sbomFile      = Name + "_" + Version + ".spdx.json"
	installedSBOM = "document/" + sbom.InstalledPath
)

// dpkg's database in the root.
const (
	rootStatus    = "usr/lib/dpkg-db/status"
	rootList      = "usr/lib/dpkg-db/info/base-root.list"
	rootInstalled = "Package: base-root\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1:2+b1\n"
	rootOwns      = "/.\n/usr\n/usr/bin\n/usr/bin/program\n/usr/share/doc/base-root/copyright\n"
)

// Copyright files: that of the root's package stands in the root.
const (
	rootCopyright      = "usr/share/doc/base-root/copyright"
	rootLicence        = "Format: x\n\nFiles: *\nLicense: own\n\nLicense: own\n Do as you like.\n"
	microcodeCopyright = "Format: x\n\nFiles: *\nLicense: other\n\nLicense: other\n Do nothing.\n"
)

// Programs of ours, and where they are.
const (
	extensionProgram = "usr/lib/mangos/extension"
	gate             = "usr/lib/mangos/gate"
)

func program(content string) string { return strings.Repeat(content+"\n", 1000) }

// rootFiles are the files of the root besides its bill of materials, and a link.
func (w *World) rootFiles(content string) map[string]string {
	return map[string]string{
		"etc/x": "x", "usr/bin/program": program(content), rootStatus: rootInstalled, rootList: rootOwns,
		rootCopyright: rootLicence, extensionProgram: string(w.bytes["program/extension"]),
	}
}

// sbomInputs are what makes a bill of materials.
func (w *World) sbomInputs() []string {
	inputs := append(w.tools("imagetools", "image"), "plan.json", "root.tree", "initrd.tree", "initrd.database.tree", "microcode.tree",
		"microcode.database.tree", "source/debian.lock.json", "source/debian.sources.json", "source/go.sum", "source/go.mod",
		"device/root/"+extensionProgram, "device/initrd/"+gate, "program/attest")
	for _, folder := range []string{"modules/image/tree", "format", "runtime"} {
		inputs = append(inputs, w.below("source/"+folder+"/")...)
	}
	return inputs
}

// installed is the bill of materials that the root holds.
func (w *World) installed(t testing.TB, l *lock.Lock, content string) []byte {
	t.Helper()
	in := sbom.Installed(w.input(t, l, content))
	if w.installs != nil {
		w.installs(&in)
	}
	doc, err := sbom.Build(in)
	must(t, err)
	text, err := sbom.Encode(doc)
	must(t, err)
	return sbom.Compress(text)
}

// sbom makes the bill of materials of the release.
func (w *World) sbom(t testing.TB, l *lock.Lock, content string) {
	t.Helper()
	doc, err := sbom.Build(w.input(t, l, content))
	must(t, err)
	w.Files[sbomFile], err = sbom.Encode(doc)
	must(t, err)
	w.step(t, "sbom", append(append(w.sbomInputs(), w.below("kernel/")...), "root.erofs", installedSBOM), map[string][]byte{sbomFile: w.Files[sbomFile]})
}

// programSource is what the programs count as compiled from.
var programSource = &sourceid.Program{Files: []string{"go.mod", "go.sum"}, Tree: sourceid.Tree{ID: strings.Repeat("5e", 20)}}

// input is what the bill of materials is made of.
func (w *World) input(t testing.TB, l *lock.Lock, content string) sbom.Input {
	t.Helper()
	root := sbom.Part("root")
	root.Packages = []dpkg.Package{{Name: "base-root", Version: "1:2+b1"}}
	root.Copyright = map[string][]byte{"base-root": []byte(rootLicence)}
	root.Files = []sbom.File{linkTo("etc/link", programLink), file(sbom.InstalledPath, string(w.bytes[installedSBOM]))}
	for name, text := range w.rootFiles(content) {
		f := file(name, text)
		switch name {
		case extensionProgram:
			f.Origin, f.Program, f.Source = "", build(t, []byte(text)), programSource
		case "usr/bin/program", rootCopyright:
			f.Package, f.Origin = "base-root", ""
		case rootList:
			f.Package = "base-root"
		}
		root.Files = append(root.Files, f)
	}
	slices.SortFunc(root.Files, func(x, y sbom.File) int { return strings.Compare(x.Path, y.Path) })
	root.Artifact = &sbom.Artifact{Name: "root.erofs", SHA256: w.items["root.erofs"].SHA256}
	initrd := sbom.Part("initrd")
	initrd.Packages = []dpkg.Package{{Name: "base-initrd", Version: "1:2+b1"}}
	for _, m := range w.initrdMembers() {
		switch {
		case m.name == gate:
			f := file(m.name, m.content)
			f.Origin, f.Program, f.Source = "", build(t, []byte(m.content)), programSource
			initrd.Files = append(initrd.Files, f)
		case m.mode&cpio.TypeMask == cpio.TypeRegular:
			initrd.Files = append(initrd.Files, file(m.name, m.content))
		case m.mode&cpio.TypeMask == cpio.TypeSymlink:
			initrd.Files = append(initrd.Files, linkTo(m.name, m.content))
		}
	}
	return sbom.Input{
		Name: Name, Version: Version, Epoch: l.SourceDateEpoch, Lock: l, Sources: identities(l),
		Components: []sbom.Component{root, initrd, microcodePart(), bootPart(), w.kernelPart()},
	}
}

// identities are those of two of the sources.
func identities(l *lock.Lock) *sourceid.Set {
	id := strings.Repeat("ab", 20)
	set := &sourceid.Set{}
	for _, s := range l.Sources {
		switch s.Name {
		case "base-root":
			set.Sources = append(set.Sources, sourceid.Identity{
				Name: s.Name, Version: s.Version, Files: s.Files, Level: sourceid.LevelCommit, Tree: "x.tar", SWHID: "swh:1:dir:" + id,
				Commit: id, CommitProof: "git archive", VcsGit: "https://example.org/x.git",
			})
		case "linux":
			set.Sources = append(set.Sources, sourceid.Identity{Name: s.Name, Version: s.Version, Files: s.Files, Level: sourceid.LevelTree, Tree: "y.tar", SWHID: "swh:1:dir:" + id})
		}
	}
	return set
}

func (w *World) kernelPart() sbom.Component {
	c := sbom.Kernel("linux=6.12-1", strings.TrimSpace(string(w.bytes["kernel/release"])))
	for _, name := range []string{artifact.BzImage, artifact.SystemMap, artifact.Config, artifact.Ranges, artifact.Release, artifact.Vmlinux} {
		c.Files = append(c.Files, file(name, string(w.bytes["kernel/"+name])))
	}
	slices.SortFunc(c.Files, func(x, y sbom.File) int { return strings.Compare(x.Path, y.Path) })
	return c
}

func bootPart() sbom.Component {
	c := sbom.Part("boot")
	c.Packages = []dpkg.Package{{Name: "base-imagetools", Version: "1:2+b1"}}
	for _, name := range []string{"linuxx64.efi.stub", "systemd-bootx64.efi"} {
		f := file("usr/lib/systemd/boot/efi/"+name, string(ukitest.Image()))
		f.Package, f.Origin = "base-imagetools", ""
		c.Files = append(c.Files, f)
	}
	return c
}

func microcodePart() sbom.Component {
	c := sbom.Part("microcode")
	c.Packages = []dpkg.Package{{Name: "base-microcode", Version: "1:2+b1"}}
	c.Copyright = map[string][]byte{"base-microcode": []byte(microcodeCopyright)}
	for _, name := range slices.Sorted(maps.Keys(microcodeFiles)) {
		f := file(name, microcodeFiles[name])
		f.Package, f.Origin = "base-microcode", ""
		c.Files = append(c.Files, f)
	}
	return c
}

func file(path, content string) sbom.File {
	return sbom.File{Path: path, Digests: sbom.DigestsOf([]byte(content)), Origin: "test"}
}

func linkTo(path, target string) sbom.File {
	f := file(path, target)
	f.Link, f.Target = true, target
	return f
}

// microcodeFiles are what packages have of microcode.
var microcodeFiles = map[string]string{
	"usr/lib/firmware/amd-ucode/microcode_amd.bin":        "DMA\x00 family 10",
	"usr/lib/firmware/amd-ucode/microcode_amd_fam15h.bin": "DMA\x00 family 15",
	"usr/lib/firmware/intel-ucode/06-0f-06":               "\x01\x00\x00\x00 one \x01\x00\x00\x00 two",
	"usr/lib/firmware/intel-ucode/06-0f-07":               "\x01\x00\x00\x00 three",
}

// member is one of an archive.
type member struct {
	name, content string
	mode          uint32
}

// initrdMembers are what the initrd holds.
func (w *World) initrdMembers() []member {
	return []member{
		{"etc", "", cpio.TypeDir | 0o755},
		{"etc/initrd-release", "ID=mangos\n", cpio.TypeRegular | 0o644},
		{"init", "usr/lib/systemd/systemd", cpio.TypeSymlink | 0o777},
		{"usr", "", cpio.TypeDir | 0o755},
		{"usr/lib", "", cpio.TypeDir | 0o755},
		{"usr/lib/mangos", "", cpio.TypeDir | 0o755},
		{gate, string(w.bytes["program/gate"]), cpio.TypeRegular | 0o755},
	}
}

// packInitrd makes the initrd, without a command line.
func (w *World) packInitrd(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	archive := cpio.NewWriter(&b)
	for _, m := range w.initrdMembers() {
		must(t, archive.WriteHeader(&cpio.Header{Name: m.name, Mode: m.mode, Size: int64(len(m.content))}))
		_, err := io.WriteString(archive, m.content)
		must(t, err)
	}
	must(t, archive.Close())
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	must(t, err)
	defer z.Close()
	return z.EncodeAll(b.Bytes(), nil)
}
