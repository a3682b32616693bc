package trace

import (
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mastercard/mangos/attest/bundle"
	"github.com/mastercard/mangos/attest/dsse"
	"github.com/mastercard/mangos/attest/evidence"
	"github.com/mastercard/mangos/attest/layout"
	"github.com/mastercard/mangos/attest/pipeline"
	"github.com/mastercard/mangos/attest/policy"
	"github.com/mastercard/mangos/attest/provenance"
	"github.com/mastercard/mangos/attest/record"
	"github.com/mastercard/mangos/attest/sbom"
	"github.com/mastercard/mangos/attest/sourceid"
	"github.com/mastercard/mangos/attest/statement"
	"github.com/mastercard/mangos/format/dpkg"
	"github.com/mastercard/mangos/modules/debian/archive"
	"github.com/mastercard/mangos/modules/debian/debtest"
	"github.com/mastercard/mangos/modules/debian/lock"
)

const (
	entry    = "mangos_0.1"
	document = entry + ".spdx.json"
	builder  = "https://builder.example.com/"
)

// The programs that the image takes from the build machine's packages.
const (
	stub   = "usr/lib/systemd/boot/efi/linuxx64.efi.stub"
	loader = "usr/lib/systemd/boot/efi/systemd-bootx64.efi"
)

// world is a release with a small bill of materials, and the evidence of all steps.
type world struct {
	dir     string
	key     ed25519.PrivateKey
	policy  *policy.Policy
	lock    *lock.Lock
	archive *debtest.Key
	records []*record.Record
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// digest is a SHA-256 that stands for a name.
func digest(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:])
}

func write(t testing.TB, dir, name, content string) {
	t.Helper()
	must(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644))
}

// newWorld lays out the release.
func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{dir: t.TempDir(), archive: debtest.NewKey(t, 0)}
	var public crypto.PublicKey
	var err error
	public, w.key, err = ed25519.GenerateKey(nil)
	must(t, err)
	w.makeLock(t)
	lockText, err := w.lock.Encode()
	must(t, err)
	doc, err := sbom.Build(w.bill())
	must(t, err)
	text, err := sbom.Encode(doc)
	must(t, err)
	for name, content := range map[string]string{
		document: string(text), entry + ".lock.json": string(lockText), entry + ".raw.zst": "disk",
		"SHA256SUMS": digest(string(text)) + " *" + document + "\n" + digest("disk") + " *" + entry + ".raw.zst\n" + digest(string(lockText)) + " *" + entry + ".lock.json\n",
	} {
		write(t, w.dir, name, content)
	}
	w.policy = &policy.Policy{
		Statements: policy.Statements{Threshold: 1, Keys: []crypto.PublicKey{public}, Organisations: []string{"Example Bank"}, Builders: []string{builder}},
		Layout:     policy.Layout{Threshold: 1, Owners: []crypto.PublicKey{public}},
		Suites:     []policy.Suite{{Name: "trixie", Signers: []string{w.archive.Fingerprint()}, Keys: []string{string(w.archive.Public(t))}}},
	}
	selections := map[string]string{}
	for _, set := range []string{"root", "initrd", "microcode", "imagetools", "build", "source-linux"} {
		selections["selection/"+set+".json"] = digest(set)
	}
	w.record(map[string]map[string]string{
		"source": {
			"source/debian.lock.json": digest(string(lockText)), "source/go.mod": digest("go.mod"), "source/debian.sources.json": digest("sources"),
			"source/modules/image/tree/root/etc/issue": digest("etc/issue"), "source/modules/image/tree/initrd/etc/fstab": digest("etc/fstab"),
		},
		"lock":                  selections,
		"modules":               {module: digest(module)},
		"programs":              programs(),
		"packages-root":         fetched("bash.deb", "stdc.deb"),
		"packages-build":        fetched("bash.deb", "gcc.deb"),
		"packages-initrd":       fetched("bash.deb"),
		"packages-imagetools":   fetched("bash.deb", "boot.deb"),
		"packages-microcode":    fetched("ucode.deb"),
		"packages-source-linux": fetched("linux.dsc", "linux.orig.tar.xz"),
		"disk":                  {entry + ".raw.zst": digest("disk")},
		"sbom":                  {document: digest(string(text))},
	})
	w.state(t)
	return w
}

