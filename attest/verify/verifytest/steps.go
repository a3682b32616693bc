package verifytest

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/dirhash"

	"github.com/mastercard/mangos/attest/internal/oracle"
	"github.com/mastercard/mangos/attest/record"
	"github.com/mastercard/mangos/attest/sbom"
	"github.com/mastercard/mangos/format/pcr"
	"github.com/mastercard/mangos/format/uki"
	"github.com/mastercard/mangos/format/uki/ukitest"
	"github.com/mastercard/mangos/format/verity"
	"github.com/mastercard/mangos/modules/debian/archive"
	"github.com/mastercard/mangos/modules/debian/debtest"
	"github.com/mastercard/mangos/modules/debian/lock"
	"github.com/mastercard/mangos/modules/debian/origin"
	"github.com/mastercard/mangos/modules/image/disk"
	"github.com/mastercard/mangos/modules/image/initrd"
	"github.com/mastercard/mangos/modules/image/plan"
	"github.com/mastercard/mangos/modules/image/release"
	"github.com/mastercard/mangos/modules/image/sign"
	"github.com/mastercard/mangos/modules/image/unified"
	"github.com/mastercard/mangos/modules/image/unsigned"
	"github.com/mastercard/mangos/modules/kernel/artifact"
	"github.com/mastercard/mangos/modules/kernel/kerneltest"
)

const definition = `distribution-default = "test"
[distribution.test]
architecture = "amd64"
[distribution.test.archives.test]
home = "http://home.invalid/{timestamp}/"
[[distribution.test.suites]]
name = "s"
archive = "test"
components = ["main"]
keys = ["archive.asc"]
signers = ["%s"]
`

// sets are the package sets of the lock.
var sets = []string{"build", "imagetools", "initrd", "microcode", "root"}

// steps makes everything, step by step, and a record of each.
func (w *World) steps(t testing.TB, content string) {
	t.Helper()
	l := w.lock(t)
	w.step(t, "source", nil, map[string][]byte{
		"source/debian.lock.json": w.Files[Name+"_"+Version+".lock.json"], "source/mangos.toml": w.bytes["definition"],
		"source/debian.sources.json": w.Files[Name+"_"+Version+".sources.json"],
		"source/go.sum":              w.Files[Name+"_"+Version+".go.sum"], "source/go.mod": []byte("module x\n"),
		"source/modules/kernel/config/a.config":  []byte("CONFIG_64BIT=y\n"),
		"source/modules/image/tree/root/etc/x":   []byte("x"),
		"source/modules/image/tree/initrd/init":  []byte("usr/lib/systemd/systemd"),
		"source/modules/debian/keys/archive.asc": w.archive.Public(t),
		"source/attest/cmd/record/main.go":       []byte("package main\n"),
		"source/format/x.go":                     []byte("package x\n"),
		"source/runtime/x.go":                    []byte("package x\n"),
	})
	w.step(t, "toolchain", []string{"source/go.mod"}, map[string][]byte{"toolchain.tree": []byte("go")})
	w.step(t, "modules", []string{"source/go.mod", "source/go.sum"}, map[string][]byte{moduleItem: w.read(t, w.path(moduleArchive))})
	w.programs(t)
	selections := map[string][]byte{}
	for _, set := range append([]string{"source-linux"}, sets...) {
		selections["selection/"+set+".json"] = []byte(set)
	}
	w.step(t, "lock", []string{"source/debian.lock.json", "source/mangos.toml", "program/debian", "program/sandbox", "program/record"}, selections)
	name := Name + "_" + Version + origin.Suffix
	w.step(t, "origin", []string{"source/debian.lock.json", "source/mangos.toml", "source/modules/debian/keys/archive.asc", "program/debian", "program/sandbox", "program/record"}, map[string][]byte{name: w.Files[name]})
	w.packages(t, l)
	w.plan(t)
	w.step(t, "kernel", append(w.tools("build", "kernel"), append(w.locked("source-linux"), "selection/source-linux.json", "source/modules/kernel/config/a.config")...), w.compiled(t))
	w.step(t, "kernel-packed", append(w.tools("build", "kernel"), w.below("compiled/")...), w.packed(t))
	w.step(t, "certificate", append(w.below("kernel/"), "keys/verity.crt", "program/kernel", "program/sandbox", "program/record"), w.certified(t))
	root := w.root(t, l, content)
	w.sbom(t, l, content)
	w.boot(t, root)
	w.disk(t, root)
}

