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
// links, the list of the unsigned set and checksums agree with it. The checks of the bill
// of materials find it, and no other.
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
		{"another target of a link of the initrd", func(b *document) { b.file("initrd", true).FileComment = "symbolic link to /\ntest" }, "sbom", "check initrd: …leads to"},
		{"a file of the initrd less", func(b *document) { b.withoutFile("initrd") }, "sbom", "check initrd: …not listed once"},
		{"a file of the kernel less", func(b *document) { b.withoutFile("kernel") }, "sbom", "check kernel: …not listed once"},
		{"a file of the initrd more", func(b *document) { b.file("initrd", false).FileName += "x" }, "sbom", "check initrd: …wrong identifier"},
		{"another digest of the boot loader", func(b *document) { b.anotherDigest(b.named("boot", "systemd-bootx64.efi")) }, "sbom", "check boot: …systemd-bootx64.efi has…in the list"},
		{"another digest of the stub", func(b *document) { b.anotherDigest(b.named("boot", "linuxx64.efi.stub")) }, "sbom", "check boot: …linuxx64.efi.stub has…in the list"},
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
		{"a wrong SHA-1 of a file of the root", func(b *document) { b.anotherSum(b.file("root", false), common.SHA1) }, "sbom", "check image: …has SHA-1 …in the list"},
		{"a wrong SHA-1 of a link of the root", func(b *document) { b.anotherSum(b.file("root", true), common.SHA1) }, "sbom", "check image: …has SHA-1 …in the list"},
		{"a wrong SHA-1 of a file of the initrd", func(b *document) { b.anotherSum(b.file("initrd", false), common.SHA1) }, "sbom", "check initrd: …has SHA-1 …in the list"},
		{"a wrong SHA-1 of the kernel", func(b *document) { b.anotherSum(b.named("kernel", "bzImage"), common.SHA1) }, "sbom", "check kernel: …has SHA-1 …in the list"},
		{"a wrong SHA-1 of the kernel's name", func(b *document) { b.anotherSum(b.named("kernel", "release"), common.SHA1) }, "sbom", "check kernel: …has SHA-1 …in the list"},
		{"a wrong SHA-1 of the boot loader", func(b *document) { b.anotherSum(b.named("boot", "systemd-bootx64.efi"), common.SHA1) }, "sbom", "check boot: …has SHA-1 …in the list"},
		{"a wrong SHA-1 of a file of the microcode", func(b *document) { b.anotherSum(b.file("microcode", false), common.SHA1) }, "sbom", "check microcode: …has SHA-1 …in the list"},
		{"a second SHA-256 of a file", func(b *document) { b.moreSums(&b.file("root", false).Checksums, common.SHA256) }, "sbom", "check image: …has SHA-256 …in the list"},
		{"a second SHA-1 of a file", func(b *document) { b.moreSums(&b.file("root", false).Checksums, common.SHA1) }, "sbom", "check image: …has SHA-1 …in the list"},
		{"a SHA-512 of a file", func(b *document) { b.moreSums(&b.file("initrd", false).Checksums, common.SHA512) }, "sbom-rebuilt", "element \"initrd-file-"},
		{"a SHA-512 of a package", func(b *document) { b.moreSums(&b.pkg("root-deb-").PackageChecksums, common.SHA512) }, "sbom-rebuilt", "element \"root-deb-"},
		{"a second SHA-256 of the root's image", func(b *document) { b.moreSums(&b.pkg("component-root").PackageChecksums, common.SHA256) }, "sbom-rebuilt", "element \"component-root"},
		{"another verification code of a component", func(b *document) { b.pkg("component-root").PackageVerificationCode.Value = zeros[:40] }, "sbom-rebuilt", "element \"component-root"},
		{"another verification code of a package", func(b *document) { b.pkg("root-deb-").PackageVerificationCode.Value = zeros[:40] }, "sbom-rebuilt", "element \"root-deb-"},
		{"another verification code of a program", func(b *document) { b.pkg("initrd-program-").PackageVerificationCode.Value = zeros[:40] }, "sbom-rebuilt", "element \"initrd-program-"},
		{"another date", func(b *document) { b.CreationInfo.Created = "2001-01-01T00:00:00Z" }, "sbom-rebuilt", `"creationInfo\"`},
		{"another author", func(b *document) { b.CreationInfo.Creators[0].Creator = "x" }, "sbom-rebuilt", `"creationInfo\"`},
		{"an author more", func(b *document) {
			b.CreationInfo.Creators = append(b.CreationInfo.Creators, common.Creator{CreatorType: "Person", Creator: "x"})
		}, "sbom-rebuilt", `"creationInfo\"`},
		{"another list of licences", func(b *document) { b.CreationInfo.LicenseListVersion = "3.1" }, "sbom-rebuilt", `"creationInfo\"`},
		{"another comment of the document", func(b *document) { b.DocumentComment = strings.Replace(b.DocumentComment, "proven 1", "proven 2", 1) }, "sbom-rebuilt", `"comment\"`},
		{"another name of the document", func(b *document) { b.DocumentName = "mangos_1.3" }, "sbom-rebuilt", `"name\"`},
		{"another licence of the document", func(b *document) { b.DataLicense = "x" }, "sbom-rebuilt", `"dataLicense\"`},
		{"another name of a component", func(b *document) { b.pkg("component-initrd").PackageName = "x" }, "sbom-rebuilt", "element \"component-initrd"},
		{"another version of a component", func(b *document) { b.pkg("component-initrd").PackageVersion = "x" }, "sbom-rebuilt", "element \"component-initrd"},
		{"another supplier of a component", func(b *document) {
			b.pkg("component-boot").PackageSupplier = &common.Supplier{SupplierType: "Person", Supplier: "x"}
		}, "sbom-rebuilt", "element \"component-boot"},
		{"an originator of a component", func(b *document) {
			b.pkg("component-boot").PackageOriginator = &common.Originator{OriginatorType: "Person", Originator: "x"}
		}, "sbom-rebuilt", "element \"component-boot"},
		{"another licence of the kernel", func(b *document) { b.pkg("component-kernel").PackageLicenseDeclared = "MIT" }, "sbom-rebuilt", "element \"component-kernel"},
		{"a concluded licence of a package", func(b *document) { b.pkg("root-deb-").PackageLicenseConcluded = "MIT" }, "sbom-rebuilt", "element \"root-deb-"},
		{"another comment of a component", func(b *document) { b.pkg("component-kernel").PackageComment += "x" }, "sbom-rebuilt", "element \"component-kernel"},
		{"another purpose of a component", func(b *document) { b.pkg("component-microcode").PrimaryPackagePurpose = "OTHER" }, "sbom-rebuilt", "element \"component-microcode"},
		{"another place to get a component", func(b *document) { b.pkg("component-root").PackageDownloadLocation = "http://x.invalid/" }, "sbom-rebuilt", "element \"component-root"},
		{"a page about a component", func(b *document) { b.pkg("component-root").PackageHomePage = "http://x.invalid/" }, "sbom-rebuilt", "element \"component-root"},
		{"no CPE of the kernel", func(b *document) { b.pkg("component-kernel").PackageExternalReferences = nil }, "sbom-rebuilt", "element \"component-kernel"},
		{"an annotation of a package", func(b *document) {
			b.pkg("root-deb-").Annotations = []spdx.Annotation{{Annotator: common.Annotator{AnnotatorType: "Person", Annotator: "x"}, AnnotationComment: "x"}}
		}, "sbom-rebuilt", "element \"root-deb-"},
		{"a package without a word of its files", func(b *document) {
			p := b.pkg("root-deb-")
			p.FilesAnalyzed, p.PackageVerificationCode = false, nil
		}, "sbom-rebuilt", "element \"root-deb-"},
		{"a component that the document does not describe", func(b *document) { b.notRelated("DOCUMENT", "DESCRIBES", "component-root") }, "sbom-rebuilt", "DESCRIBES"},
		{"no component that the document describes", func(b *document) { b.notRelated("DOCUMENT", "DESCRIBES", "") }, "sbom-rebuilt", "DESCRIBES"},
		{"a file that the document describes", func(b *document) {
			b.Relationships = append(b.Relationships, &spdx.Relationship{
				RefA: ref("DOCUMENT"), Relationship: "DESCRIBES", RefB: ref(string(b.file("initrd", false).FileSPDXIdentifier)),
			})
		}, "sbom-rebuilt", "SPDXRef-DOCUMENT…initrd-file-"},
		{"a comment of a relationship", func(b *document) { b.Relationships[0].RelationshipComment = "x" }, "sbom-rebuilt", "DESCRIBES"},
		{"another order", func(b *document) { slices.Reverse(b.Packages) }, "sbom-rebuilt", "element \""},
		{"another licence of a file", func(b *document) { b.file("root", false).LicenseConcluded = "MIT" }, "sbom-rebuilt", "element \"root-file-"},
		{"another copyright of a file", func(b *document) { b.file("kernel", false).FileCopyrightText = "x" }, "sbom-rebuilt", "element \"kernel-file-"},
		{"another toolchain of a program", func(b *document) { b.pkg("root-program-").PackageSourceInfo += "x" }, "sbom-rebuilt", "element \"root-program-"},
		{"a module less of a program", func(b *document) { b.notRelated("initrd-program-", "STATIC_LINK", "module-example.org-M-") }, "sbom-rebuilt", "STATIC_LINK"},
		{"a program in none", func(b *document) { b.moved("initrd-program-", "component-initrd") }, "sbom-rebuilt", "initrd-program-"},
		{"another reason why a module has no licence", func(b *document) { b.module().PackageLicenseComments = "x" }, "sbom-rebuilt", "element \"module-"},
		{"another licence of a package of the root", func(b *document) { b.pkg("root-deb-").PackageLicenseDeclared = "MIT" }, "sbom-rebuilt", "element \"root-deb-"},
		{"another text of a licence of the root", func(b *document) { b.licence("own").ExtractedText = "x" }, "sbom-rebuilt", "LicenseRef-own"},
		{"a licence of nothing", func(b *document) {
			b.OtherLicenses = append(b.OtherLicenses, &spdx.OtherLicense{LicenseIdentifier: "LicenseRef-x", ExtractedText: "x"})
		}, "sbom-rebuilt", "LicenseRef-x"},
		{"a better level of a source than what is named", func(b *document) {
			p := b.pkg("source-linux")
			p.PackageSourceInfo = strings.Replace(p.PackageSourceInfo, "tree", "commit", 1)
		}, "sbom-rebuilt", "element \"source-linux"},
		{"a level of a source that there is not", func(b *document) {
			p := b.pkg("source-base-root")
			p.PackageSourceInfo = strings.Replace(p.PackageSourceInfo, "commit", "certain", 1)
		}, "sbom-rebuilt", "element \"source-base-root"},
		{"a source of a program in another form", func(b *document) { b.identity("initrd-program-").Locator = "swh:1:dir:x" }, "sbom-rebuilt", "element \"initrd-program-"},
		{"an identity of a source in another form", func(b *document) { b.identity("source-linux").Locator = "swh:1:rev:x" }, "sbom-rebuilt", "element \"source-linux"},
		{"another commit of a source", func(b *document) { b.identity("source-base-root").Locator = "swh:1:rev:" + zeros[:40] }, "sbom-rebuilt", "element \"source-base-root"},
		{"another repository of a source", func(b *document) { b.pkg("source-base-root").PackageSourceInfo += "x" }, "sbom-rebuilt", "element \"source-base-root"},
		{"another proof of a commit", func(b *document) {
			for _, r := range b.pkg("source-base-root").PackageExternalReferences {
				r.ExternalRefComment = strings.Replace(r.ExternalRefComment, "git archive", "I say so", 1)
			}
		}, "sbom-rebuilt", "element \"source-base-root"},
		{"a commit of a source of which the tree is known", func(b *document) {
			p := b.pkg("source-linux")
			p.PackageSourceInfo = strings.Replace(p.PackageSourceInfo, "tree", "commit", 1)
			p.PackageExternalReferences = append(p.PackageExternalReferences, &spdx.PackageExternalReference{
				Category: common.CategoryPersistentId, RefType: common.TypePersistentIdSwh, Locator: "swh:1:rev:" + zeros[:40], ExternalRefComment: "proven by: git archive",
			})
			b.DocumentComment = strings.Replace(strings.Replace(b.DocumentComment, "proven 1", "proven 2", 1), "tree identified 1", "tree identified 0", 1)
		}, "sbom-rebuilt", "it says…and should say"},

		// What only another bill of materials tells: the one in the root.
		{"another origin of a file of the root", func(b *document) { b.named("root", "status").FileComment = "x" }, "sbom-installed", "/usr/share/mangos/sbom.spdx.json.zst: …element \"root-file-"},
		{"another source of a program", func(b *document) { b.identity("root-program-").Locator = "swh:1:dir:" + zeros[:40] }, "sbom-installed", "element \"root-program-"},
		{"another licence of a package of the microcode", func(b *document) { b.pkg("microcode-deb-").PackageLicenseDeclared = "MIT" }, "sbom-installed", "element \"microcode-deb-"},
		{"another text of a licence of the microcode", func(b *document) { b.licence("other").ExtractedText = "x" }, "sbom-installed", "LicenseRef-other"},
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
			if detail, ok := got[row.check]; !ok || !says(detail, row.detail) {
				t.Errorf("the check %s should say %q; failed: %q", row.check, row.detail, got)
			}
			for name := range got {
				if !strings.HasPrefix(name, "sbom") {
					t.Errorf("the check %s failed as well: %s", name, got[name])
				}
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

func (b *document) anotherDigest(f *spdx.File) { b.anotherSum(f, common.SHA256) }

// anotherSum changes a checksum of a file, and what is computed from it.
func (b *document) anotherSum(f *spdx.File, algorithm common.ChecksumAlgorithm) {
	for i, sum := range f.Checksums {
		if sum.Algorithm == algorithm {
			f.Checksums[i].Value = zeros[:len(sum.Value)]
		}
	}
}

// moreSums adds a checksum behind others.
func (b *document) moreSums(list *[]common.Checksum, algorithm common.ChecksumAlgorithm) {
	*list = append(*list, common.Checksum{Algorithm: algorithm, Value: zeros})
}

// named is the file of a component with that base name.
func (b *document) named(component, name string) *spdx.File {
	b.t.Helper()
	for _, f := range b.Files {
		if sbom.ComponentOf(f.FileSPDXIdentifier) == component && path.Base(f.FileName) == name {
			return f
		}
	}
	b.t.Fatalf("there is no %s", name)
	return nil
}

// licence is the first text whose name is that.
func (b *document) licence(name string) *spdx.OtherLicense {
	b.t.Helper()
	for _, l := range b.OtherLicenses {
		if l.LicenseName == name {
			return l
		}
	}
	b.t.Fatalf("there is no licence %s", name)
	return nil
}

// identity is the last reference of a source.
func (b *document) identity(prefix string) *spdx.PackageExternalReference {
	refs := b.pkg(prefix).PackageExternalReferences
	return refs[len(refs)-1]
}

// notRelated takes out relationships of an element to others, whose identifiers begin so.
func (b *document) notRelated(from, kind, to string) {
	b.t.Helper()
	before := len(b.Relationships)
	b.Relationships = slices.DeleteFunc(b.Relationships, func(r *spdx.Relationship) bool {
		return strings.HasPrefix(string(r.RefA.ElementRefID), from) && r.Relationship == kind && strings.HasPrefix(string(r.RefB.ElementRefID), to)
	})
	if len(b.Relationships) == before {
		b.t.Fatalf("%s %s %s is not said", from, kind, to)
	}
}

// moved puts the files of an element, whose identifier begins so, into another.
func (b *document) moved(from, to string) {
	for _, r := range b.Relationships {
		if strings.HasPrefix(string(r.RefA.ElementRefID), from) && r.Relationship == "CONTAINS" {
			r.RefA = ref(to)
		}
	}
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
	const namespace = "https://github.com/mastercard/mangos/spdx/"
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