// programs are the gate and those that steps run.
func programs() map[string]string {
	made := map[string]string{"program/gate": digest("usr/lib/mangos/gate")}
	for _, name := range []string{"attest", "debian", "image", "kernel", "record", "sandbox"} {
		made["program/"+name] = digest(name)
	}
	return made
}

// makeLock makes a lock, and the Release that it holds.
func (w *world) makeLock(t testing.TB) {
	t.Helper()
	a := debtest.Archive{}
	a.Publish(t, debtest.Suite{
		Name: "trixie", Head: "Suite: trixie\nDate: " + debtest.Date.Format("Mon, 02 Jan 2006 15:04:05 UTC") + "\nComponents: main\n",
		Packages: map[string]string{"main": ""}, Compression: ".gz", Architecture: "amd64",
	}, debtest.Date, w.archive)
	ring, err := archive.ReadKeyring([][]byte{w.archive.Public(t)}, []string{w.archive.Fingerprint()})
	must(t, err)
	signed := archive.Signed{"InRelease": a["dists/trixie/InRelease"]}
	r, err := ring.Verify(signed, debtest.Date.Add(time.Hour))
	must(t, err)
	suite := lock.Suite{Name: "trixie", Archive: "debian", Date: r.Date.Format(time.RFC3339), Release: r.SHA256, Signers: r.Signers, Indexes: []lock.Index{}}
	must(t, suite.Keep(signed))
	w.lock = &lock.Lock{
		Format: lock.Format, Distribution: "debian", Architecture: "amd64", SourceDateEpoch: 1, Build: []string{"linux=6.12.1-1"},
		Archives: []lock.Archive{{Name: "debian", Home: "http://home.invalid/debian/1/"}}, Suites: []lock.Suite{suite},
	}
	for _, p := range [][4]string{
		{"bash", "5.2-2+b1", "bash.deb", "bash=5.2-2"}, {"libstdc++6", "14", "stdc.deb", "gcc=14"},
		{"systemd-boot-efi", "257", "boot.deb", "systemd=257"}, {"intel-microcode", "3", "ucode.deb", "intel-microcode=3"},
	} {
		source, version, _ := strings.Cut(p[3], "=")
		w.lock.Packages = append(w.lock.Packages, lock.Package{
			Name: p[0], Version: p[1], Architecture: "amd64", Suite: "trixie", Path: "pool/" + p[2], Size: 1, SHA256: digest(p[2]), Source: source, SourceVersion: version,
		})
	}
	for _, s := range [][]string{
		{"bash", "5.2-2", "bash.dsc", "bash.orig.tar.xz"}, {"gcc", "14", "gcc.dsc", "gcc.tar.xz"}, {"linux", "6.12.1-1", "linux.dsc", "linux.orig.tar.xz"},
		{"systemd", "257", "systemd.dsc"}, {"intel-microcode", "3", "ucode.dsc"},
	} {
		source := lock.Source{Name: s[0], Version: s[1], Suite: "trixie"}
		for _, f := range s[2:] {
			source.Files = append(source.Files, lock.File{Path: "pool/" + f, Size: 1, SHA256: digest(f)})
		}
		w.lock.Sources = append(w.lock.Sources, source)
	}
}

func file(path, owner, origin string) sbom.File {
	return sbom.File{Path: path, Digests: sbom.DigestsOf([]byte(path)), Package: owner, Origin: origin}
}

// programTree is what the program was compiled from.
var programTree = strings.Repeat("5e", 20)

