// Package sourceid finds out which source a Debian source package really is:
// the Software Heritage identifier of its upstream tree, and the upstream
// commit where the package itself proves one. Of a Go program it identifies the
// tree of files that it was compiled from ([ReadProgram]).
//
// An identity has a level:
//
//   - commit: the source names the commit that it was made from: upstream's by
//     the id that git archive writes into a tarball's header, or that of the
//     package in Debian's dgit history by the field Dgit of its description. These are
//     two different commits, and a source may name both.
//   - tree: the upstream tree is identified by its content (swh:1:dir:), so
//     that anyone can look for it in an archive of source code.
//   - version: only the name, version and digests of the files are known.
//
// What is merely declared (the fields Vcs-Git, Vcs-Browser and Git-Tag-Info, which
// names the object of a tag and no commit) is passed on as declared and proves nothing.
// No commit is ever guessed from a version or a tag's name.
//
// A source's description is its file .dsc, which the lock names, or its paragraph in the
// archive's index, which the signed Release in the lock names. The index has what the
// file says, and is there when the file is gone from the servers.
package sourceid
