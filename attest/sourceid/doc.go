// Package sourceid finds out which source a Debian source package really is:
// the Software Heritage identifier of its upstream tree, and the upstream
// commit where the package itself proves one.
//
// An identity has a level:
//
//   - commit: the source names a commit in a form that only who had it could
//     make: the id that git archive writes into a tarball's header, or a Dgit
//     or Git-Tag-Info field of a signed .dsc.
//   - tree: the upstream tree is identified by its content (swh:1:dir:), so
//     that anyone can look for it in an archive of source code.
//   - version: only the name, version and digests of the files are known.
//
// What is merely declared (the Vcs-Git field) is passed on as declared and
// proves nothing. No commit is ever guessed from a version or a tag's name.
package sourceid
