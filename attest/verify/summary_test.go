package verify_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mastercard/mangos/attest/policy"
	"github.com/mastercard/mangos/attest/verify"
)

// TestSummary: the verdict lists what it rests on: every file of the release that is
// signed evidence, by its digest, and no other.
func TestSummary(t *testing.T) {
	for title, change := range map[string]func(c *copied){
		"a release": func(*copied) {},
		"statements of two organisations": func(c *copied) {
			c.trustStranger("1")
			c.second("erofs", c.payload("erofs"), stranger)
			c.seal()
		},
		"a release that fails": func(c *copied) { c.restate("erofs", "#local-builder", "#another"); c.seal() },
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			c := newOriginal(t).copy(t)
			change(c)
			want := c.signedEvidence()
			if len(want) < 30 {
				t.Errorf("%d files are signed evidence", len(want))
			}
			got := map[string]string{}
			for _, a := range summarised(t, c.run()) {
				if got[a.Name] != "" {
					t.Errorf("%s is listed twice", a.Name)
				}
				got[a.Name] = a.Digest["sha256"]
			}
			if !maps.Equal(got, want) {
				t.Errorf("listed are %q, and should be %q", got, want)
			}
		})
	}
}

// TestSummaryLimits: the verdict says who gives it, of what time it is, and what it does
// not rest on.
func TestSummaryLimits(t *testing.T) {
	o := newOriginal(t)
	past := o.at.Add(-time.Hour).UTC()
	for title, options := range map[string][]verify.Option{"names of modules": nil, "their archives": {verify.Modules(t.TempDir())}} {
		p, err := policy.Parse(o.policy)
		if err != nil {
			t.Fatal(err)
		}
		r, err := verify.Release(t.Context(), o.dir, p, past, options...)
		if err != nil {
			t.Fatal(err)
		}
		s, err := r.Summary(verify.Verifier{ID: "https://example.com/v", Version: "v1.2.3", Resource: "https://example.com/r", Policy: "https://example.com/p", Time: o.at})
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Verifier     struct{ Version map[string]string }
			TimeVerified string
			At           string   `json:"mangos_at"`
			NotChecked   []string `json:"mangos_notChecked"`
		}
		if err := json.Unmarshal(s.Predicate, &got); err != nil {
			t.Fatal(err)
		}
		if got.Verifier.Version["mangos"] != "v1.2.3" || got.TimeVerified != o.at.UTC().Format(time.RFC3339) || got.At != past.Format(time.RFC3339) {
			t.Errorf("%s: it says %+v", title, got)
		}
		modules := slices.ContainsFunc(got.NotChecked, func(s string) bool { return strings.Contains(s, "--modules") })
		if got.NotChecked == nil || !slices.Equal(got.NotChecked, r.NotChecked) || modules != (options == nil) {
			t.Errorf("%s: not checked is %q", title, got.NotChecked)
		}
	}
}

type listed struct {
	Name   string
	Digest map[string]string
}

// summarised are the attestations that the summary of a report lists.
func summarised(t *testing.T, r *verify.Report) []listed {
	t.Helper()
	s, err := r.Summary(verify.Verifier{ID: "https://example.com/v", Resource: "https://example.com/r", Policy: "https://example.com/p", Time: time.Unix(0, 0)})
	if err != nil {
		t.Fatal(err)
	}
	var p struct{ InputAttestations []listed }
	if err := json.Unmarshal(s.Predicate, &p); err != nil {
		t.Fatal(err)
	}
	return p.InputAttestations
}

// signedEvidence are the digests of the files that bear a signature over what they say, or
// are one, by what is in them: an envelope, in-toto metadata, or a packet of OpenPGP.
func (c *copied) signedEvidence() map[string]string {
	c.t.Helper()
	found := map[string]string{}
	for _, name := range c.list(c.dir) {
		if strings.HasSuffix(name, ".raw") || strings.HasSuffix(name, ".zst") || strings.HasSuffix(name, ".xz") {
			continue
		}
		b := c.read(name)
		var m struct {
			DSSEEnvelope, Signatures json.RawMessage
		}
		if json.Unmarshal(b, &m) == nil && (m.DSSEEnvelope != nil || m.Signatures != nil) || bytes.HasPrefix(b, []byte{0xC2}) || bytes.HasPrefix(b, []byte{0x88}) {
			found[name] = digest(b)
		}
	}
	return found
}
