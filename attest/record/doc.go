// Package record runs a step of the pipeline and writes down what went in and
// what came out. The statements of a release are made from these records and
// from nothing else.
//
// # Places are names
//
// A step has its inputs in one folder and leaves its products in another. The
// path below the folder is the name in the record, so that the steps of a
// pipeline agree on names without a table of them. Of a link, the digest is
// that of its target's text, as in git. Some places mean more:
//
//	*.tree/       one item, by the digest of its manifest (package tree)
//	program/      programs of this repository: tools
//	selection/    selections of the lock; they say what is locked
//	locked/       files of the distribution, named as the lock names them
//	go/           a Go module cache, an item for each module that go.sum names
//
// # Why a record cannot claim an input that was not there
//
// An input counts as used when it lay before the step's command, in these bytes,
// before the command ran and after it had ended. Which of them the command
// opened is not written down: a compiler that could have read a header has used it.
// The packages of the step's container are known otherwise; see below.
//
// Nobody tells the recorder a digest. It opens what lies there, hashes what it
// reads, and then starts the step's command itself, in the same container:
//
//   - An input is hashed before the command runs, through the path by which
//     the command finds it. When the command has ended, the same names must lie
//     there, no more and no fewer, each of the same kind, mode and owner, and a file
//     with the same inode, size and modification time, also one within a tree or a
//     module. When the kernel has noted a change of any of them since (ctime, which
//     no program can set back, short of setting the machine's clock), all inputs are
//     hashed again, and must have the digests that they had. Otherwise there is no
//     record ([ErrChanged]).
//   - No product may be there before the command runs ([ErrStale]); they are
//     hashed after it has ended well. A command that fails leaves no record.
//   - A file of the distribution is found in the selections by the digest of
//     its content, never by its name. One that is not there stops the step
//     ([ErrNotLocked]): nothing unlocked is ever worked on. The selections are
//     inputs themselves, products of the step that read the lock.
//   - A Go module counts only as go.sum has it: the archive and the files that
//     it was unpacked to both have the digest that stands there.
//   - The tools of a container are claimed by the selection that it was
//     made from, and only when dpkg's database in this very container lists
//     exactly those packages in those versions ([ErrContainer]).
//
// The first of these looks twice, and not all the time. It does not see what was changed
// while the command ran and had its bytes and its modification time back at the end, nor
// a name that came and went. To refuse each change of ctime would find that, and also
// refuse good builds: an engine that lays files of one step into another's folder makes
// links to them, whoever reads them at the time, and a link changes ctime. Nor does it
// look into what lies in go/ beside the archives and the modules unpacked from them,
// which is no item: of that it sees size, modes and times alone. The go command holds a
// go.mod that lies there against go.sum.
//
// The last one is weaker than the others: of a container's packages a record has the
// names and digests of their files as the selection, which is hashed, has them. The files
// that these were unpacked to, the compiler itself, say, are not hashed again in each
// step. What is known of them: the step "tree-SET" was given the packages, hashed them one
// by one, unpacked them, and its record has the digest of the tree that came of it; dpkg's
// database is part of that tree, and says what the selection says. That a later step's
// container is that tree, unchanged, rests on the engine, which mounts that step's product
// and on nothing that the recorder sees: whoever can change a tree in the engine's store
// can leave dpkg's database as it is. Building twice, with other containers, and comparing
// is what finds that.
//
// # Why it cannot leave one out
//
// A step gets its inputs by mounts, and has no network unless all that it makes
// is in the lock. The recorder reads the kernel's list of mounts and refuses to
// run ([ErrUnclaimed]) when something is mounted outside of the input folder
// that is neither a secret nor one of the kernel's own file systems. A cache
// has to be claimed as one; when it is not empty it stands in the record, so
// that a policy can refuse it.
//
// The Go toolchain and the Go modules are outside of that. They are fetched over the
// network, by a go command and before there is a recorder, and checked by that command
// against the checksum database and go.sum. Their steps ("toolchain", "modules") have no
// command and name what was there afterwards: a module by the digests that go.sum has,
// which the recorder looks at itself; the toolchain by the digest of its tree, which
// nothing in the repository says beforehand.
//
// What this does not give: the engine that mounts, and whoever has the
// machine, can lie. A signature under a record says that its owner vouches for
// them. That several owners, independent of each other, arrive at the same
// products is what the comparison is for.
package record
