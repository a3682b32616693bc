package sbom

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"

	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"
	"github.com/spdx/tools-golang/spdxlib"
	"golang.org/x/mod/module"

	"github.com/mastercard/mangos/attest/gosum"
	"github.com/mastercard/mangos/attest/sourceid"
	"github.com/mastercard/mangos/format/dpkg"
	"github.com/mastercard/mangos/modules/debian/lock"
)

var update = flag.Bool("update", false, "write the golden document anew")

// digest is a SHA-256 that stands for a name.
func digest(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:])
}

// file is a file whose content is its path.
func file(path, owner, origin string) File {
	sum := sha1.Sum([]byte(path))
	return File{Path: path, Digests: Digests{SHA1: hex.EncodeToString(sum[:]), SHA256: digest(path)}, Package: owner, Origin: origin}
}

// sample is a small image: everything that a document can hold is in it once.
func sample() Input {
	locked := func(name string) lock.File {
		return lock.File{Path: "pool/" + name, Size: 1, SHA256: digest(name)}
	}
	l := &lock.Lock{
		Distribution: "debian", Architecture: "amd64", Build: []string{"linux=6.12.1-1"},
		Archives: []lock.Archive{{Name: "debian", Home: "http://home.invalid/debian/1/"}},
		Suites: []lock.Suite{{
			Name: "trixie", Archive: "debian", Date: "2026-01-02T03:04:05Z", Release: digest("Release"), Signers: []string{"F1", "F2"},
		}},
		Packages: []lock.Package{
			{Name: "bash", Version: "5.2-2+b1", Architecture: "amd64", Suite: "trixie", Path: "pool/bash.deb", SHA256: digest("bash.deb"), Source: "bash", SourceVersion: "5.2-2"},
			{Name: "libstdc++6", Version: "14", Architecture: "amd64", Suite: "trixie", Path: "pool/stdc.deb", SHA256: digest("stdc.deb"), Source: "gcc", SourceVersion: "14"},
		},
		Sources: []lock.Source{
			{Name: "bash", Version: "5.2-2", Suite: "trixie", Files: []lock.File{locked("bash.dsc"), locked("bash.orig.tar.xz")}},
			{Name: "gcc", Version: "14", Suite: "trixie", Files: []lock.File{locked("gcc.dsc"), locked("gcc.tar.xz")}},
			{Name: "linux", Version: "6.12.1-1", Suite: "trixie", Files: []lock.File{locked("linux.dsc"), locked("linux.orig.tar.xz")}},
		},
	}
	program := file("usr/lib/mangos/gate", "", "")
	program.Program = &buildinfo.BuildInfo{
		GoVersion: "go1.26.8", Path: "example.com/m/cmd/gate", Main: debug.Module{Path: "example.com/m", Version: "(devel)"},
		Deps: []*debug.Module{
			{Path: "example.com/Dep", Version: "v1.2.3", Sum: "h1:a="},
			{Path: "example.com/new", Version: "v0.0.0-20260102030405-0123456789ab", Sum: "h1:b="},
		},
		Settings: []debug.BuildSetting{{Key: "-trimpath", Value: "true"}, {Key: "CGO_ENABLED", Value: "0"}, {Key: "GOOS", Value: "linux"}},
	}
	program.Source = &sourceid.Program{Files: []string{"cmd/gate/main.go", "go.mod", "go.sum"}, Tree: sourceid.Tree{ID: strings.Repeat("cd", 20)}}
	link := file("usr/bin/sh", "", "in no package: made by step tree-root")
	link.Link, link.Target = true, "bash"
	commit := strings.Repeat("ab", 20)
	return Input{
		Name: "mangos", Version: "0.1", Epoch: 1767323045, Lock: l,
		GoSum: gosum.Sums{
			{Path: "example.com/Dep", Version: "v1.2.3"}:                             "h1:a=",
			{Path: "example.com/new", Version: "v0.0.0-20260102030405-0123456789ab"}: "h1:b=",
		},
		Sources: &sourceid.Set{Sources: []sourceid.Identity{
			{Name: "bash", Version: "5.2-2", Files: l.Sources[0].Files, Level: sourceid.LevelCommit, Tree: "bash.orig.tar.xz",
				SWHID: "swh:1:dir:" + commit, Commit: commit, CommitProof: "git archive", VcsGit: "https://example.com/bash.git", Tag: commit},
			{Name: "gcc", Version: "14", Files: l.Sources[1].Files, Level: sourceid.LevelTree, Tree: "gcc.tar.xz", SWHID: "swh:1:dir:" + commit, Missing: []string{"gcc.dsc"}},
			// Of other files than those that are locked: it counts for nothing.
			{Name: "linux", Version: "6.12.1-1", Files: l.Sources[0].Files, Level: sourceid.LevelCommit, Commit: commit, CommitProof: "none"},
		}},
		Components: []Component{
			{
				Name: "root", Title: "root file system", LeftOut: InstalledPath,
				Packages: []dpkg.Package{{Name: "bash", Version: "5.2-2+b1"}, {Name: "libstdc++6", Version: "14"}},
				Copyright: map[string][]byte{
					"bash": []byte("Format: x\n\nFiles: *\nLicense: GPL-3+ and own\n\nLicense: own\n Do <as> you like.\n"),
				},
				Files: []File{
					file("etc/motd", "", "in no package: made by step tree-root"), link, file("usr/bin/bash", "bash", ""),
					program, file("usr/share/ü", "libstdc++6", "not as the package brought it: made by step erofs"),
				},
				Artifact: &Artifact{Name: "root.erofs", SHA256: digest("root.erofs")},
			},
			{
				Name: "kernel", Title: "kernel", Version: "6.12.1", Source: "linux=6.12.1-1", CPE: "cpe:2.3:o:linux:linux_kernel:6.12.1:*:*:*:*:*:*:*",
				Licence: kernelLicence, LicenceComment: kernelLicenceComment,
			},
		},
	}
}