// lock makes the lock of an archive with a package for each set, go.sum, and the
// indexes that the archive signed.
func (w *World) lock(t testing.TB) *lock.Lock {
	t.Helper()
	digest := func(s string) string { sum := sha256.Sum256([]byte(s)); return hex.EncodeToString(sum[:]) }
	if Epoch != debtest.Date.Unix() {
		t.Fatalf("the archive is of the time %d", debtest.Date.Unix())
	}
	l := &lock.Lock{
		Format: lock.Format, Distribution: "test", Architecture: "amd64", SourceDateEpoch: Epoch,
		Archives: []lock.Archive{{Name: "test", Home: "http://home.invalid/"}}, Build: []string{"linux=6.12-1"},
	}
	var packages, sources strings.Builder
	source := func(name, version string) {
		l.Sources = append(l.Sources, lock.Source{Name: name, Version: version, Suite: "s", Files: []lock.File{{Path: "pool/" + name + ".dsc", Size: 1, SHA256: digest(name)}}})
		fmt.Fprintf(&sources, "Package: %s\nVersion: %s\nDirectory: pool\nChecksums-Sha256:\n %s 1 %s.dsc\n\n", name, version, digest(name), name)
	}
	for _, set := range sets {
		p := lock.Package{
			Name: "base-" + set, Version: "1:2+b1", Architecture: "amd64", Suite: "s", Path: "pool/base-" + set + ".deb",
			Size: 7, SHA256: digest(set), Source: "base-" + set, SourceVersion: "1:2+b1",
		}
		l.Packages = append(l.Packages, p)
		l.Sets = append(l.Sets, lock.Set{Name: set, Base: "none", Request: []string{p.Name}, Packages: []string{p.Name}})
		fmt.Fprintf(&packages, "Package: %s\nVersion: %s\nArchitecture: amd64\nFilename: %s\nSize: %d\nSHA256: %s\n\n", p.Name, p.Version, p.Path, p.Size, p.SHA256)
		source(p.Name, p.Version)
	}
	source("linux", "6.12-1")
	w.publish(t, l, map[string]string{"main/binary-amd64/Packages": packages.String(), "main/source/Sources": sources.String()})
	text, err := l.Encode()
	must(t, err)
	w.Files[Name+"_"+Version+".lock.json"] = text
	w.Files[Name+"_"+Version+".sources.json"], err = identities(l).Encode()
	must(t, err)
	w.sum = w.module(t)
	w.Files[Name+"_"+Version+".go.sum"] = fmt.Appendf(nil, "example.org/M v1.0.0 %s\nexample.org/M v1.0.0/go.mod h1:y=\n", w.sum)
	return l
}

// moduleArchive is the archive of a Go module, moduleItem what steps call it.
const (
	moduleArchive = "modules/example.org/!m/@v/v1.0.0.zip"
	moduleItem    = "go/example.org/M@v1.0.0.zip"
)

// module writes the archive, and returns the sum of what is in it.
func (w *World) module(t testing.TB) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	f, err := z.Create("example.org/M@v1.0.0/go.mod")
	must(t, err)
	_, err = f.Write([]byte("module example.org/M\n"))
	must(t, errors.Join(err, z.Close()))
	sum, err := dirhash.HashZip(w.write(t, moduleArchive, b.Bytes()), dirhash.Hash1)
	must(t, err)
	return sum
}

