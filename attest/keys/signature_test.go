package keys

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"

	"github.com/mastercard/mangos/attest/internal/oracle"
)

// signed is what the signatures of these tests are over.
const signed = "0000  file\n"

// signatures returns a public key in the file release.pub of a folder, and a signature by
// it that we made and one that GnuPG made.
func signatures(t *testing.T) (dir string, ours, theirs []byte) {
	t.Helper()
	dir = generateAll(t)
	ours, err := SignSums(content(t, dir, "release.key"), strings.NewReader(signed), time.Unix(1700000000, 0))
	if err != nil {
		t.Fatal(err)
	}
	put(t, dir, "data", []byte(signed))
	home := t.TempDir()
	gpg := func(args ...string) {
		oracle.Run(t, dir, "gpg", append([]string{"--homedir", home, "--batch", "--quiet"}, args...)...)
	}
	gpg("--import", "release.key")
	gpg("--detach-sign", "--output", "theirs", "data")
	gpg("--export", "--output", "ring.gpg")
	oracle.Run(t, home, "gpgconf", "--homedir", home, "--kill", "all")
	return dir, ours, content(t, dir, "theirs")
}

func put(t *testing.T, dir, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestEveryBit: a signature with another bit is none, nor is one that is cut off.
func TestEveryBit(t *testing.T) {
	dir, ours, theirs := signatures(t)
	public := content(t, dir, "release.pub")
	verify := func(sig []byte) error { return VerifySums(public, sig, strings.NewReader(signed)) }
	for name, good := range map[string][]byte{"ours": ours, "GnuPG's": theirs} {
		if err := verify(good); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for i := range good {
			for bit := range 8 {
				bad := bytes.Clone(good)
				bad[i] ^= 1 << bit
				if verify(bad) == nil {
					t.Errorf("%s: accepted with bit %d of byte %d changed", name, bit, i)
				}
			}
			if verify(good[:i]) == nil {
				t.Errorf("%s: accepted with %d bytes of %d", name, i, len(good))
			}
		}
	}
}

// TestForms: the same signature in another form is none, whether or not gpgv, which
// devices have, takes it.
func TestForms(t *testing.T) {
	const takes, refuses = "takes", "refuses"
	dir, ours, theirs := signatures(t)
	public := content(t, dir, "release.pub")
	armor, err := armored(openpgp.SignatureType, func(w io.Writer) error { _, err := w.Write(ours); return err })
	if err != nil {
		t.Fatal(err)
	}
	body := ours[2:]
	// rest is where a signature has the length of what is not signed.
	rest := func(sig []byte) int { return 2 + 6 + int(sig[2+4])<<8 + int(sig[2+5]) }
	// beside puts a subpacket beside those that are signed.
	beside := func(sig []byte, sub ...byte) []byte {
		at := rest(sig)
		changed := slices.Concat(sig[:at+2], sub, sig[at+2:])
		changed[1] += byte(len(sub))
		changed[at+1] += byte(len(sub))
		return changed
	}
	integer := rest(ours) + 4
	padded := slices.Concat(ours[:integer], []byte{0x01, 0x08, 0}, ours[integer+2:])
	padded[1]++
	for _, row := range []struct {
		name string
		file []byte
		gpgv string // what gpgv does; empty: its versions differ
	}{
		{"as it is made", ours, takes},
		{"GnuPG's", theirs, takes},
		{"a byte behind it", append(bytes.Clone(ours), 0), refuses},
		{"text behind it", append(bytes.Clone(ours), "garbage\n"...), refuses},
		{"twice", slices.Concat(ours, ours), takes},
		{"two", slices.Concat(ours, theirs), takes},
		{"another packet before it", append([]byte{0xCA, 3, 'P', 'G', 'P'}, ours...), ""},
		{"nothing", nil, refuses},
		{"in armour", armor, takes},
		{"a longer length", slices.Concat([]byte{0xC2, 255, 0, 0, 0, byte(len(body))}, body), takes},
		{"a longer length of the older form", slices.Concat([]byte{0x89, 0, byte(len(body))}, body), takes},
		{"without a length", slices.Concat([]byte{0x8b}, body), refuses},
		{"the key's id once more", beside(ours, append([]byte{9, 16}, theirs[rest(theirs)+4:][:8]...)...), takes},
		{"a notation that nobody signed", beside(ours, 3, 100, 'x', 'y'), takes},
		{"a notation in GnuPG's that nobody signed", beside(theirs, 3, 100, 'x', 'y'), takes},
		{"a number with a zero before it", padded, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			want := bytes.Equal(row.file, ours) || bytes.Equal(row.file, theirs)
			err := VerifySums(public, row.file, strings.NewReader(signed))
			if want != (err == nil) {
				t.Errorf("%v", err)
			}
			put(t, dir, "sig", row.file)
			gpgv := []string{"--keyring", "./ring.gpg", "sig", "data"}
			switch row.gpgv {
			case takes:
				oracle.Run(t, dir, "gpgv", gpgv...)
			case refuses:
				oracle.Refuse(t, dir, "gpgv", gpgv...)
			}
		})
	}
}

// FuzzVerifySums: what verifies is the signature that was made, or the same with the
// header that GnuPG writes.
func FuzzVerifySums(f *testing.F) {
	files, err := generateOpenPGP("Example")
	if err != nil {
		f.Fatal(err)
	}
	ours, err := SignSums(files[0].data, strings.NewReader(signed), time.Unix(1700000000, 0))
	if err != nil {
		f.Fatal(err)
	}
	e, err := readOpenPGP(files[1].data)
	if err != nil {
		f.Fatal(err)
	}
	older := append([]byte{0x88}, ours[1:]...)
	f.Add(ours)
	f.Add(older)
	f.Add(append(bytes.Clone(ours), ours...))
	f.Fuzz(func(t *testing.T, file []byte) {
		if _, err := verifySignature(openpgp.EntityList{e}, file, strings.NewReader(signed)); err == nil && !bytes.Equal(file, ours) && !bytes.Equal(file, older) {
			t.Errorf("accepted: %x", file)
		}
	})
}
