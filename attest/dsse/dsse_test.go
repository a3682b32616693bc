package dsse

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/mastercard/mangos/attest/keys"
)

func key(n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
}

func decimal(t *testing.T, s string) *big.Int {
	n, ok := new(big.Int).SetString(s, 10)
	if !ok {
		t.Fatalf("not a number: %s", s)
	}
	return n
}

// TestVector is the example of the DSSE protocol, protocol.md.
func TestVector(t *testing.T) {
	const kind, body = "http://example.com/HelloWorld", "hello world"
	pae := PAE(kind, []byte(body))
	if string(pae) != "DSSEv1 29 http://example.com/HelloWorld 11 hello world" {
		t.Fatalf("PAE is %q", pae)
	}
	pub := ecdsa.PublicKey{
		Curve: elliptic.P256(),
		X:     decimal(t, "46950820868899156662930047687818585632848591499744589407958293238635476079160"),
		Y:     decimal(t, "5640078356564379163099075877009565129882514886557779369047442380624545832820"),
	}
	sig, err := base64.StdEncoding.DecodeString("A3JqsQGtVsJ2O2xqrI5IcnXip5GToJ3F+FnZ+O88SjtR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA==")
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(pae)
	if !ecdsa.Verify(&pub, sum[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])) {
		t.Error("the vector's signature does not verify over our PAE")
	}
}

func TestSignVerify(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []crypto.Signer{key(1), ec} {
		e, err := Sign("type", []byte("payload"), k)
		if err != nil {
			t.Fatal(err)
		}
		want, _ := keys.KeyID(k.Public())
		got, err := e.Verify([]crypto.PublicKey{key(2).Public(), k.Public()}, 1)
		if err != nil || len(got) != 1 || got[0] != want {
			t.Errorf("%v, %v", got, err)
		}
		if _, err := e.Verify([]crypto.PublicKey{k.Public(), k.Public()}, 2); !errors.Is(err, ErrSignature) {
			t.Errorf("one key given twice counts twice: %v", err)
		}
		if _, err := e.Verify([]crypto.PublicKey{k.Public()}, 0); err == nil {
			t.Error("a threshold of 0 is accepted")
		}
		for name, change := range map[string]func(e *Envelope){
			"payload": func(e *Envelope) { e.Payload = []byte("payloae") },
			"type":    func(e *Envelope) { e.PayloadType = "typf" },
			// The lengths in the PAE keep the border between the two.
			"border": func(e *Envelope) { e.PayloadType, e.Payload = "type 7", []byte("ayload") },
		} {
			c := *e
			change(&c)
			if _, err := c.Verify([]crypto.PublicKey{k.Public()}, 1); !errors.Is(err, ErrSignature) {
				t.Errorf("changed %s: %v", name, err)
			}
		}
	}
}

// TestVotes: two signatures by one key are one vote.
func TestVotes(t *testing.T) {
	a, _ := Sign("t", []byte("p"), key(1))
	b, _ := Sign("t", []byte("p"), key(2))
	e := &Envelope{"t", []byte("p"), [][]byte{a.Signatures[0], a.Signatures[0]}}
	pubs := []crypto.PublicKey{key(1).Public(), key(2).Public()}
	if _, err := e.Verify(pubs, 2); !errors.Is(err, ErrSignature) {
		t.Errorf("the same signature twice: %v", err)
	}
	e.Signatures[1] = b.Signatures[0]
	if got, err := e.Verify(pubs, 2); err != nil || len(got) != 2 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestParse(t *testing.T) {
	payload := []byte{0xfb, 0xff, 0xfe}
	e, err := Sign("t", payload, key(1))
	if err != nil {
		t.Fatal(err)
	}
	std := base64.StdEncoding.EncodeToString
	url := base64.URLEncoding.EncodeToString
	text := func(payload, sig string) string {
		return fmt.Sprintf(`{"payload":%q,"payloadType":"t","signatures":[{"keyid":"nonsense","sig":%q}]}`, payload, sig)
	}
	for _, alphabet := range []func([]byte) string{std, url} {
		got, err := Parse([]byte(text(alphabet(payload), alphabet(e.Signatures[0]))))
		if err != nil || !bytes.Equal(got.Payload, payload) {
			t.Fatalf("%v", err)
		}
		if _, err := got.Verify([]crypto.PublicKey{key(1).Public()}, 1); err != nil {
			t.Error(err)
		}
	}
	good := text(std(payload), std(e.Signatures[0]))
	for name, bad := range map[string]string{
		"mixed alphabets":  text("+_8=", std(e.Signatures[0])),
		"line break":       strings.Replace(good, `"payload":"`, `"payload":"\n`, 1),
		"no padding":       text("+/8", std(e.Signatures[0])),
		"no signature":     `{"payload":"","payloadType":"t","signatures":[]}`,
		"empty signature":  text("", ""),
		"no type":          strings.Replace(good, `"t"`, `""`, 1),
		"unknown key":      strings.Replace(good, `{`, `{"x":1,`, 1),
		"key in any case":  strings.Replace(good, `payloadType`, `PayloadType`, 1),
		"duplicate":        strings.Replace(good, `{`, `{"payload":"",`, 1),
		"something behind": good + "{}",
		"many signatures":  `{"payload":"","payloadType":"t","signatures":[` + strings.Repeat(`{"sig":"AAAA"},`, 64) + `{"sig":"AAAA"}]}`,
	} {
		if _, err := Parse([]byte(bad)); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v, want ErrFormat", name, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"payload":"aGVsbG8=","payloadType":"t","signatures":[{"sig":"AA=="}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if e, err := Parse(data); err == nil {
			e.Verify([]crypto.PublicKey{key(1).Public()}, 1)
		}
	})
}