// publish signs a Release with these indexes, as the archive of the definition.
func (w *World) publish(t testing.TB, l *lock.Lock, texts map[string]string) {
	t.Helper()
	a := debtest.Archive{}
	a.Publish(t, debtest.Suite{
		Name: "s", Head: "Suite: s\nDate: " + debtest.Date.Format("Mon, 02 Jan 2006 15:04:05 UTC") + "\nComponents: main\n",
		Packages: map[string]string{"main": texts["main/binary-amd64/Packages"]}, Sources: map[string]string{"main": texts["main/source/Sources"]},
		Compression: ".gz", Architecture: "amd64",
	}, debtest.Date, w.archive)
	ring, err := archive.ReadKeyring([][]byte{w.archive.Public(t)}, []string{w.archive.Fingerprint()})
	must(t, err)
	signed := archive.Signed{"InRelease": a["dists/s/InRelease"]}
	r, err := ring.Verify(signed, debtest.Date.Add(time.Hour))
	must(t, err)
	suite := lock.Suite{Name: "s", Archive: "test", Date: r.Date.Format(time.RFC3339), Release: r.SHA256, Signers: r.Signers, Indexes: []lock.Index{}}
	must(t, suite.Keep(signed))
	indexes := origin.Indexes{"s": {}}
	for path, text := range texts {
		listed, _ := r.File(path + ".gz")
		suite.Indexes = append(suite.Indexes, lock.Index{Path: "dists/s/" + path + ".gz", SHA256: listed.SHA256})
		indexes["s"][path] = []byte(text)
	}
	l.Suites = []lock.Suite{suite}
	var b bytes.Buffer
	must(t, indexes.Write(&b))
	w.Files[Name+"_"+Version+origin.Suffix] = b.Bytes()
}

// programs makes the programs, under two that are among them.
func (w *World) programs(t testing.TB) {
	t.Helper()
	products := map[string][]byte{}
	for _, p := range []string{"attest", "debian", "extension", "gate", "image", "kernel", "record", "sandbox"} {
		products["program/"+p] = w.goProgram(t, p)
		w.item("program/"+p, products["program/"+p])
	}
	for from, to := range map[string]string{
		"record": "bootstrap/record", "sandbox": "bootstrap/sandbox",
		"extension": "device/root/" + extensionProgram, "gate": "device/initrd/" + gate,
	} {
		w.item(to, products["program/"+from])
	}
	inputs := []string{moduleItem, "toolchain.tree", "bootstrap/record", "bootstrap/sandbox", "source/go.sum", "source/go.mod"}
	for _, folder := range []string{"attest", "format", "runtime"} {
		inputs = append(inputs, w.below("source/"+folder+"/")...)
	}
	w.step(t, "programs", inputs, products)
}

// packages fetches and unpacks.
func (w *World) packages(t testing.TB, l *lock.Lock) {
	t.Helper()
	own := []string{"program/debian", "program/record", "program/sandbox"}
	for _, set := range append([]string{"source-linux"}, sets...) {
		var s *lock.Selection
		var err error
		if set == "source-linux" {
			s, err = l.SelectSource("linux")
		} else {
			s, err = l.Select(set)
		}
		must(t, err)
		r := w.ran(t, "packages-"+set, append(own, "selection/"+set+".json"))
		r.Caches = []string{"/cache"}
		all := map[string]record.Item{}
		for _, i := range record.Items(l) {
			all[i.Name] = i
		}
		for _, p := range record.Packages(s) {
			name := record.LockedName(p.Archive, p.Path)
			r.Products = append(r.Products, all[name])
			w.items[name] = all[name]
			w.bytes["set "+set] = append(append(w.bytes["set "+set], name...), '\n')
		}
		w.Records = append(w.Records, r)
		if set != "source-linux" {
			w.step(t, "tree-"+set, append(w.locked(set), append(own, "selection/"+set+".json")...), w.tree(set))
		}
	}
}

// commandLine is the kernel's, without the root hash.
const commandLine = "quiet panic=10"

// plan is what the steps that make the image know of the definition.
func (w *World) plan(t testing.TB) {
	t.Helper()
	p := plan.Plan{Name: Name, Version: Version, CommandLine: commandLine, Tries: 3, Microcode: true, ESPSize: 300 << 20, RootSize: 4 << 20, VeritySize: 1 << 20}
	text, err := p.JSON()
	must(t, err)
	w.step(t, "plan", append(w.tools("imagetools", "image"), "source/mangos.toml"), map[string][]byte{"plan.json": text})
}

// tree is what a set's packages become; of those that are unpacked only, there is
// dpkg's database apart.
func (w *World) tree(set string) map[string][]byte {
	files := map[string][]byte{set + ".tree": []byte("tree of " + set)}
	if set == "initrd" || set == "microcode" {
		files[set+".database.tree"] = []byte("database of " + set)
	}
	return files
}

