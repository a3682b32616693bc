package keys

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"
	"strings"
)

// Role is what a key is for.
type Role string

// The roles of a release.
const (
	SecureBoot Role = "secure-boot"
	Verity     Role = "verity"
	PCR        Role = "pcr"
	Release    Role = "release"
	Attest     Role = "attest"
)

// ErrRole says that a name is not a role.
var ErrRole = errors.New("unknown role")

// ErrAlgorithm says that a key's algorithm or size does not fit its role.
var ErrAlgorithm = errors.New("key does not fit its role")

// Limit is what a role asks of its key.
type Limit struct {
	// Bits are the RSA sizes allowed, the default first; empty for Ed25519.
	Bits []int
	// Signs says what the key signs, for people.
	Signs string
	// Reason says why other algorithms and sizes are refused.
	Reason string
}

// limits is the table of DESIGN's "Keys", as data.
var limits = map[Role]Limit{
	SecureBoot: {
		Bits:   []int{2048},
		Signs:  "UKI and boot loader (PE), and the firmware's PK, KEK and db",
		Reason: "firmware is only sure to accept RSA-2048",
	},
	Verity: {
		Bits:   []int{4096, 2048},
		Signs:  "the root hash (PKCS#7, checked by the kernel)",
		Reason: "the certificate must fit the 4096 bytes that the kernel reserves, and only RSA signatures are deterministic",
	},
	PCR: {
		Bits:   []int{2048},
		Signs:  "the PCR 11 policies (.pcrsig)",
		Reason: "TPMs refuse to load larger RSA keys, and elliptic curves fail on some",
	},
	Release: {
		Signs:  "SHA256SUMS (OpenPGP)",
		Reason: "systemd-sysupdate verifies OpenPGP, and Ed25519 signatures are small and deterministic",
	},
	Attest: {
		Signs:  "statements (DSSE) and the in-toto layout",
		Reason: "both cosign and in-toto verify Ed25519; of RSA they want different paddings",
	},
}

// Roles returns every role in the order in which they are listed to people.
func Roles() []Role { return []Role{SecureBoot, Verity, PCR, Release, Attest} }

// Limits returns what role asks of its key.
func Limits(role Role) (Limit, error) {
	l, ok := limits[role]
	if !ok {
		return Limit{}, fmt.Errorf("%w %q: the roles are %s", ErrRole, role, roleList())
	}
	return l, nil
}

// ParseRole returns the role called name, or an error wrapping [ErrRole].
func ParseRole(name string) (Role, error) {
	_, err := Limits(Role(name))
	return Role(name), err
}

// Check refuses, with the reason and an error wrapping [ErrAlgorithm], a
// public key that does not fit role.
func Check(role Role, pub crypto.PublicKey) error {
	l, err := Limits(role)
	if err != nil {
		return err
	}
	switch k := pub.(type) {
	case *rsa.PublicKey:
		if err := checkBits(role, l, k.N.BitLen()); err != nil {
			return err
		}
		if k.E != 65537 {
			return fmt.Errorf("%w: %s: public exponent %d instead of 65537", ErrAlgorithm, role, k.E)
		}
		return nil
	case ed25519.PublicKey:
		if len(l.Bits) > 0 {
			return fmt.Errorf("%w: %s must be %s, not Ed25519: %s", ErrAlgorithm, role, l.algorithm(), l.Reason)
		}
		return nil
	}
	return fmt.Errorf("%w: %s must be %s, not %T: %s", ErrAlgorithm, role, l.algorithm(), pub, l.Reason)
}

// checkBits refuses an RSA key of a size that role does not allow.
func checkBits(role Role, l Limit, bits int) error {
	for _, b := range l.Bits {
		if b == bits {
			return nil
		}
	}
	return fmt.Errorf("%w: %s must be %s, not RSA-%d: %s", ErrAlgorithm, role, l.algorithm(), bits, l.Reason)
}

// algorithm names what the limit allows, for people.
func (l Limit) algorithm() string {
	if len(l.Bits) == 0 {
		return "Ed25519"
	}
	names := make([]string, len(l.Bits))
	for i, b := range l.Bits {
		names[i] = fmt.Sprintf("RSA-%d", b)
	}
	return strings.Join(names, " or ")
}

func roleList() string {
	names := make([]string, 0, len(limits))
	for _, r := range Roles() {
		names = append(names, string(r))
	}
	return strings.Join(names, ", ")
}
