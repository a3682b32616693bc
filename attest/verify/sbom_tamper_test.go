package verify_test

import (
	"bytes"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/in-toto/in-toto-golang/in_toto"
	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"

	"github.com/mastercard/mangos/attest/sbom"
	"github.com/mastercard/mangos/modules/image/unsigned"
)

// TestSBOMTampering: the bill of materials says something else, and statements,
// links, the list of the unsigned set and checksums agree with it. One check finds it,
// and no other.
func TestSBOMTampering(t *testing.T) {
	o := newOriginal(t)
	first := o.firsts()
	for _, row := range []struct {
		name   string
		change func(b *document)
		check  string
		detail string
	}{
		{"another digest of a file of the root", func(b *document) { b.anotherFile("root") }, "sbom", "check image: …in the list"},
		{"another digest of a file of the initrd", func(b *document) { b.anotherFile("initrd") }, "sbom", "check initrd: …in the list"},
		{"another digest of a file of the kernel", func(b *document) { b.anotherFile("kernel") }, "sbom", "check kernel: …in the list"},
		{"another target of a link of the initrd", func(b *document) { b.file("initrd", true).FileComment = "symbolic link to /" }, "sbom", "check initrd: …leads to"},
		{"a file of the initrd less", func(b *document) { b.withoutFile("initrd") }, "sbom", "check initrd: …not listed once"},
		{"a file of the kernel less", func(b *document) { b.withoutFile("kernel") }, "sbom", "check kernel: …not listed once"},
		{"a file of the initrd more", func(b *document) { b.file("initrd", false).FileName += "x" }, "sbom", "check initrd: …wrong identifier"},
		{"another digest of the boot loader", func(b *document) { b.anotherDigest(b.bootFile("systemd-bootx64.efi")) }, "sbom", "check boot: …systemd-bootx64.efi has…in the list"},
		{"another digest of the stub", func(b *document) { b.anotherDigest(b.bootFile("linuxx64.efi.stub")) }, "sbom", "check boot: …linuxx64.efi.stub has…in the list"},
		{"a boot program less", func(b *document) { b.withoutFile("boot") }, "sbom", "check boot: …not listed once"},
		{"another digest of a file of the microcode", func(b *document) { b.anotherFile("microcode") }, "sbom", "check microcode: …not what follows"},
		{"a file of the microcode less", func(b *document) { b.withoutFile("microcode") }, "sbom", "check microcode: "},
		{"a file of the microcode that is no microcode", func(b *document) { b.rename("microcode", "usr/lib/firmware/amd-ucode/README") }, "sbom", "check microcode: "},
		{"files of the root that are left out", func(b *document) {
			b.pkg("component-root").PackageVerificationCode.ExcludedFiles = []string{"./etc/x"}
		}, "sbom", "check image: the document leaves out"},
		{"another image of the root", func(b *document) { b.pkg("component-root").PackageChecksums[0].Value = zeros }, "sbom", "check root: its image"},
		{"a file in a package that does not own it", func(b *document) { b.move("component-root", "root-deb-") }, "sbom", "check owners: …is in root-deb-"},
		{"a file of a package in none", func(b *document) { b.move("root-deb-", "component-root") }, "sbom", "check owners: …is in component-root"},
		{"an installed package less", func(b *document) { b.withoutPackage("root-deb-") }, "sbom", "check owners: …is installed where"},
		{"another version of a package of the initrd", func(b *document) { b.pkg("initrd-deb-").PackageVersion += "1" }, "sbom-lock", "check initrd-deb-…and should be"},

		{"another digest of a package of the initrd", func(b *document) { b.pkg("initrd-deb-").PackageChecksums[0].Value = zeros }, "sbom-lock", "check initrd-deb-…and should be"},
		{"another package URL", func(b *document) { b.pkg("root-deb-").PackageExternalReferences[0].Locator += "1" }, "sbom-lock", "check root-deb-…and should be"},
		{"a package that is not locked", func(b *document) { b.pkg("initrd-deb-").PackageName = "unlocked" }, "sbom-lock", "no package \"unlocked\""},
		{"another source of a package", func(b *document) { b.related("root-deb-", "GENERATED_FROM", "source-linux-") }, "sbom-lock", "check root-deb-…of the sources"},
		{"a package of no suite", func(b *document) { b.related("root-deb-", "PACKAGE_OF", "") }, "sbom-lock", "check root-deb-…of the suites"},
		{"another digest of a source", func(b *document) { b.pkg("source-").PackageChecksums[0].Value = zeros }, "sbom-lock", "check source-…and should be"},
		{"another digest of a file of the kernel's source", func(b *document) {
			b.containedBy("source-linux-").PackageChecksums[0].Value = zeros
		}, "sbom-lock", "check sourcefile-…and should be"},
		{"a file less of the kernel's source", func(b *document) { b.related("source-linux-", "CONTAINS", "") }, "sbom-lock", "check source-linux-…it contains"},
		{"another version of the kernel", func(b *document) { b.pkg("component-kernel").PackageVersion += "1" }, "sbom-lock", "check component-kernel: "},
		{"a kernel of a source that was not built", func(b *document) {
			b.related("component-kernel", "GENERATED_FROM", string(b.pkg("source-b").PackageSPDXIdentifier))
		}, "sbom-lock", "check component-kernel: version"},
		{"another Release of a suite", func(b *document) { b.pkg("suite-").PackageChecksums[0].Value = zeros }, "sbom-lock", "check suite-…and should be"},
		{"another signer of a suite", func(b *document) { b.pkg("suite-").PackageComment += "0" }, "sbom-lock", "check suite-…and should be"},
		{"another sum of a Go module", func(b *document) {
			b.module().PackageSourceInfo = strings.Replace(b.module().PackageSourceInfo, "h1:", "h1:0", 1)
		}, "sbom-lock", "check module-…go.sum has"},
		{"an element of another kind", func(b *document) { b.pkg("suite-").PackageSPDXIdentifier = "other-x" }, "sbom-lock", "check other-x: "},
		{"a file in two packages", func(b *document) {
			b.Relationships = append(b.Relationships, &spdx.Relationship{
				RefA: ref("component-root"), Relationship: "CONTAINS", RefB: ref(string(b.file("initrd", false).FileSPDXIdentifier)),
			})
		}, "sbom-lock", "and not by one element"},
	} {
		if !first(row.check) {
			continue
		}
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			c := o.copy(t)
			c.replaceSBOM(row.change)
			c.seal()
			got := failed(t, c.run())
			if detail, ok := got[row.check]; !ok || !says(detail, row.detail) || len(got) != 1 {
				t.Errorf("the check %s alone should say %q; failed: %q", row.check, row.detail, got)
			}
		})
	}
}

