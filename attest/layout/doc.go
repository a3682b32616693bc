// Package layout writes and verifies in-toto layouts and links
// (in-toto specification 1.0, Metablock form), the description of the whole
// pipeline and the evidence of each step.
//
// The artifact rules are evaluated by in-toto-golang; python's in-toto reads
// the same files. Around it stand rules of our own, because the library
// accepts what a release must not rest on:
//
//   - A key's id is computed anew from the key; the same key under two ids is
//     refused, and thresholds count keys by their bytes.
//   - Every threshold is at least 1, and no more than there are distinct keys.
//   - A link must bear the name of the step whose file name it has.
//   - All links of a step by authorised keys must agree, on the command too; a
//     dissenting one is named, not outvoted and not dropped.
//   - A link has no byproducts and no environment.
//   - Both rule lists of a step begin with their REQUIRE rules and end with
//     DISALLOW *.
//   - The steps and their rules are those of the pipeline that the caller names, to
//     the letter: a rule such as ALLOW * before DISALLOW * would allow everything.
//   - Every key of the layout is one whose links the caller trusts: an owner says what the
//     steps are, and not who may make them.
//   - Inspections (commands that the layout would run on the verifier's
//     machine), sublayouts and certificate authorities are refused.
//   - Signatures are Ed25519 only, and expiry is judged at a time that the
//     caller names.
package layout
