// Package keys makes, reads and describes the keys of a release.
//
// There is one key for each role and never one key for everything: a role is
// a trust decision, and a key that served two of them could be played against
// one of them. The roles, their algorithms and the reason of each limit are in
// [Limits]; [Check] enforces them for a key from anywhere, generated here or
// brought along.
//
// # Files
//
// [Generate] writes one pair of files per role into a folder:
//
//	secure-boot.key  secure-boot.crt   RSA-2048; PE signatures, and PK, KEK and db
//	verity.key       verity.crt        RSA-4096 (or 2048); the root hash
//	pcr.key          pcr.pub           RSA-2048; the PCR 11 policies
//	release.key      release.pub       OpenPGP v4 Ed25519; SHA256SUMS
//	attest.key       attest.pub        Ed25519; statements and the layout
//
// Private keys are PEM "PRIVATE KEY" (PKCS#8), public keys PEM "PUBLIC KEY"
// (SPKI), certificates PEM "CERTIFICATE"; the release pair is OpenPGP in ASCII
// armour. Private files have mode 0600. No file is ever overwritten: when one
// of the wanted files exists, nothing is written.
//
// A private key may be under a passphrase ([Seal], [Open]): in the format of
// cosign, PEM "ENCRYPTED SIGSTORE PRIVATE KEY", which holds JSON with the
// parameters of scrypt and the key's PKCS#8 form in a secretbox of NaCl; the
// release key as OpenPGP does it. The format is read and written by the library
// that cosign itself calls for it, not by cosign's own: that one brings 500
// modules along for the PEM block around.
//
// # Keys that are no files
//
// The keys secure-boot, verity and pcr may be in a token. Where a step takes a
// key's file, the file may hold the PKCS#11 URI (RFC 7512) of the key instead:
//
//	pkcs11:token=bank;object=verity;type=private?pin-value=1234
//
// Its PIN goes to openssl behind a descriptor, and stands in no argument, message
// or environment. The token is reached through a p11-kit server, whose socket the
// pipeline passes into the steps that sign (build-image --p11 SOCKET); by hand,
// P11_KIT_SERVER_ADDRESS names it and PKCS11_PROVIDER_MODULE p11-kit-client.so.
// Not so the other two: no PKCS#11 URI names an OpenPGP key, and the protocol of
// p11-kit 0.25 (Debian 13) does not carry Ed25519.
//
// Any key may be on another machine. export-digests, a verb of the programs image
// and attest and a function of the pipeline, writes what is to be signed;
// attach-signatures, or a folder of signatures in the place of a key, takes what
// came back (package offline). All roads give the same bytes, but for the
// OpenPGP signature, which holds the time.
//
// # Certificates
//
// A certificate is a function of the key and its subject, so that it can be
// made again: the serial number is the first 16 bytes of the SHA-256 of the
// key's SubjectPublicKeyInfo with the two top bits set to 01 (positive, and of
// one length), the validity is 2000-01-01 to 2049-12-31 UTC, and the signature
// (RSA PKCS#1 v1.5) is deterministic. The validity is no security boundary: neither firmware nor
// the kernel has a trusted clock, and neither looks at it. A key is withdrawn
// by removing its certificate from db or from the kernel, or through dbx.
// For the same reason the OpenPGP key bears the date 2000-01-01: a device
// whose clock is behind must not refuse a release because its key "comes from
// the future".
package keys