// document is a bill of materials to be changed.
type document struct {
	*spdx.Document
	t *testing.T
}

// file is a file of a component, or a link.
func (b *document) file(component string, link bool) *spdx.File {
	b.t.Helper()
	for _, f := range b.Files {
		if _, isLink := sbom.Target(f); sbom.ComponentOf(f.FileSPDXIdentifier) == component && isLink == link {
			return f
		}
	}
	b.t.Fatalf("the component %s has no such file", component)
	return nil
}

func (b *document) anotherFile(component string) { b.anotherDigest(b.file(component, false)) }

func (b *document) anotherDigest(f *spdx.File) {
	for i, sum := range f.Checksums {
		if sum.Algorithm == common.SHA256 {
			f.Checksums[i].Value = zeros
		}
	}
}

// bootFile is the boot program of that name.
func (b *document) bootFile(name string) *spdx.File {
	b.t.Helper()
	for _, f := range b.Files {
		if sbom.ComponentOf(f.FileSPDXIdentifier) == "boot" && path.Base(f.FileName) == name {
			return f
		}
	}
	b.t.Fatalf("there is no %s", name)
	return nil
}

// rename gives a file of a component another path.
func (b *document) rename(component, to string) {
	f := b.file(component, false)
	id := common.ElementID(component + "-file-" + digest([]byte(to))[:16])
	for _, r := range b.Relationships {
		if r.RefB.ElementRefID == f.FileSPDXIdentifier {
			r.RefB.ElementRefID = id
		}
	}
	f.FileName, f.FileSPDXIdentifier = "./"+to, id
}

// withoutFile takes out a file, and what is said of it.
func (b *document) withoutFile(component string) {
	f := b.file(component, false)
	b.Files = slices.DeleteFunc(b.Files, func(x *spdx.File) bool { return x == f })
	b.Relationships = slices.DeleteFunc(b.Relationships, func(r *spdx.Relationship) bool {
		return r.RefB.ElementRefID == f.FileSPDXIdentifier
	})
}

// pkg is the first package whose identifier begins so.
func (b *document) pkg(prefix string) *spdx.Package {
	b.t.Helper()
	for _, p := range b.Packages {
		if strings.HasPrefix(string(p.PackageSPDXIdentifier), prefix) {
			return p
		}
	}
	b.t.Fatalf("there is no %s", prefix)
	return nil
}

