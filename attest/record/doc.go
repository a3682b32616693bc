// Package record runs a step of the pipeline and writes down what went in and
// what came out. The statements of a release are made from these records and
// from nothing else.
//
// # Why a record cannot claim an input that was not used
//
// Nobody tells the recorder a digest. It is told paths ([Plan]), opens each
// itself, hashes what it reads, and then starts the step's command itself, in
// the same container:
//
//   - An input is hashed before the command runs, through the path by which
//     the command finds it; when it has changed by the time the command has
//     ended, there is no record ([ErrChanged]).
//   - A product must not exist before the command runs ([ErrStale]) and is
//     hashed after it has ended well. A command that fails leaves no record.
//   - A file of the distribution is found in the lock by the digest of its
//     content, never by its name. One that is not in the lock stops the step
//     ([ErrNotLocked]): nothing unlocked is ever worked on.
//   - The tools of a container are claimed by the package selection that it was
//     made from, and only when dpkg's database in this very container lists
//     exactly those packages in those versions ([ErrContainer]).
//
// # Why it cannot leave one out
//
// A step gets its inputs by mounts, and has no network. The recorder reads the
// kernel's list of mounts and refuses to run ([ErrUnclaimed]) when something is
// mounted that is neither claimed as an input, product, secret or scratch
// folder nor one of the kernel's own file systems. Scratch folders must be
// empty at the start. A cache that is not empty has to be claimed as one; it
// stands in the record, so that a policy can refuse it.
//
// What this does not give: the engine that mounts, and whoever has the
// machine, can lie. A signature under a record says that its owner vouches for
// them. That several owners, independent of each other, arrive at the same
// products is what the comparison is for.
package record
