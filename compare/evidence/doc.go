// Package evidence is what an organisation publishes about a release that it
// has built: signed statements of what came out, and manifests by which others
// find where theirs differs without either side's images.
//
// # Layout
//
// The evidence of one organisation for one release is a folder of text files
// that lives well in git, <release>/<organisation>/:
//
//	attest.pub                 the public key, PEM; it counts by its SHA-256 only
//	commitment.sigstore.json   the digest of the next file, published before it
//	build.sigstore.json        what was built, from what: release-v1.md
//	reveal.sigstore.json       whose commitments were there before it was revealed
//	manifests/<artifact>.jsonl the parts of an artifact: package compare/manifest
//	results.sigstore.json      whose builds are the same as this one, and whose are not
//
// Each *.sigstore.json is a Sigstore bundle with one signature over an in-toto
// statement. The manifests are named by their digest in build.sigstore.json.
//
// # Commit, then reveal
//
// Whoever sees another's digests can sign the same ones without building
// anything. So each organisation first publishes the digest of its signed
// statement, and reveals the statement when the others have done so too. The
// reveal names, by digest, the commitments that its author had seen by then.
//
// X cannot have copied from Y if Y's reveal names X's commitment: X's statement
// was fixed, its signature included, before Y's was to be seen. Nobody's clock
// and no history of a repository plays a part in this; it rests on Y alone, who
// is the one whom X would have copied from. See [Order].
package evidence