// bill is what the bill of materials is made of: files of every kind.
func (w *world) bill() sbom.Input {
	program := file("usr/lib/mangos/gate", "", "")
	program.Source = &sourceid.Program{Files: []string{"go.mod", "go.sum"}, Tree: sourceid.Tree{ID: programTree}}
	program.Program = &buildinfo.BuildInfo{
		GoVersion: "go1.26.8", Path: "example.com/m/cmd/gate", Main: debug.Module{Path: "example.com/m", Version: "(devel)"},
		Deps: []*debug.Module{{Path: "example.com/Dep", Version: "v1.2.3", Sum: "h1:a="}, {Path: "example.com/new", Version: "v0.0.0-20260102030405-0123456789ab", Sum: "h1:b="}},
	}
	sh := file("usr/bin/sh", "", "in no package: made by step tree-root")
	sh.Link, sh.Target = true, "bash"
	commit := strings.Repeat("ab", 20)
	return sbom.Input{
		Name: "mangos", Version: "0.1", Epoch: 1767323045, Lock: w.lock,
		Sources: &sourceid.Set{Sources: []sourceid.Identity{
			{Name: "bash", Version: "5.2-2", Files: w.lock.Sources[0].Files, Level: sourceid.LevelCommit, Tree: "bash.orig.tar.xz",
				SWHID: "swh:1:dir:" + commit, Commit: commit, CommitProof: "git archive", VcsGit: "https://example.com/bash.git", Tag: commit},
			{Name: "gcc", Version: "14", Files: w.lock.Sources[1].Files, Level: sourceid.LevelTree, Tree: "gcc.tar.xz", SWHID: "swh:1:dir:" + commit},
		}},
		Components: []sbom.Component{
			{
				Name: "root", Title: "root file system", LeftOut: sbom.InstalledPath,
				Packages:  []dpkg.Package{{Name: "bash", Version: "5.2-2+b1"}, {Name: "libstdc++6", Version: "14"}},
				Copyright: map[string][]byte{"bash": []byte("Format: x\n\nFiles: *\nLicense: GPL-3+ and own\n\nLicense: own\n Do <as> you like.\n")},
				Files: []sbom.File{
					file("etc/issue", "", "in no package: modules/image/tree/root of the repository (step source)"),
					file("etc/ld.so.cache", "", "in no package: made by step tree-root, by maintainer scripts and dpkg while the packages were configured"),
					file("etc/motd", "", "in no package: made by step tree-root"),
					file("etc/os-release", "", "in no package: made by step erofs, which puts the image together"),
					sh, file("usr/bin/bash", "bash", ""), program,
					file("usr/share/doc/sbom", "", "in no package: this product's bill of materials, without itself (step sbom-device)"),
					file("usr/share/ü", "libstdc++6", "not as the package brought it: made by step erofs"),
				},
				Artifact: &sbom.Artifact{Name: "root.erofs", SHA256: digest("root.erofs")},
			},
			{
				Name: "initrd", Title: "initrd", Packages: []dpkg.Package{{Name: "bash", Version: "5.2-2+b1"}},
				Files: []sbom.File{
					file("etc/fstab", "", "in no package: modules/image/tree/initrd of the repository (step source)"),
					file("usr/lib/libc.so", "bash", ""), file("usr/lib/none", "", "in no package: of step tree-initrd; no package lists it"), program,
				},
			},
			{
				Name: "microcode", Title: "processor microcode", Packages: []dpkg.Package{{Name: "intel-microcode", Version: "3"}},
				Files: []sbom.File{file("usr/lib/firmware/intel-ucode/06-0f-06", "intel-microcode", "")},
			},
			{
				Name: "boot", Title: "boot programs", Packages: []dpkg.Package{{Name: "systemd-boot-efi", Version: "257"}},
				Files: []sbom.File{file(stub, "systemd-boot-efi", ""), file(loader, "systemd-boot-efi", "")},
			},
			{
				Name: "kernel", Title: "kernel", Version: "6.12.1", Source: "linux=6.12.1-1", Comment: "Linux. Made by step kernel and step kernel-packed.",
				Files: []sbom.File{
					file("bzImage", "", "in no package: compiled from the kernel's source (step kernel-packed)"),
					file("vmlinux", "", "in no package: compiled from the kernel's source (step kernel)"),
				},
			},
		},
	}
}

// fetched are products of a step that fetches.
func fetched(names ...string) map[string]string {
	products := map[string]string{}
	for _, name := range names {
		products["locked/debian/pool/"+name] = digest(name)
	}
	return products
}