// locked are the names of a set's files.
func (w *World) locked(set string) []string { return strings.Fields(string(w.bytes["set "+set])) }

// tools are the names of what a container with a set's packages and a program has.
func (w *World) tools(set, program string) []string {
	return append(w.locked(set), "selection/"+set+".json", "program/"+program, "program/sandbox", "program/record")
}

// below are the names of what was made in a folder.
func (w *World) below(prefix string) []string {
	var names []string
	for name := range w.items {
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	return names
}

// folder reads the files of a folder, under names below prefix.
func (w *World) folder(t testing.TB, dir, prefix string) map[string][]byte {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	files := map[string][]byte{}
	for _, e := range entries {
		files[prefix+e.Name()] = w.read(t, filepath.Join(dir, e.Name()))
	}
	return files
}

func (w *World) compiled(t testing.TB) map[string][]byte {
	t.Helper()
	must(t, kerneltest.WriteCompiled(w.path("compiled")))
	return w.folder(t, w.path("compiled"), "compiled/")
}

func (w *World) packed(t testing.TB) map[string][]byte {
	t.Helper()
	must(t, artifact.Pack(w.path("compiled"), w.path("kernel"), kerneltest.Compress))
	return w.folder(t, w.path("kernel"), "kernel/")
}

func (w *World) certified(t testing.TB) map[string][]byte {
	t.Helper()
	c, err := sign.ReadCertificate(w.Key("verity.crt"))
	must(t, err)
	must(t, artifact.Certify(w.path("kernel"), w.path("certified"), c.Raw))
	return w.folder(t, w.path("certified"), "certified/")
}

// root makes the root file system, its hash tree and the signature.
func (w *World) root(t testing.TB, l *lock.Lock, content string) verity.RootHash {
	t.Helper()
	for name, text := range w.rootFiles(content) {
		w.write(t, "tree/"+name, []byte(text))
	}
	must(t, os.Symlink(programLink, w.path("tree/etc/link")))
	document := w.installed(t, l, content)
	w.write(t, "tree/"+sbom.InstalledPath, document)
	w.step(t, "sbom-device", w.sbomInputs(), map[string][]byte{installedSBOM: document})
	oracle.Run(t, w.Work, "mkfs.erofs", "--quiet", "-T0", "--all-root", "-U", "00000000-0000-0000-0000-000000000000", w.path("root.erofs"), w.path("tree"))
	image := w.read(t, w.path("root.erofs"))
	tree, err := verity.Build(bytes.NewReader(image), int64(len(image)), verity.Salt())
	must(t, err)
	w.Names = release.Name(Name, Version, tree.Root, false)
	osRelease := []byte("ID=mangos\nPRETTY_NAME=\"mangos\"\nVERSION_ID=" + Version + "\nCONFEXT_LEVEL=1\n")
	w.write(t, "os-release", osRelease)
	w.write(t, "root.verity", tree.Bytes())
	w.write(t, "roothash", []byte(tree.Root.String()+"\n"))
	w.step(t, "erofs", append(w.tools("imagetools", "image"), "plan.json", installedSBOM, "root.tree", "source/modules/image/tree/root/etc/x", "device/root/"+extensionProgram),
		map[string][]byte{"root.erofs": image, "os-release": osRelease})
	w.step(t, "verity", append(w.tools("imagetools", "image"), "root.erofs"), map[string][]byte{"root.verity": tree.Bytes(), "roothash": w.read(t, w.path("roothash"))})
	return tree.Root
}

// boot makes the kernel image, normal form and signed.
func (w *World) boot(t testing.TB, root verity.RootHash) {
	t.Helper()
	ctx := context.Background()
	line, err := unified.CommandLine(root, commandLine)
	must(t, err)
	base := w.packInitrd(t)
	var appended bytes.Buffer
	must(t, initrd.Append(&appended, bytes.NewReader(base), line))
	w.step(t, "initrd", append(w.tools("imagetools", "image"), "initrd.tree", "source/modules/image/tree/initrd/init", "device/initrd/"+gate), map[string][]byte{"initrd.cpio": base})
	microcode := w.microcode(t)
	w.step(t, "microcode", append(w.tools("imagetools", "image"), "microcode.tree"), map[string][]byte{"microcode.cpio": microcode})
	sections := func(kernel []byte, more ...ukitest.Part) []byte {
		parts := ukitest.Parts(
			".osrel", string(w.bytes["os-release"]), ".cmdline", line, ".uname", "6.12.0-test", ".ucode", string(microcode),
			".linux", string(kernel), ".initrd", appended.String(),
		)
		program := ukitest.Image(append(parts, more...)...)
		if w.swapped == "stub" {
			program[ukitest.Headers] ^= 1
		}
		return program
	}
	normal := sections(w.bytes["kernel/bzImage"])
	files := map[string]string{}
	for name, content := range map[string][]byte{
		unsigned.Initrd: appended.Bytes(), unsigned.CommandLine: []byte(line), unsigned.UKI: normal, unsigned.Microcode: microcode,
		unsigned.Root: w.bytes["root.erofs"], unsigned.Tree: w.bytes["root.verity"], unsigned.RootHash: w.bytes["roothash"],
		unsigned.OSRelease: w.bytes["os-release"], unsigned.Vmlinux: w.bytes["kernel/vmlinux"], unsigned.BzImage: w.bytes["kernel/bzImage"],
		unsigned.Uname: w.bytes["kernel/release"], unsigned.SBOM: w.Files[sbomFile],
	} {
		files[name] = w.write(t, "unsigned/"+name, content)
	}
	m, err := unsigned.Describe(Name, Version, Epoch, root, files, w.path("kernel/ranges.json"))
	must(t, err)
	w.Files[w.Names.Unsigned], err = m.JSON()
	must(t, err)
	w.step(t, "uki", append(w.tools("imagetools", "image"), "kernel/vmlinux", "kernel/bzImage", "kernel/release", "kernel/ranges.json", "plan.json", "root.erofs", "os-release", "root.verity", "roothash", "initrd.cpio", "microcode.cpio", sbomFile),
		map[string][]byte{"initrd": appended.Bytes(), "cmdline": []byte(line), "uki.efi": normal, w.Names.Unsigned: w.Files[w.Names.Unsigned]})

	parsed, err := uki.Parse(normal)
	must(t, err)
	o := unified.Organisation{Kernel: w.bytes["certified/bzImage"], PCRPublic: w.read(t, w.Key("pcr.pub"))}
	phases, err := o.Predict(parsed)
	must(t, err)
	key, err := sign.OpenKey(w.Key("pcr.key"), nil)
	must(t, err)
	signatures, err := sign.Policies(ctx, phases, key, o.PCRPublic)
	must(t, err)
	banks := map[string][]pcr.Signature{"sha256": signatures}
	if w.bank != "" {
		banks[w.bank] = signatures
	}
	pcrsig, err := json.Marshal(banks)
	must(t, err)
	w.sign(t, "signed.efi", sections(o.Kernel, ukitest.Parts(".pcrpkey", string(o.PCRPublic), ".pcrsig", string(pcrsig))...))
	loader := ukitest.Image()
	if w.swapped == "loader" {
		loader[ukitest.Headers] ^= 1
	}
	w.sign(t, "boot.efi", loader)
	w.Files[w.Names.Image] = w.read(t, w.path("signed.efi"))
	w.Files[w.Names.PCRs], err = unified.Expect(Name, Version, phases).JSON()
	must(t, err)
	w.step(t, "sign-boot", append(w.tools("imagetools", "image"), "keys/secure-boot.crt"), map[string][]byte{"boot.efi": w.read(t, w.path("boot.efi"))})
	w.step(t, "sign", append(w.tools("imagetools", "image"), "plan.json", "uki.efi", "certified/bzImage", "keys/pcr.pub", "keys/secure-boot.crt"),
		map[string][]byte{w.Names.Image: w.Files[w.Names.Image], w.Names.PCRs: w.Files[w.Names.PCRs]})
}

// microcode makes the archive of microcode.
func (w *World) microcode(t testing.TB) []byte {
	t.Helper()
	for name, content := range microcodeFiles {
		if w.swapped == "microcode" {
			content += "x"
		}
		w.write(t, "microcode/"+name, []byte(content))
	}
	if w.swapped == "rest of microcode" {
		w.write(t, "microcode/usr/lib/firmware/intel-ucode/06-0f-08", []byte("\x01\x00\x00\x00 four"))
	}
	var b bytes.Buffer
	must(t, initrd.Microcode(&b, w.path("microcode")))
	return b.Bytes()
}

// sign signs an EFI program.
func (w *World) sign(t testing.TB, name string, program []byte) {
	t.Helper()
	key, err := sign.OpenKey(w.Key("secure-boot.key"), nil)
	must(t, err)
	c, err := sign.ReadCertificate(w.Key("secure-boot.crt"))
	must(t, err)
	must(t, sign.Program(context.Background(), w.write(t, "unsigned-"+name, program), w.path(name), key, c))
}

// disk makes the disk image and the files for updates.
func (w *World) disk(t testing.TB, root verity.RootHash) {
	t.Helper()
	ctx := context.Background()
	key, err := sign.OpenKey(w.Key("verity.key"), nil)
	must(t, err)
	c, err := sign.ReadCertificate(w.Key("verity.crt"))
	must(t, err)
	signature, err := sign.Verity(ctx, root, key, c)
	must(t, err)
	w.Files[w.Names.Signature], err = signature.Encode()
	must(t, err)
	w.step(t, "sign-verity", append(w.tools("imagetools", "image"), "roothash", "keys/verity.crt"), map[string][]byte{w.Names.Signature: w.Files[w.Names.Signature]})
	for _, tool := range []string{"xz", "zstd"} {
		oracle.Command(t, "", tool)
	}
	esp := map[string]string{
		fmt.Sprintf("EFI/Linux/%s+3.efi", w.Names.Entry): w.path("signed.efi"), "EFI/BOOT/BOOTX64.EFI": w.path("boot.efi"),
		"loader/loader.conf": w.write(t, "loader.conf", []byte("timeout 0\neditor no\nsecure-boot-enroll off\n")),
	}
	made := []string{"plan.json", "root.erofs", "root.verity", "boot.efi", w.Names.Signature, w.Names.Image}
	if w.extension != "" {
		w.extend(t)
		esp["mangos/extensions/org.confext.raw"] = w.path("org.confext.raw")
		made = append(made, w.Names.Org)
	}
	w.esp(t, esp)
	id, parts := disk.Bootable(root, Name+"_"+Version, [4]int64{0, verity.SignatureSize, 1 << 20, 4 << 20},
		[4]string{w.path("esp"), w.write(t, "signature", w.Files[w.Names.Signature]), w.path("root.verity"), w.path("root.erofs")})
	must(t, disk.Write(w.path("disk.raw"), 512, id, parts))
	must(t, release.Zstd(ctx, w.path("disk.raw"), w.path("disk.zst")))
	must(t, release.XZ(ctx, w.path("root.erofs"), w.path("root.xz")))
	must(t, release.XZ(ctx, w.path("root.verity"), w.path("verity.xz")))
	w.Files[w.Names.Disk] = w.read(t, w.path("disk.zst"))
	w.Files[w.Names.Root] = w.read(t, w.path("root.xz"))
	w.Files[w.Names.Tree] = w.read(t, w.path("verity.xz"))
	w.step(t, "disk", append(w.tools("imagetools", "image"), made...), map[string][]byte{w.Names.Disk: w.Files[w.Names.Disk]})
	w.step(t, "update", append(w.tools("imagetools", "image"), "plan.json", "root.erofs", "root.verity", "roothash"), map[string][]byte{w.Names.Root: w.Files[w.Names.Root], w.Names.Tree: w.Files[w.Names.Tree]})
}

// espSize is less than that of real ones.
const espSize = 8 << 20

// esp makes an EFI system partition.
func (w *World) esp(t testing.TB, files map[string]string) {
	t.Helper()
	contents := map[string][]byte{}
	for name, from := range files {
		contents[name] = w.read(t, from)
	}
	pieces, err := disk.ESPSpec(espSize, Epoch, contents).Make()
	must(t, err)
	image := make([]byte, espSize)
	for _, p := range pieces {
		copy(image[p.Offset:], p.Bytes)
	}
	w.write(t, "esp", image)
}
