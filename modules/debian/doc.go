// Package debian is the parent of what makes containers, root file systems and
// source trees from an apt archive; its README tells the whole.
//
//	control     deb822 paragraphs
//	archive     verified Releases and their indexes
//	fetch       files whose digest is known, from mirrors and permanent homes
//	solve       package sets, solved by the archive's own apt
//	lock        debian.lock.json, and selections of it
//	refresh     makes a fresh lock
//	deb         package files, unpacked without scripts
//	enter       programs inside a tree, through the sandbox
//	bootstrap   configured root file systems, the same everywhere
//	source      unpacked source packages
//	treedigest  trees in lines, to compare them
//	cmd/debian  the program
package debian