// record makes the records of all steps of the pipeline: what each one made, and what the
// pipeline allows it to use of that.
func (w *world) record(made map[string]map[string]string) {
	products := map[string]map[string]string{pipeline.Organisation: {
		"keys/verity.crt": digest("verity.crt"), "keys/secure-boot.crt": digest("db.crt"), "keys/pcr.pub": digest("pcr.pub"),
	}}
	w.records = nil
	for _, s := range pipeline.Standard().Steps {
		r := &record.Record{
			Format: record.Format, Step: s.Name, Materials: []record.Item{},
			Started: "2026-01-02T03:04:05Z", Finished: "2026-01-02T04:04:05Z",
		}
		own := map[string]string{}
		for name, sum := range made[s.Name] {
			own[name] = sum
		}
		for _, p := range s.Products {
			name := strings.ReplaceAll(strings.Replace(p.Pattern, "*.", entry+".", 1), "*", "x")
			if p.Required && own[name] == "" || len(own) == 0 {
				own[name] = digest(name)
			}
		}
		products[s.Name] = own
		seen := map[string]bool{}
		for _, m := range s.Materials {
			for product, sum := range products[m.From] {
				name := product
				if m.In != "" {
					name = m.In + strings.TrimPrefix(product, m.As)
				}
				if source, ok := m.Source(name); ok && source == product && !seen[name] {
					seen[name] = true
					i := item(name, sum)
					if m.From == "programs" && m.In == "" || m.From == "lock" {
						i.Use = record.Tool
					}
					r.Materials = append(r.Materials, i)
				}
			}
		}
		for name, sum := range own {
			r.Products = append(r.Products, item(name, sum))
		}
		w.records = append(w.records, r)
	}
}

// item is an input or product, with the purl that some have.
func item(name, sum string) record.Item {
	i := record.Item{Name: name, SHA256: sum, Size: 1}
	if strings.HasPrefix(name, lockedFolder) {
		i.URI = "pkg:deb/debian/" + strings.TrimSuffix(filepath.Base(name), ".deb") + "@1.0?arch=amd64&distro=trixie"
	} else if name == module {
		i.URI = "pkg:golang/example.com/dep@v1.2.3"
	}
	return i
}

// module is the archive of a Go module.
const module = "go/example.com/dep@v1.2.3.zip"

// options are how the evidence is made.
func (w *world) options() evidence.Options {
	return evidence.Options{Name: entry, Builder: provenance.Builder{ID: builder}, Pipeline: pipeline.Standard(), Expires: time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC), Key: w.key}
}

// state writes the evidence of the records, whether they fit together or not.
func (w *world) state(t testing.TB) {
	t.Helper()
	o := w.options()
	l, err := layout.New(o.Pipeline, []crypto.PublicKey{w.key.Public()}, 1, o.Expires)
	must(t, err)
	data, err := layout.Sign(l, w.key)
	must(t, err)
	write(t, w.dir, layout.FileName, string(data))
	for _, r := range w.records {
		name, data, err := layout.SignLink(layout.NewLink(r), w.key)
		must(t, err)
		write(t, w.dir, name, string(data))
		w.statement(t, r, evidence.StatementName(entry, r.Step), w.key)
	}
}

// statement writes the statement of a step, signed by key.
func (w *world) statement(t testing.TB, r *record.Record, name string, key ed25519.PrivateKey) {
	t.Helper()
	s, err := r.Statement(w.options().Builder)
	must(t, err)
	payload, err := s.Encode()
	must(t, err)
	e, err := dsse.Sign(statement.PayloadType, payload, key)
	must(t, err)
	data, err := bundle.Encode(e, key.Public())
	must(t, err)
	write(t, w.dir, name, string(data))
}

// of is the record of a step.
func (w *world) of(step string) *record.Record {
	return w.records[slices.IndexFunc(w.records, func(r *record.Record) bool { return r.Step == step })]
}

// checked are the options that hold the release against its policy.
func (w *world) checked() Options {
	return Options{Policy: w.policy, At: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)}
}

// relock changes the suite in the lock of the release.
func (w *world) relock(t testing.TB, change func(*lock.Suite)) {
	t.Helper()
	change(&w.lock.Suites[0])
	text, err := w.lock.Encode()
	must(t, err)
	write(t, w.dir, entry+".lock.json", string(text))
}

// remove removes the file of the release that a pattern matches. What it returns puts it
// back.
func (w *world) remove(t testing.TB, pattern string) func() {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(w.dir, pattern))
	must(t, err)
	if len(names) != 1 {
		t.Fatalf("files %s: %v", pattern, names)
	}
	content, err := os.ReadFile(names[0])
	must(t, err)
	must(t, os.Remove(names[0]))
	return func() { write(t, w.dir, filepath.Base(names[0]), string(content)) }
}

func open(t testing.TB, dir string, o Options) *Release {
	t.Helper()
	r, err := Open(dir, o)
	must(t, err)
	return r
}

// steps are the steps that a result names.
func steps(r *Result) string {
	var list []string
	for _, b := range r.Built {
		list = append(list, b.Step)
	}
	return strings.Join(list, " ")
}
