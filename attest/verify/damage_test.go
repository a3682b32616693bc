package verify_test

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"

	"github.com/mastercard/mangos/attest/bundle"
	"github.com/mastercard/mangos/attest/policy"
	"github.com/mastercard/mangos/attest/verify"
)

// TestEveryFile: one byte of each file, with and without new checksums.
func TestEveryFile(t *testing.T) {
	o := newOriginal(t)
	for _, name := range o.sample(t) {
		for _, sealed := range []bool{false, true} {
			sums := strings.HasPrefix(name, "SHA256SUMS")
			if sealed && sums || !sealed && !sums && o.world == nil {
				continue // a real release takes long enough
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				c := o.copy(t)
				b := bytes.Clone(c.read(name))
				b[len(b)/2] ^= 1
				c.write(name, b)
				if sealed {
					c.seal()
				}
				r := c.run()
				c.blames(r, name, sealed)
				if said := failed(t, r)["checksums"]; !sealed && !sums && !strings.Contains(said, name) {
					t.Errorf("the checksums do not show it: %q", said)
				}
			})
		}
	}
}

// TestCutFiles: half of each file, and nothing of it.
func TestCutFiles(t *testing.T) {
	o := newOriginal(t)
	for i, name := range o.sample(t) {
		for _, part := range []int{0, 1} {
			if o.short() && i%8 != 0 {
				continue
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				c := o.copy(t)
				b := c.read(name)
				c.write(name, bytes.Clone(b[:len(b)*part/2]))
				if !strings.HasPrefix(name, "SHA256SUMS") {
					c.seal()
				}
				c.blames(c.run(), name, true)
			})
		}
	}
}

// sample lists the files of a release; in a short trial the evidence of one step only.
func (o *original) sample(t *testing.T) []string {
	t.Helper()
	c := o.copy(t)
	names := c.list(o.dir)
	if !o.short() {
		return names
	}
	return slices.DeleteFunc(names, func(name string) bool {
		evidence := strings.HasSuffix(name, bundle.Suffix) || strings.HasSuffix(name, ".link")
		return evidence && name != c.statement("disk") && name != c.link("disk")
	})
}

// TestSignatureForms: what is more or less than one signature of the checksums, or the
// same in another form, is none.
func TestSignatureForms(t *testing.T) {
	o := newOriginal(t)
	first := o.firsts()
	for _, row := range []struct {
		name   string
		change func(sig []byte) []byte
		detail string
	}{
		{"text behind it", func(sig []byte) []byte { return append(sig, "garbage\n"...) }, "its first bytes"},
		{"twice", func(sig []byte) []byte { return append(sig, sig...) }, "its first bytes"},
		{"another length", func(sig []byte) []byte { sig[1] ^= 2; return sig }, "its first bytes"},
		{"another beginning of the hash", func(sig []byte) []byte {
			at := 8 + int(sig[6])<<8 + int(sig[7])
			sig[at+2+int(sig[at])<<8+int(sig[at+1])] ^= 1
			return sig
		}, "the beginning of the hash"},
		{"in armour", func(sig []byte) []byte {
			var b bytes.Buffer
			w, err := armor.Encode(&b, openpgp.SignatureType, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write(sig); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			return b.Bytes()
		}, "its first bytes (2d2d2d)"},
		{"nothing", func([]byte) []byte { return nil }, "its first bytes ()"},
	} {
		if !first("checksums-signature") {
			continue
		}
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			c := o.copy(t)
			c.write("SHA256SUMS.gpg", row.change(bytes.Clone(c.read("SHA256SUMS.gpg"))))
			got := failed(t, c.run())
			if want := "SHA256SUMS.gpg: …" + row.detail; len(got) != 1 || !says(got["checksums-signature"], want) {
				t.Errorf("the check checksums-signature alone should say %q: %q", want, got)
			}
		})
	}
}

// TestUnlisted: a file that is not even in the checksums.
func TestUnlisted(t *testing.T) {
	c := newOriginal(t).copy(t)
	c.write("more.txt", []byte("x"))
	got := failed(t, c.run())
	for _, check := range []string{"checksums", "accounted"} {
		if !strings.Contains(got[check], "more.txt") {
			t.Errorf("the check %s does not name the file: %q", check, got)
		}
	}
}

// blames looks for the name of a file among what failed checks say; the checks
// of the checksums do not count where these were made anew.
func (c *copied) blames(r *verify.Report, name string, sealed bool) {
	c.t.Helper()
	got := failed(c.t, r)
	if sealed {
		delete(got, "checksums")
	}
	subject := name
	if strings.HasPrefix(name, "SHA256SUMS") {
		subject = "SHA256SUMS"
	}
	for _, detail := range got {
		if strings.Contains(detail, subject) {
			return
		}
	}
	c.t.Errorf("no failed check names %s: %q", name, got)
}

// TestHugeStatement: 2 GB are refused before they are read.
func TestHugeStatement(t *testing.T) {
	c := newOriginal(t).copy(t)
	name := c.statement("erofs")
	c.write(name, nil)
	if err := os.Truncate(c.path(name), 2<<30); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	c.blames(c.run(), name, true)
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("that took %s", took)
	}
}

// TestAlphabets: base64 of either alphabet is the same statement.
func TestAlphabets(t *testing.T) {
	c := newOriginal(t).copy(t)
	for _, name := range c.list(c.dir) {
		if !strings.HasSuffix(name, bundle.Suffix) {
			continue
		}
		e, err := bundle.Read(c.path(name))
		if err != nil {
			t.Fatal(err)
		}
		text := string(c.read(name))
		for _, b := range [][]byte{e.Payload, e.Signatures[0]} {
			standard, other := base64.StdEncoding.EncodeToString(b), base64.URLEncoding.EncodeToString(b)
			text = strings.Replace(text, standard, other, 1)
		}
		c.write(name, []byte(text))
	}
	c.seal()
	if err := c.run().Err(); err != nil {
		t.Error(err)
	}
}

// TestNothing: a folder without a file is never verified.
func TestNothing(t *testing.T) {
	o := newOriginal(t)
	p, err := policy.Parse(o.policy)
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{t.TempDir(), filepath.Join(t.TempDir(), "missing")} {
		if r, err := verify.Release(t.Context(), dir, p, o.at); err == nil {
			t.Errorf("%+v", r)
		}
	}
	c := o.copy(t)
	for _, name := range c.list(c.dir) {
		os.Remove(c.path(name))
	}
	c.write("README", nil) // checksums of nothing are not made
	c.seal()
	failed(t, c.run())
}
