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
