package verifytest

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // SPDX 2.3 wants it
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"io"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/mastercard/mangos/attest/sbom"
	"github.com/mastercard/mangos/format/cpio"
	"github.com/mastercard/mangos/format/dpkg"
	"github.com/mastercard/mangos/format/uki/ukitest"
	"github.com/mastercard/mangos/modules/debian/lock"
	"github.com/mastercard/mangos/modules/kernel/artifact"
)

// The files of the root, and the name of what lists them.
const (
	programLink = "../usr/bin/program"
	sbomFile    = Name + "_" + Version + ".spdx.json"
)

// dpkg's database in the root.
const (
	rootStatus    = "usr/lib/dpkg-db/status"
	rootList      = "usr/lib/dpkg-db/info/base-root.list"
	rootInstalled = "Package: base-root\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1:2+b1\n"
	rootOwns      = "/.\n/usr\n/usr/bin\n/usr/bin/program\n"
)

func program(content string) string { return strings.Repeat(content+"\n", 1000) }

// sbomInputs are what makes a bill of materials.
func (w *World) sbomInputs() []string {
	return append(w.tools("imagetools"), "plan.json", "root.tree", "initrd.tree", "initrd.database.tree", "microcode.tree",
		"source/debian.lock.json", "source/debian.sources.json", "source/go.sum", "device/root/usr/lib/mangos/extension", "program/attest")
}

// sbom makes the bill of materials of the release.
func (w *World) sbom(t testing.TB, l *lock.Lock, content string) {
	t.Helper()
	doc, err := sbom.Build(w.input(l, content))
	must(t, err)
	w.Files[sbomFile], err = sbom.Encode(doc)
	must(t, err)
	w.step(t, "sbom", append(append(w.sbomInputs(), w.below("kernel/")...), "root.erofs"), map[string][]byte{sbomFile: w.Files[sbomFile]})
}

// input is what the bill of materials is made of.
func (w *World) input(l *lock.Lock, content string) sbom.Input {
	root := sbom.Component{
		Name: "root", Title: "root file system",
		Packages: []dpkg.Package{{Name: "base-root", Version: "1:2+b1"}},
		Files: []sbom.File{
			linkTo("etc/link", programLink), file("etc/x", "x"), file("usr/bin/program", program(content)),
			file(rootList, rootOwns), file(rootStatus, rootInstalled),
		},
		Artifact: &sbom.Artifact{Name: "root.erofs", SHA256: w.items["root.erofs"].SHA256},
	}
	root.Files[2].Package, root.Files[2].Origin = "base-root", ""
	root.Files[3].Package = "base-root"
	initrd := sbom.Component{
		Name: "initrd", Title: "initrd", Packages: []dpkg.Package{{Name: "base-initrd", Version: "1:2+b1"}},
	}
	for _, m := range initrdMembers {
		if m.name == gate {
			f := file(m.name, m.content)
			f.Origin, f.Program = "", &buildinfo.BuildInfo{
				GoVersion: "go1.26.8", Path: "example.org/x/gate", Main: debug.Module{Path: "example.org/x"},
				Deps: []*debug.Module{{Path: "example.org/M", Version: "v1.0.0", Sum: w.sum}},
			}
			initrd.Files = append(initrd.Files, f)
			continue
		}
		switch m.mode & cpio.TypeMask {
		case cpio.TypeRegular:
			initrd.Files = append(initrd.Files, file(m.name, m.content))
		case cpio.TypeSymlink:
			initrd.Files = append(initrd.Files, linkTo(m.name, m.content))
		}
	}
	kernel := sbom.Component{Name: "kernel", Title: "kernel", Version: "6.12", Source: "linux=6.12-1"}
	for _, name := range []string{artifact.BzImage, artifact.SystemMap, artifact.Config, artifact.Ranges, artifact.Release, artifact.Vmlinux} {
		kernel.Files = append(kernel.Files, file(name, string(w.bytes["kernel/"+name])))
	}
	boot := sbom.Component{Name: "boot", Title: "boot programs"}
	for _, name := range []string{"linuxx64.efi.stub", "systemd-bootx64.efi"} {
		boot.Files = append(boot.Files, file("usr/lib/systemd/boot/efi/"+name, string(ukitest.Image())))
	}
	microcode := sbom.Component{Name: "microcode", Title: "processor microcode"}
	for _, name := range slices.Sorted(maps.Keys(microcodeFiles)) {
		microcode.Files = append(microcode.Files, file(name, microcodeFiles[name]))
	}
	return sbom.Input{Name: Name, Version: Version, Epoch: Epoch, Lock: l, Components: []sbom.Component{root, initrd, microcode, boot, kernel}}
}

func file(path, content string) sbom.File {
	//nolint:gosec // SPDX 2.3 wants it
	one, two := sha1.Sum([]byte(content)), sha256.Sum256([]byte(content))
	return sbom.File{Path: path, SHA1: hex.EncodeToString(one[:]), SHA256: hex.EncodeToString(two[:]), Origin: "test"}
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

// gate is a program of the initrd.
const gate = "usr/gate"

// initrdMembers are what the initrd holds.
var initrdMembers = []struct {
	name, content string
	mode          uint32
}{
	{"etc", "", cpio.TypeDir | 0o755},
	{"etc/initrd-release", "ID=mangos\n", cpio.TypeRegular | 0o644},
	{"init", "usr/lib/systemd/systemd", cpio.TypeSymlink | 0o777},
	{"usr", "", cpio.TypeDir | 0o755},
	{gate, "program gate", cpio.TypeRegular | 0o755},
}

// packInitrd makes the initrd, without a command line.
func packInitrd(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	w := cpio.NewWriter(&b)
	for _, m := range initrdMembers {
		must(t, w.WriteHeader(&cpio.Header{Name: m.name, Mode: m.mode, Size: int64(len(m.content))}))
		_, err := io.WriteString(w, m.content)
		must(t, err)
	}
	must(t, w.Close())
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	must(t, err)
	defer z.Close()
	return z.EncodeAll(b.Bytes(), nil)
}
