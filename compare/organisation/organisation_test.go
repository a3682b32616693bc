package organisation

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

var (
	keyA = strings.Repeat("a", 64)
	keyB = strings.Repeat("b", 64)
)

func registry(list ...string) string {
	return fmt.Sprintf(`{"format": "mangos-organisations-1", "organisations": [%s]}`, strings.Join(list, ","))
}

func entry(id, key string) string {
	return fmt.Sprintf(`{"id": %q, "keys": [{"sha256": %q}]}`, id, key)
}

func TestParse(t *testing.T) {
	for _, c := range []struct{ name, text, message string }{
		{"good", registry(entry("alpha", keyA), entry("beta", keyB)), ""},
		{"one key under two names", registry(entry("alpha", keyA), entry("beta", keyA)), `stands under "alpha" and under "beta": a key is one vote`},
		{"one key twice", registry(fmt.Sprintf(`{"id": "alpha", "keys": [{"sha256": %q}, {"sha256": %q}]}`, keyA, keyA)), "a key is one vote"},
		{"an organisation twice", registry(entry("alpha", keyA), entry("alpha", keyB)), "stands there twice"},
		{"no keys", registry(`{"id": "alpha", "keys": []}`), "has 0 keys"},
		{"nobody", registry(), "lists 0 organisations"},
		{"upper case digest", registry(entry("alpha", strings.ToUpper(keyA))), "no SHA-256"},
		{"short digest", registry(entry("alpha", "abcd")), "no SHA-256"},
		{"path as a name", registry(entry("../alpha", keyA)), "no identifier"},
		{"unprintable name", registry(fmt.Sprintf(`{"id": "alpha", "name": "a\u001b[2J", "keys": [{"sha256": %q}]}`, keyA)), "unusable name"},
		{"unknown member", registry(fmt.Sprintf(`{"id": "alpha", "trust": true, "keys": [{"sha256": %q}]}`, keyA)), "unknown key"},
		{"duplicate member", `{"format": "mangos-organisations-1", "format": "x", "organisations": []}`, "duplicate key"},
		{"another format", strings.Replace(registry(entry("alpha", keyA)), "-1", "-2", 1), "this program reads"},
		{"never valid", registry(fmt.Sprintf(`{"id": "alpha", "keys": [{"sha256": %q, "notBefore": "2026-01-01T00:00:00Z", "notAfter": "2025-01-01T00:00:00Z"}]}`, keyA)), "never valid"},
		{"builder that is no address", registry(fmt.Sprintf(`{"id": "alpha", "builders": ["my laptop"], "keys": [{"sha256": %q}]}`, keyA)), "builder"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := Parse([]byte(c.text))
			if c.message == "" {
				if err != nil {
					t.Fatal(err)
				}
				if r.Owner(keyB).ID != "beta" || r.Find("alpha").ID != "alpha" || r.Find("gamma") != nil || r.Owner("x") != nil {
					t.Error("wrong organisations are found")
				}
				return
			}
			if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), c.message) {
				t.Errorf("got %v, want %q", err, c.message)
			}
		})
	}
}

func TestSpeaks(t *testing.T) {
	from, to := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	o := Organisation{ID: "alpha", Keys: []Key{{SHA256: keyA, NotBefore: &from, NotAfter: &to}}}
	for _, c := range []struct {
		key string
		at  time.Time
		ok  bool
	}{
		{keyA, from, true}, {keyA, to, true}, {keyA, from.Add(-1), false}, {keyA, to.Add(1), false}, {keyB, from, false},
	} {
		if err := o.Speaks(c.key, c.at); (err == nil) != c.ok || err != nil && !errors.Is(err, ErrKey) {
			t.Errorf("key %.4s at %s: %v", c.key, c.at, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(registry(entry("alpha", keyA), entry("beta", keyB))))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := Parse(text)
		if err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Errorf("an error of no kind: %v", err)
			}
			return
		}
		owners := map[string]string{}
		for _, o := range r.Organisations {
			if CheckID(o.ID) != nil || r.Find(o.ID) == nil || r.Find(o.ID).ID != o.ID {
				t.Errorf("organisation %q is not found", o.ID)
			}
			for _, k := range o.Keys {
				if owners[k.SHA256] != "" {
					t.Errorf("key %s has two owners", k.SHA256)
				}
				owners[k.SHA256] = o.ID
			}
		}
	})
}
