package verify_test

import (
	"bytes"
	"crypto"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mastercard/mangos/attest/bundle"
)

// TestSeveral: two organisations that the policy trusts both vouch for the steps. The
// second says what the first says, but for a change of its statement of one step; either
// both agree on every step, or the release is refused, however many are needed.
func TestSeveral(t *testing.T) {
	o := smallOriginal(t)
	const step = "erofs"
	insert := func(after, text string) func([]byte) []byte {
		return func(payload []byte) []byte {
			return bytes.Replace(payload, []byte(after), []byte(after+text), 1)
		}
	}
	same := func(payload []byte) []byte { return payload }
	something := `{"name":"a","digest":{"sha256":"` + zeros + `"}},`
	for name, row := range map[string]struct {
		change func(payload []byte) []byte // nil: there is no second statement of the step
		detail string                      // empty: accepted
		enough string                      // what is said where one of two would do; "same": detail
	}{
		"they agree": {same, "", "same"},
		"they agree, up to what is never compared": {func(p []byte) []byte {
			return bytes.Replace(p, []byte(`"builder":{`), []byte(`"builder":{"version":{"engine":"9"},`), 1)
		}, "", "same"},
		"the second says nothing of a step": {nil, "step erofs: 1 trusted keys signed its statement, 2 are needed", ""},
		"another product":                   {insert(`"subject":[`, something), "sigstore.json…it says something else of step erofs than ", "same"},
		"another digest of a product": {func(p []byte) []byte {
			const key = `"subject":[{"name":"`
			at := bytes.Index(p, []byte(key))
			sum := at + bytes.Index(p[at:], []byte(`"sha256":"`)) + len(`"sha256":"`)
			changed := bytes.Clone(p)
			copy(changed[sum:], zeros)
			return changed
		}, "sigstore.json…it says something else of step erofs than ", "same"},
		"another input":     {insert(`"resolvedDependencies":[`, something), "sigstore.json…it says something else of step erofs than ", "same"},
		"another command":   {insert(`"command":[`, `"env",`), "sigstore.json…it says something else of step erofs than ", "same"},
		"another parameter": {insert(`"externalParameters":{`, `"parameters":{"version":"9"},`), "sigstore.json…it says something else of step erofs than ", "same"},
	} {
		for _, threshold := range []string{"1", "2"} {
			t.Run(name+", "+threshold+" needed", func(t *testing.T) {
				t.Parallel()
				c := o.trial(t)
				c.trustStranger(threshold)
				for _, other := range c.steps() {
					payload := c.payload(other)
					if other == step && row.change == nil {
						continue
					}
					if other == step {
						payload = row.change(payload)
					}
					c.second(other, payload, stranger)
				}
				c.seal()
				want := row.detail
				if threshold == "1" && row.enough != "same" {
					want = row.enough
				}
				r := c.run()
				if want == "" {
					if err := r.Err(); err != nil {
						t.Error(err)
					}
					return
				}
				if got := failed(t, r)["statements"]; !says(got, want) {
					t.Errorf("it should say %q: %q", want, got)
				}
			})
		}
	}
}

// trustStranger has the policy trust a second key for statements, and want so many of
// the two.
func (c *copied) trustStranger(threshold string) {
	c.t.Helper()
	for _, change := range [][2]string{
		{"threshold = 1", "threshold = " + threshold},
		{"keys = ['''", "keys = ['''" + strangerPEM(c.t) + "''', '''"},
		{"organisations = [", `organisations = ["Stranger", `},
	} {
		if !bytes.Contains(c.policy, []byte(change[0])) {
			c.t.Fatalf("the policy has no %q", change[0])
		}
		c.policy = bytes.Replace(c.policy, []byte(change[0]), []byte(change[1]), 1)
	}
}

// steps are those that have a statement.
func (c *copied) steps() []string {
	c.t.Helper()
	var steps []string
	for _, name := range c.list(c.dir) {
		if base, ok := strings.CutSuffix(name, bundle.Suffix); ok {
			steps = append(steps, base[strings.LastIndexByte(base, '.')+1:])
		}
	}
	if len(steps) < 10 {
		c.t.Fatalf("statements of %q", steps)
	}
	return steps
}

// second puts another statement of a step beside the first.
func (c *copied) second(step string, payload []byte, key crypto.Signer) {
	c.t.Helper()
	c.stateAs(strings.TrimSuffix(c.statement(step), bundle.Suffix)+".01234567"+bundle.Suffix, payload, key)
}

// TestCaches: the report names each step of which one of its statements tells of content
// of earlier runs.
func TestCaches(t *testing.T) {
	o := smallOriginal(t)
	forget := func(c *copied, step string) { c.restate(step, `"caches":`, `"other":`) }
	for name, row := range map[string]struct {
		change func(c *copied, step string) // of a step that had one
		none   bool
	}{
		"as they were": {func(*copied, string) {}, false},
		"one organisation's alone": {func(c *copied, step string) {
			c.second(step, bytes.Replace(c.payload(step), []byte(`"caches":`), []byte(`"other":`), 1), stranger)
		}, false},
		"none":                         {forget, true},
		"another organisation's alone": {func(c *copied, step string) { c.second(step, c.payload(step), stranger); forget(c, step) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := o.trial(t)
			c.trustStranger("1")
			var cached []string
			for _, step := range c.steps() {
				if bytes.Contains(c.payload(step), []byte(`"caches":`)) {
					cached = append(cached, step)
					row.change(c, step)
				}
			}
			if len(cached) == 0 {
				t.Fatal("no step had a cache")
			}
			slices.Sort(cached)
			want := fmt.Sprintf("; %d had a cache: %s", len(cached), strings.Join(cached, ", "))
			if row.none {
				want = "; none had a cache"
			}
			c.seal()
			r := c.run()
			if err := r.Err(); err != nil {
				t.Error(err)
			}
			for _, check := range r.Checks {
				if check.Name == "statements" && !strings.HasSuffix(check.Detail, want) {
					t.Errorf("%q does not say %q", check.Detail, want)
				}
			}
		})
	}
}