func encode(t testing.TB, in Input) []byte {
	t.Helper()
	doc, err := Build(in)
	if err != nil {
		t.Fatal(err)
	}
	text, err := Encode(doc)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestGolden(t *testing.T) {
	got := encode(t, sample())
	golden := filepath.Join("testdata", "small.spdx.json")
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	was, is := strings.Split(string(want), "\n"), strings.Split(string(got), "\n")
	for i := range max(len(was), len(is)) {
		if i >= len(was) || i >= len(is) || was[i] != is[i] {
			t.Fatalf("the document changed at line %d (go test -update writes it anew):\nwas %s\nis  %s", i+1, at(was, i), at(is, i))
		}
	}
	checkSchema(t, got)
}

// TestSaid: each package says its supplier and licence, or that nobody has proven
// them; and why, of a licence.
func TestSaid(t *testing.T) {
	doc, err := Build(sample())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range doc.Packages {
		if p.PackageSupplier == nil || p.PackageSupplier.Supplier == "" || p.PackageLicenseDeclared == "" {
			t.Errorf("%s: supplier %v, licence %q", p.PackageSPDXIdentifier, p.PackageSupplier, p.PackageLicenseDeclared)
		}
		kind, _, _ := strings.Cut(string(p.PackageSPDXIdentifier), "-")
		if (kind == "module" || kind == "root") && p.PackageLicenseDeclared == noAssertion && p.PackageLicenseComments == "" {
			t.Errorf("%s does not say why it declares no licence", p.PackageSPDXIdentifier)
		}
	}
	if k := componentOf(doc, "kernel"); k.PackageLicenseDeclared != kernelLicence || k.PackageLicenseComments == "" {
		t.Errorf("kernel: %q, %q", k.PackageLicenseDeclared, k.PackageLicenseComments)
	}
}

// TestNoOwnLicence: what is said of our own programs is so.
func TestNoOwnLicence(t *testing.T) {
	for _, pattern := range []string{"LICEN*", "COPYING*"} {
		if found, err := filepath.Glob("../../" + pattern); err != nil || len(found) > 0 {
			t.Errorf("the repository has %q (%v): the programs' elements must declare its licence", found, err)
		}
	}
}

// TestTools: the library of the specification's authors reads the document, finds
// every element that a relationship names, and writes the same again.
func TestTools(t *testing.T) {
	text := encode(t, sample())
	doc, err := spdxjson.Read(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := spdxlib.ValidateDocument(doc); err != nil {
		t.Error(err)
	}
	var b bytes.Buffer
	if err := spdxjson.Write(doc, &b); err != nil {
		t.Fatal(err)
	}
	again, err := spdxjson.Read(&b)
	if err != nil {
		t.Fatal(err)
	}
	other, err := Encode(again)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(text, other) {
		t.Error("the document is another after the library has written it")
	}
}

// TestDeterministic: neither the order of the input nor another run shows.
func TestDeterministic(t *testing.T) {
	a, b := sample(), sample()
	l := b.Lock
	l.Packages[0], l.Packages[1] = l.Packages[1], l.Packages[0]
	l.Sources[0], l.Sources[2] = l.Sources[2], l.Sources[0]
	b.Components[0].Packages[0], b.Components[0].Packages[1] = b.Components[0].Packages[1], b.Components[0].Packages[0]
	if !bytes.Equal(encode(t, a), encode(t, b)) {
		t.Error("the order of the input shows in the document")
	}
	b.Components[0].Files[0].SHA256 = digest("other")
	x, y := encode(t, a), encode(t, b)
	if bytes.Equal(x[:400], y[:400]) {
		t.Error("two contents have one namespace")
	}
}

func TestRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Input)
		want   error
	}{
		"a package that is not locked":       {func(in *Input) { in.Components[0].Packages[0].Version = "6" }, ErrUnlocked},
		"a source that is not locked":        {func(in *Input) { in.Lock.Sources = in.Lock.Sources[1:] }, ErrUnlocked},
		"a suite that is not locked":         {func(in *Input) { in.Lock.Suites = nil }, ErrUnlocked},
		"a kernel of no locked source":       {func(in *Input) { in.Components[1].Source = "linux=7" }, ErrUnlocked},
		"a file of unknown origin":           {func(in *Input) { in.Components[0].Files[0].Origin = "" }, ErrFile},
		"a file without a digest":            {func(in *Input) { in.Components[0].Files[0].SHA256 = "" }, ErrFile},
		"a name that is no UTF-8":            {func(in *Input) { in.Components[0].Files[0].Path = "a\xff" }, ErrFile},
		"a name of two lines":                {func(in *Input) { in.Components[0].Files[0].Path = "a\nb" }, ErrFile},
		"a module that go.sum does not have": {func(in *Input) { delete(in.GoSum, module.Version{Path: "example.com/Dep", Version: "v1.2.3"}) }, ErrModule},
		"a module with another sum":          {func(in *Input) { in.GoSum[module.Version{Path: "example.com/Dep", Version: "v1.2.3"}] = "h1:x=" }, ErrModule},
		"a module without a sum":             {func(in *Input) { in.GoSum = nil; in.Components[0].Files[3].Program.Deps[0].Sum = "" }, ErrModule},
	} {
		in := sample()
		c.change(&in)
		if _, err := Build(in); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// TestParse: one document has one spelling.
func TestParse(t *testing.T) {
	text := encode(t, sample())
	doc, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if doc.DocumentName != "mangos_0.1" || len(doc.Files) != 5 {
		t.Errorf("%+v", doc)
	}
	for name, change := range map[string]func(string) string{
		"a changed digest":  func(s string) string { return strings.Replace(s, digest("etc/motd"), digest("x"), 1) },
		"another namespace": func(s string) string { return strings.Replace(s, "mangos_0.1/", "mangos_0.1/0", 1) },
		"a blank":           func(s string) string { return strings.Replace(s, `"name":`, `"name": `, 1) },
		"a doubled key":     func(s string) string { return strings.Replace(s, `"name":`, `"name":"x","name":`, 1) },
		"an unknown key":    func(s string) string { return strings.Replace(s, `"name":`, `"x":1,"name":`, 1) },
		"another order": func(s string) string {
			lines := strings.Split(s, "\n")
			lines[1], lines[2] = lines[2], lines[1]
			return strings.Join(lines, "\n")
		},
		"an escape":           func(s string) string { return strings.Replace(s, `"./etc/motd"`, `"./etc/mot\u0064"`, 1) },
		"something behind it": func(s string) string { return s + " " },
		"half of it":          func(s string) string { return s[:len(s)/2] },
		"nothing":             func(string) string { return "" },
	} {
		changed := change(string(text))
		if changed == string(text) {
			t.Fatalf("%s: nothing changed", name)
		}
		if _, err := Parse([]byte(changed)); !errors.Is(err, ErrDocument) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestParseGaps: nothing may stand where an element should.
func TestParseGaps(t *testing.T) {
	for name, change := range map[string]func(*spdx.Document){
		"a package":      func(doc *spdx.Document) { doc.Packages = append(doc.Packages, nil) },
		"a file":         func(doc *spdx.Document) { doc.Files = append(doc.Files, nil) },
		"a licence":      func(doc *spdx.Document) { doc.OtherLicenses = append(doc.OtherLicenses, nil) },
		"a relationship": func(doc *spdx.Document) { doc.Relationships = append(doc.Relationships, nil) },
		"a reference": func(doc *spdx.Document) {
			doc.Packages[0].PackageExternalReferences = []*spdx.PackageExternalReference{nil}
		},
	} {
		doc, err := Build(sample())
		if err != nil {
			t.Fatal(err)
		}
		change(doc)
		digest, err := contentDigest(doc)
		if err != nil {
			t.Fatal(err)
		}
		doc.DocumentNamespace = namespaceOf(doc, digest)
		text, err := Encode(doc)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse(text); !errors.Is(err, ErrDocument) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Open([]byte(`{"spdxVersion":"SPDX-2.3","packages":[null]}`)); !errors.Is(err, ErrDocument) {
		t.Errorf("in what an index reads: %v", err)
	}
}

func TestCompress(t *testing.T) {
	text := encode(t, sample())
	name := filepath.Join(t.TempDir(), "x.spdx.json.zst")
	if err := os.WriteFile(name, Compress(text), 0o644); err != nil {
		t.Fatal(err)
	}
	got, err := Read(name)
	if err != nil || !bytes.Equal(got, text) {
		t.Errorf("%v", err)
	}
	if _, err := read(name, int64(len(text))-1); !errors.Is(err, ErrDocument) {
		t.Errorf("more than can be read: %v", err)
	}
}

// TestDecompress: what is no compressed document, or a larger one than may be.
func TestDecompress(t *testing.T) {
	good := Compress(encode(t, sample()))
	for name, data := range map[string][]byte{
		"nothing of the kind": []byte("document"), "half of it": good[:len(good)/2], "something behind it": append(bytes.Clone(good), 'x'),
		"more than may be": Compress(make([]byte, 2<<20)),
	} {
		if _, err := decompress(bytes.NewReader(data), 1<<20); !errors.Is(err, ErrDocument) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRepeated: a document that was made is made anew without what only it says.
func TestRepeated(t *testing.T) {
	in := sample()
	doc, err := Build(in)
	if err != nil {
		t.Fatal(err)
	}
	in.Components[0].Copyright, in.said = nil, saidBy(doc)
	if err := CheckRebuilt(doc, &in); err != nil {
		t.Error(err)
	}
}

// FuzzRepeat: whatever a document says of licences and programs can be repeated.
func FuzzRepeat(f *testing.F) {
	f.Add(encode(f, sample()))
	f.Fuzz(func(t *testing.T, data []byte) {
		doc := &spdx.Document{}
		if unmarshal(data, doc) != nil {
			return
		}
		in := sample()
		in.said = saidBy(doc)
		CheckRebuilt(doc, &in)
	})
}

// TestFindByDigest: a file has one SHA-256, and is found by it alone.
func TestFindByDigest(t *testing.T) {
	doc, err := Build(sample())
	if err != nil {
		t.Fatal(err)
	}
	twice, other := doc.Files[0], doc.Files[2]
	twice.Checksums = append(twice.Checksums, common.Checksum{Algorithm: common.SHA256, Value: digest("x")})
	other.Checksums = append(other.Checksums, common.Checksum{Algorithm: common.SHA512, Value: digest("y")})
	text, err := Encode(doc)
	if err != nil {
		t.Fatal(err)
	}
	x, err := Open(text)
	if err != nil {
		t.Fatal(err)
	}
	for sum, want := range map[string]int{digest("etc/motd"): 0, digest("x"): 0, digest("y"): 0, digest("usr/bin/bash"): 1} {
		if list, err := x.FilesOf(sum); err != nil || len(list) != want {
			t.Errorf("%s: %d files, %v; want %d", sum, len(list), err, want)
		}
	}
}

// TestLongIdentifiers: what is looked for is found by all of its name.
func TestLongIdentifiers(t *testing.T) {
	end := strings.Repeat("x", 100)
	in := sample()
	for i := range in.Components[0].Packages {
		name := string("ab"[i]) + end
		in.Components[0].Packages[i].Name, in.Lock.Packages[i].Name = name, name
	}
	in.Components[0].Files = nil
	x, err := Open(encode(t, in))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a" + end, "b" + end} {
		p, err := x.Package(packageID("root", name))
		if err != nil || p == nil || p.PackageName != name {
			t.Errorf("%.4s: %+v, %v", name, p, err)
		}
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(encode(f, sample()))
	f.Fuzz(func(t *testing.T, data []byte) {
		x, err := Open(data)
		if err != nil {
			return
		}
		x.FilesAt("usr/bin/bash")
		x.FilesOf(digest("usr/bin/bash"))
		x.Package("root-deb-bash")
		x.To("root-deb-bash", "CONTAINS")
		Parse(data)
	})
}