// move puts a file of the root from one element into another.
func (b *document) move(from, to string) {
	b.t.Helper()
	id := b.pkg(from).PackageSPDXIdentifier
	for _, r := range b.Relationships {
		if r.RefA.ElementRefID == id && r.Relationship == "CONTAINS" && strings.HasPrefix(string(r.RefB.ElementRefID), "root-file-") {
			r.RefA = ref(string(b.pkg(to).PackageSPDXIdentifier))
			return
		}
	}
	b.t.Fatalf("%s contains no file", from)
}

// withoutPackage takes out a package. Its files are left to its component.
func (b *document) withoutPackage(prefix string) {
	p := b.pkg(prefix)
	id := p.PackageSPDXIdentifier
	component := ref("component-" + sbom.ComponentOf(id))
	b.Packages = slices.DeleteFunc(b.Packages, func(x *spdx.Package) bool { return x == p })
	b.Relationships = slices.DeleteFunc(b.Relationships, func(r *spdx.Relationship) bool {
		return r.RefB.ElementRefID == id || r.RefA.ElementRefID == id && r.Relationship != "CONTAINS"
	})
	for _, r := range b.Relationships {
		if r.RefA.ElementRefID == id {
			r.RefA = component
		}
	}
}

// related relates an element in a way to another one only, or to none.
func (b *document) related(prefix, kind, to string) {
	id := b.pkg(prefix).PackageSPDXIdentifier
	b.Relationships = slices.DeleteFunc(b.Relationships, func(r *spdx.Relationship) bool {
		return r.RefA.ElementRefID == id && r.Relationship == kind
	})
	if to != "" {
		b.Relationships = append(b.Relationships, &spdx.Relationship{
			RefA: ref(string(id)), Relationship: kind, RefB: ref(string(b.pkg(to).PackageSPDXIdentifier)),
		})
	}
}

func ref(id string) common.DocElementID {
	return common.DocElementID{ElementRefID: common.ElementID(id)}
}

// containedBy is a package that an element contains.
func (b *document) containedBy(prefix string) *spdx.Package {
	b.t.Helper()
	id := b.pkg(prefix).PackageSPDXIdentifier
	for _, r := range b.Relationships {
		if r.RefA.ElementRefID == id && r.Relationship == "CONTAINS" {
			return b.pkg(string(r.RefB.ElementRefID))
		}
	}
	b.t.Fatalf("%s contains nothing", prefix)
	return nil
}

// module is a Go module that has a sum.
func (b *document) module() *spdx.Package {
	b.t.Helper()
	for _, p := range b.Packages {
		if strings.HasPrefix(p.PackageSourceInfo, "go.sum: ") {
			return p
		}
	}
	b.t.Fatal("there is no Go module")
	return nil
}

// replaceSBOM changes the bill of materials, and all that is said of it.
func (c *copied) replaceSBOM(change func(*document)) {
	c.t.Helper()
	name := c.find(".spdx.json")
	was := c.read(name)
	doc, err := sbom.Parse(was)
	if err != nil {
		c.t.Fatal(err)
	}
	change(&document{doc, c.t})
	is := c.encodeSBOM(doc)
	c.write(name, is)

	list := c.find(".unsigned.json")
	wasList := c.read(list)
	m, err := unsigned.Read(bytes.NewReader(wasList))
	if err != nil {
		c.t.Fatal(err)
	}
	for i := range m.Files {
		if m.Files[i].Name == unsigned.SBOM {
			m.Files[i].SHA256, m.Files[i].Size = digest(is), int64(len(is))
		}
	}
	isList, err := m.JSON()
	if err != nil {
		c.t.Fatal(err)
	}
	c.write(list, isList)
	c.restate("sbom", digest(was), digest(is))
	c.restate("uki", digest(was), digest(is))
	c.restate("uki", digest(wasList), digest(isList))
	c.relink("sbom", func(l *in_toto.Link) { l.Products[name] = in_toto.HashObj{"sha256": digest(is)} })
	c.relink("uki", func(l *in_toto.Link) {
		l.Materials[name], l.Products[list] = in_toto.HashObj{"sha256": digest(is)}, in_toto.HashObj{"sha256": digest(isList)}
	})
}

// encodeSBOM spells a document, with the namespace of its content.
func (c *copied) encodeSBOM(doc *spdx.Document) []byte {
	c.t.Helper()
	namespace, _, _ := strings.Cut(doc.DocumentNamespace, doc.DocumentName+"/")
	encode := func() []byte {
		text, err := sbom.Encode(doc)
		if err != nil {
			c.t.Fatal(err)
		}
		return text
	}
	doc.DocumentNamespace = ""
	doc.DocumentNamespace = namespace + doc.DocumentName + "/" + digest(encode())
	return encode()
}
