package policy

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/mastercard/mangos/compare/organisation"
)

func TestParse(t *testing.T) {
	for _, c := range []struct{ name, text, message string }{
		{"good", `{"format": "mangos-policy-1", "thresholds": {"default": 2, "kernel": 3}, "required": ["alpha"], "maxAgeDays": 30}`, ""},
		{"no thresholds", `{"format": "mangos-policy-1"}`, `no "default"`},
		{"threshold 0", `{"format": "mangos-policy-1", "thresholds": {"default": 2, "kernel": 0}}`, "at least 1 is needed"},
		{"threshold below 0", `{"format": "mangos-policy-1", "thresholds": {"default": -1}}`, "at least 1 is needed"},
		{"unknown kind", `{"format": "mangos-policy-1", "thresholds": {"default": 2, "kernal": 3}}`, `no kind "kernal"`},
		{"unknown member", `{"format": "mangos-policy-1", "thresholds": {"default": 2}, "allowDissent": true}`, "unknown key"},
		{"required twice", `{"format": "mangos-policy-1", "thresholds": {"default": 2}, "required": ["alpha", "alpha"]}`, "stands there twice"},
		{"required path", `{"format": "mangos-policy-1", "thresholds": {"default": 2}, "required": ["../x"]}`, "no identifier"},
		{"age below 0", `{"format": "mangos-policy-1", "thresholds": {"default": 2}, "maxAgeDays": -1}`, "maxAgeDays"},
		{"age beyond counting", `{"format": "mangos-policy-1", "thresholds": {"default": 2}, "maxAgeDays": 1000000000}`, "maxAgeDays"},
		{"commitment", `{"format": "mangos-policy-1", "thresholds": {"default": 2}, "commitment": "no"}`, "commitment is"},
		{"unknown organisations", `{"format": "mangos-policy-1", "thresholds": {"default": 2}, "unknownOrganisations": "count"}`, "unknownOrganisations is"},
		{"another format", `{"format": "mangos-policy-2", "thresholds": {"default": 2}}`, "this program reads"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := Parse([]byte(c.text))
			if c.message != "" {
				if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), c.message) {
					t.Errorf("got %v, want %q", err, c.message)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if p.Threshold("kernel") != 3 || p.Threshold("root") != 2 || p.MaxAge != 30*24*time.Hour || p.Commitment != Required || p.Unknown != Refuse {
				t.Errorf("%+v", p)
			}
		})
	}
}

// TestNeverMet: what the registry cannot fulfil is refused at once.
func TestNeverMet(t *testing.T) {
	r, err := organisation.Parse([]byte(`{"format": "mangos-organisations-1", "organisations": [{"id": "alpha", "keys": [{"sha256": "` + strings.Repeat("a", 64) + `"}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	for text, ok := range map[string]bool{
		`{"format": "mangos-policy-1", "thresholds": {"default": 1}, "required": ["alpha"]}`: true,
		`{"format": "mangos-policy-1", "thresholds": {"default": 1}, "required": ["beta"]}`:  false,
		`{"format": "mangos-policy-1", "thresholds": {"default": 1, "kernel": 2}}`:           false,
	} {
		p, err := Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := p.CheckAgainst(r); (err == nil) != ok || err != nil && !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"format": "mangos-policy-1", "thresholds": {"default": 2, "kernel": 3}, "required": ["alpha"]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := Parse(text)
		if err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Errorf("an error of no kind: %v", err)
			}
			return
		}
		for _, k := range append([]string{Default}, Kinds...) {
			if p.Threshold(k) < 1 {
				t.Errorf("threshold of %s is %d", k, p.Threshold(k))
			}
		}
		if p.MaxAge < 0 {
			t.Errorf("age %s", p.MaxAge)
		}
	})
}
