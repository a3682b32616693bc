package archive

import (
	"bytes"
	"crypto"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mastercard/mangos/modules/debian/debtest"
)

const releaseText = `Origin: Test
Label: Test
Suite: stable
Codename: test
Date: Fri, 02 Jan 2026 04:00:00 UTC
Valid-Until: Fri, 09 Jan 2026 04:00:00 UTC
Acquire-By-Hash: yes
Architectures: amd64
Components: main
SHA256:
 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 0 main/binary-amd64/Packages
`

var (
	signed = debtest.Date.Add(time.Hour)
	now    = debtest.Date.Add(24 * time.Hour)
)

func keyring(t *testing.T, keys ...*debtest.Key) *Keyring {
	t.Helper()
	var files [][]byte
	var signers []string
	for _, k := range keys {
		files = append(files, k.Public(t))
		signers = append(signers, k.Fingerprint())
	}
	ring, err := ReadKeyring(files, signers)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func TestVerify(t *testing.T) {
	first, second, other := debtest.NewKey(t, 0), debtest.NewKey(t, 0), debtest.NewKey(t, 0)
	ring := keyring(t, first, second)

	r, err := ring.VerifyInline(debtest.Inline(t, []byte(releaseText), signed, other, first), now)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(r.Signers, []string{first.Fingerprint()}) {
		t.Errorf("signers: %v, want the listed one", r.Signers)
	}
	if r.Codename != "test" || !r.ByHash || !r.Date.Equal(time.Date(2026, 1, 2, 4, 0, 0, 0, time.UTC)) {
		t.Errorf("read %+v", r)
	}
	if f, ok := r.File("main/binary-amd64/Packages"); !ok || f.Size != 0 {
		t.Errorf("file: %+v, %v", f, ok)
	}

	d, err := ring.VerifyDetached([]byte(releaseText), second.Detached(t, []byte(releaseText), signed), now)
	if err != nil {
		t.Fatal(err)
	}
	if d.SHA256 != r.SHA256 {
		t.Error("the signed text of an inline and a detached signature has two digests")
	}
}

func TestVerifyRefuses(t *testing.T) {
	key, second, other, short := debtest.NewKey(t, 0), debtest.NewKey(t, 0), debtest.NewKey(t, 0), debtest.NewKey(t, 2*time.Hour)
	ring := keyring(t, key, second, short)
	good := debtest.Inline(t, []byte(releaseText), signed, key)
	inline := func(text string, keys ...*debtest.Key) []byte {
		return debtest.Inline(t, []byte(text), signed, keys...)
	}
	tests := []struct {
		name string
		data []byte
		now  time.Time
		want error
	}{
		{"another key", inline(releaseText, other), now, ErrSignature},
		{"an expired key", inline(releaseText, short), now, ErrSignature},
		{"a changed text", bytes.Replace(good, []byte("Codename: test"), []byte("Codename: tess"), 1), now, ErrSignature},
		{"text before", append([]byte("Codename: x\n"), good...), now, ErrSignature},
		{"text after", append(bytes.Clone(good), "Codename: x\n"...), now, ErrSignature},
		{"no signature", []byte(releaseText), now, ErrSignature},
		{"two messages", append(bytes.Clone(good), good...), now, ErrSignature},
		{"after Valid-Until", good, now.Add(8 * 24 * time.Hour), ErrExpired},
		{"from the future", inline(strings.Replace(releaseText, "2026 04:00:00 UTC", "2027 04:00:00 UTC", 1), key), now, ErrExpired},
		{"no date", inline(strings.Replace(releaseText, "Date:", "Dote:", 1), key), now, ErrRelease},
		{"a climbing path", inline(strings.Replace(releaseText, "main/binary", "../../binary", 1), key), now, ErrRelease},
		{"a negative size", inline(strings.Replace(releaseText, " 0 main", " -1 main", 1), key), now, ErrRelease},
		{"a short sum", inline(strings.Replace(releaseText, "e3b0c4", "e3b0c", 1), key), now, ErrRelease},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := ring.VerifyInline(tt.data, tt.now); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
	with := func(k *debtest.Key, text string, hash crypto.Hash) []byte {
		return k.Signature(t, []byte(text), signed, hash)
	}
	mine, foreign := with(key, releaseText, crypto.SHA256), with(other, releaseText, crypto.SHA256)
	many := slices.Repeat([][]byte{foreign}, maxSignatures-1)
	for name, signatures := range map[string][][]byte{
		"of another text":                {with(key, "another", crypto.SHA256)},
		"with SHA-1":                     {with(key, releaseText, crypto.SHA1)},
		"with SHA-224":                   {with(key, releaseText, crypto.SHA224)},
		"a weak one beside a good one":   {mine, with(key, releaseText, crypto.SHA224)},
		"a broken one after a good one":  {mine, with(second, "another", crypto.SHA256)},
		"a broken one before a good one": {with(second, "another", crypto.SHA256), mine},
		"too many":                       append(slices.Clone(many), foreign, mine),
	} {
		t.Run("detached, "+name, func(t *testing.T) {
			if _, err := ring.VerifyDetached([]byte(releaseText), debtest.Armored(t, signatures...), now); !errors.Is(err, ErrSignature) {
				t.Errorf("got %v", err)
			}
		})
	}
	if _, err := ring.VerifyDetached([]byte(releaseText), debtest.Armored(t, append(many, mine)...), now); err != nil {
		t.Errorf("as many as are read: %v", err)
	}
}

func TestReadKeyringWantsEveryKey(t *testing.T) {
	key, other := debtest.NewKey(t, 0), debtest.NewKey(t, 0)
	_, err := ReadKeyring([][]byte{key.Public(t)}, []string{key.Fingerprint(), other.Fingerprint()})
	if err == nil || !strings.Contains(err.Error(), other.Fingerprint()) {
		t.Errorf("got %v, want an error that names the missing key", err)
	}
}

// TestProjectKeys reads the archive keys that the project trusts.
func TestProjectKeys(t *testing.T) {
	for name, fingerprint := range map[string]string{
		"debian-archive-trixie-automatic.asc":          "04B54C3CDCA79751B16BC6B5225629DF75B188BD",
		"debian-archive-trixie-security-automatic.asc": "5E04A1E3223A19A20706E20F9904613D4CCE68C6",
		"debian-archive-trixie-stable.asc":             "41587F7DB8C774BCCF131416762F67A0B2C39DE4",
		"ubuntu-archive-2018.asc":                      "F6ECB3762474EDA9D21B7022871920D1991BC93C",
	} {
		text, err := os.ReadFile(filepath.Join("../keys", name))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ReadKeyring([][]byte{text}, []string{fingerprint}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzVerifyInline(f *testing.F) {
	key := debtest.NewKey(f, 0)
	ring, err := ReadKeyring([][]byte{key.Public(f)}, []string{key.Fingerprint()})
	if err != nil {
		f.Fatal(err)
	}
	good := debtest.Inline(f, []byte(releaseText), signed, key)
	want, err := ring.VerifyInline(good, now)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(releaseText))
	f.Fuzz(func(t *testing.T, data []byte) {
		// Whatever is taken is what was signed.
		if r, err := ring.VerifyInline(data, now); err == nil && r.SHA256 != want.SHA256 {
			t.Fatal("a text that nobody signed is taken")
		}
	})
}

func FuzzParseRelease(f *testing.F) {
	f.Add([]byte(releaseText))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := parseRelease(text, []string{"x"}, now)
		if err != nil {
			return
		}
		for path, file := range r.files {
			if !ValidPath(path) || path != file.Path || !ValidSHA256(file.SHA256) || file.Size < 0 {
				t.Fatalf("file %+v", file)
			}
		}
	})
}
