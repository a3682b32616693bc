// Package verify judges the folder of a release: whether every file of it is
// what a trusted organisation says that it is, made as it says, and signed for
// the devices as they will check it.
//
// Nothing in the folder is believed before it is checked, and every check that
// could not be made counts as failed. What is trusted is the policy (package
// policy) alone. Each file is opened once and hashed once, from that one
// descriptor; small ones are read into memory, and what is read is what was
// hashed.
//
// # The checks
//
//   - files, checksums, checksums-signature: the folder holds regular files,
//     SHA256SUMS lists exactly these, and the release key signed it, in one signature
//     of one form (keys.VerifySums).
//   - statements: each step's provenance is signed by enough distinct keys, by
//     their bytes; those of one step agree; builder and caches are allowed, and a key
//     names the same builder in all of them, byte for byte; no step ended before it
//     began, or in the future. Of subjects and dependencies they say nothing that is
//     not held against something: name, SHA-256, the package URL that goes with the
//     name, and which are tools.
//   - layout, links: the layout is its owners', in force, and that of this program's
//     own pipeline to the letter; it names no key for links that the policy does not have
//     for statements; the links follow its rules, and say of each step what its statement
//     says, its command too.
//   - accounted: every file is a subject of a statement, and one that another
//     check looks into, or it is evidence itself.
//   - inputs: every input of a step is another's product, or a certificate or
//     public key of the organisation, which the policy has.
//   - inputs-complete: every step has the inputs that it must have: those that the
//     pipeline names, and of other steps all products that it says.
//   - sbom-programs: the programs of this repository that are in the root and in the
//     initrd are inputs of the steps that lay them there and list them, and no others; the
//     Go modules that are linked into them are products of the step "modules".
//   - lock: every file of the distribution stands in the lock with this digest,
//     and every package of a set was fetched; every Go module stands in go.sum, by its
//     name, or by its content where the archives are given ([Modules]).
//   - runs: each step ran the program, with the subcommand and in the sandbox, that the
//     pipeline has (pipeline.json), or no command; the command names no other input or
//     product than the statement has; the only parameter is the version, of the step that
//     makes the plan, and it is the release's; the time in the products is the lock's,
//     and is in those that the pipeline has it in.
//   - distribution: the lock's suites are Releases that the distribution signed,
//     and what the lock names stands in their indexes, which are all that their file
//     holds.
//   - disk, root-hash, root-hash-signature, update-files: partitions, hash tree
//     and signature belong together; the files for updates hold the same. The
//     partition table is, in both copies and to the byte, the one that the root hash and
//     the sizes of the partitions make; beside the partitions, and behind what is in
//     them, there are zeros. No frame or block of the compressed image is of nothing.
//   - secure-boot, boot-partition: each EFI program is signed, and nothing follows the
//     signature; the partition that firmware reads holds what it should and nothing
//     else: it is, to the byte, the file system that its files make. The kernel image's
//     name says how often it is tried; how often it should be stands in plan.json alone.
//   - kernel: it is the common one with the organisation's certificate.
//   - unsigned-set: what should be the same for everybody is what the list says, and what
//     it says that signing may change is no more than that: in the image and on the disk
//     as in every release, in the kernel the bytes that its step wrote down. Where in
//     vmlinux these are, a release without that file cannot show.
//   - pcr-values, pcr-signatures: what the TPM will measure, computed anew, and
//     the signatures over it.
//   - sbom: it lists exactly the files of the root on the disk, and, of the kernel
//     image, those of the initrd, the kernel, the stub that starts it, and the
//     microcode; and the boot loader. Signatures and certificates are taken off before.
//     The files of the kernel that are not in an image (its configuration, say) are
//     those that its step made. The root's packages are those that dpkg's database in
//     it has, and its files are in the packages that own them there.
//   - sbom-lock: its packages, their sources with each file, the kernel's source and
//     the suites are what the lock says of them; its Go modules have the sums of
//     go.sum; each file is in one element.
//   - sbom-rebuilt: it is, to the letter, what the lock, the identities of the sources,
//     go.sum, the files and their packages, what our programs say of their build, and the copyright files in the root
//     make; what else it says is listed in package sbom.
//   - sbom-installed: the bill of materials in the root is, to the letter, the one that
//     belongs to it.
//   - extension: the organisation's configuration, where there is one, is signed,
//     whole, and what a device takes for it.
//   - try-out: what try-out keys have signed says so, and the policy accepts it.
//
// [Extension] judges an extension that was built by itself, and the statements beside
// it:
//
//   - files, statements: as of a release; the steps are the two of an extension.
//   - runs: as of a release, but for the time where no lock is given.
//   - subject: the file is what the extension's step made, and all that it made.
//   - inputs: that step had the folder that was given, a verity certificate of the
//     policy, its programs, packages and their selection, and nothing else.
//   - root-hash-signature, root-hash: a certificate of the policy signed the root hash,
//     and every block belongs to it.
//   - metadata: what the extension says of itself, which goes by its file's name.
//   - try-out: no try-out key signed it, or the policy accepts that.
//   - lock, where one is given: the packages are the lock's set of tools, all of it.
//
// What the bill of materials says and nothing here holds against anything is listed in
// package sbom. The identities of the sources (NAME_VERSION.sources.json) are the
// repository's, and say nothing that is graded higher than what they name; that the
// locked archives have these trees and commits, a release without them cannot show. For that stands the statement of the step that wrote it.
//
// What statements and links say, and nothing here holds against anything:
//
//   - the words of a command beyond those of the check runs: its flags, their values that
//     are no path in the folders of inputs and products, and variables that its sandbox
//     was given;
//   - what is in plan.json, and that the definition (source/mangos.toml) says it: a
//     release has neither file, only their digests. Name, version and command line show
//     in the image, and so do most sizes; that this is what the definition says is the
//     word of the statement of the step "plan". Without the parameter, so is that the
//     version is the definition's;
//   - when a step ran, beyond that it ended after it began and not in the future: a step
//     whose result came from a cache ran before others that the release has;
//   - who the builder is: its id is a name, and the policy says which are good ones;
//     its version, and the id of the run;
//   - which caches a step had, beyond that the policy allows them;
//   - of an input, whether it was there to run (use), its other annotations, its URI where
//     it is no file of the distribution, and every field that this program does not know;
//   - that an input which a command could read was read;
//   - that the step "source" names all files of the repository, and "modules" all Go modules
//     beyond those that are linked into programs in the image: what these two leave out,
//     others need not have.
//
// The Go toolchain and the Go modules were fetched before anything was recorded: by the go
// command, which held them against the checksum database and go.sum. The steps "toolchain"
// and "modules" name what was there then, and have no command. Of a module the recorder has
// seen that its content is what go.sum says, and so can a verifier ([Modules]); of the
// toolchain the release has the digest of its tree alone. Who compiles the same programs
// with a toolchain of his own, or compares with another organisation's statement, knows
// more.
package verify
