// Package sbom writes the bill of materials of an image as SPDX 2.3, JSON, and
// finds things in it.
//
// The document describes components: the root file system, the initrd, the
// kernel, the boot programs, the microcode. A component contains packages of the
// distribution and Go programs, these contain files, and every file of a tree is
// in exactly one of them; a file that no package owns is contained by its
// component, and its comment says which step made it.
//
//	SPDXRef-DOCUMENT DESCRIBES component
//	component CONTAINS package, program, file
//	package   CONTAINS file, GENERATED_FROM source, PACKAGE_OF suite
//	source    CONTAINS source file, PACKAGE_OF suite
//	program   CONTAINS file, STATIC_LINK Go module
//	component GENERATED_FROM source (the kernel)
//
// A package stands once for each component, with the files that are there. A
// suite is a signed Release of the distribution's archive; its comment names the
// keys. A symbolic link is a file whose content is its target; its comment says
// so. A comment says, too, where a file is not as its package brought it.
//
// A supplier and a licence are said where something proves or declares them. The
// distribution supplies its packages and sources; their licences are those of the
// packages' copyright files. Linux declares its licence in COPYING, which is said of
// the kernel; in the locked source it is not read. The rest is NOASSERTION. Of a Go
// module the step that writes the document has the sum, not the files, and a module's
// path names no supplier. Of the image's parts and our own programs the supplier is
// whoever builds them, and the document is the same for all who do; the repository
// declares no licence.
//
// A source package has the identity that package sourceid found, a program that of the
// tree of files that it was compiled from: references of the type swh. Of a Go module the
// sum in go.sum identifies the files, and a pseudo-version names the beginning of its
// commit, to which the checksum database binds the sum; a version that is a tag names no
// commit, and none is said.
//
// There are two documents. The image holds one, without itself; of the parts
// beside the root it tells what they are made of, but lists no file: so a change of
// the initrd does not change the root. The release's lists every file of every
// part, that document among them.
//
// [CheckImage], [CheckOwners], [CheckInitrd], [CheckBoot], [CheckMicrocode], [CheckFiles],
// [CheckArtifact] and [CheckLock] hold a document against what it describes. [Rebuild] and
// [CheckRebuilt] make it anew, of the lock, go.sum, the identities of the sources and the
// files, and compare it to the letter; [CheckInstalled] does so with the document in the image, which must say the same.
//
// So whatever a document says is held against something else, but for this:
//
//   - which package a file of the initrd, the microcode or the boot programs is of (the
//     packages themselves are known);
//   - of a file that is not as a package brought it, where it is from;
//   - the tree that a program of ours was compiled from;
//   - the licence of a package, with its texts, whose copyright file is neither in the
//     root nor in the initrd: those of the microcode and the boot programs;
//   - the SHA-1 of the kernel's files but bzImage and release (SHA-256 is known).
//
// Of these the document in the image says the same, but for the files beside the root
// and the programs among them: who changes that one changes the root hash.
//
// The same inputs give the same bytes: the namespace is made from the content,
// the date is the epoch of the image, everything is sorted, and each element is
// a line of its own, so that a difference is easy to read and an element easy to
// find (see [Open]).
package sbom
