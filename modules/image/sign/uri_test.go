package sign

import (
	"errors"
	"strings"
	"testing"
)

func TestParseURI(t *testing.T) {
	for text, want := range map[string]uri{
		"pkcs11:token=a;object=b":                                 {"pkcs11:token=a;object=b", ""},
		"pkcs11:token=a?pin-source=file:/run/pin":                 {"pkcs11:token=a?pin-source=file:/run/pin", ""},
		"pkcs11:token=a?pin-value=12%2034":                        {"pkcs11:token=a?pin-source=file:/proc/self/fd/3", "12 34"},
		"pkcs11:token=a?module-name=x&pin-value=1&":               {"pkcs11:token=a?module-name=x&pin-source=file:/proc/self/fd/3", "1"},
		"pkcs11:object=a%3Fpin-value=2;id=%01":                    {"pkcs11:object=a%3Fpin-value=2;id=%01", ""},
		"pkcs11:token=a?pin-source=file:/a%20b&module-path=/v=w?": {"pkcs11:token=a?pin-source=file:/a%20b&module-path=/v=w?", ""},
	} {
		if got, err := parseURI(text); err != nil || got != want {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
	for name, text := range map[string]string{
		"nothing": "pkcs11:", "a blank": "pkcs11:token=a b?pin-value=4711", "a line break": "pkcs11:a\npkcs11:b",
		"two PINs": "pkcs11:a?pin-value=4711&pin-value=4711", "PIN and file": "pkcs11:a?pin-value=4711&pin-source=file:/x",
		"a PIN in the path": "pkcs11:a;pin-value=4711", "a program as source": "pkcs11:a?pin-source=|cat",
		"a source without path": "pkcs11:a?pin-source=pin", "an empty PIN": "pkcs11:a?pin-value=", "an & in the PIN": "pkcs11:a?pin-value=1&4711", "a broken escape": "pkcs11:a?pin-value=4711%z",
	} {
		if _, err := parseURI(text); !errors.Is(err, ErrKey) || strings.Contains(err.Error(), "4711") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPINInArgument(t *testing.T) {
	if _, err := OpenKey("pkcs11:token=a?pin-value=4711", nil); !errors.Is(err, ErrKey) || strings.Contains(err.Error(), "4711") {
		t.Error(err)
	}
}

func FuzzParseURI(f *testing.F) {
	f.Add("pkcs11:token=a;object=b?pin-value=1&x=y")
	f.Add("pkcs11:?pin-source=file:/a")
	f.Fuzz(func(t *testing.T, text string) {
		u, err := parseURI(text)
		if err != nil {
			return
		}
		again, err := parseURI(u.text)
		if err != nil || again.pin != "" || again.text != u.text {
			t.Errorf("%q: shown as %q, which reads as %q (%v)", text, u.text, again, err)
		}
	})
}
