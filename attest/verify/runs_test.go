package verify_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/in-toto/in-toto-golang/in_toto"

	"github.com/mastercard/mangos/attest/provenance"
)

// redefine changes what a step's statement says of how it ran, and its link's command
// with it, as whoever has the key can.
func (c *copied) redefine(step string, change func(p *provenance.Predicate)) {
	c.t.Helper()
	var s map[string]json.RawMessage
	var p provenance.Predicate
	if err := json.Unmarshal(c.payload(step), &s); err != nil {
		c.t.Fatal(err)
	}
	if err := json.Unmarshal(s["predicate"], &p); err != nil {
		c.t.Fatal(err)
	}
	change(&p)
	var err error
	if s["predicate"], err = json.Marshal(p); err != nil {
		c.t.Fatal(err)
	}
	payload, err := json.Marshal(s)
	if err != nil {
		c.t.Fatal(err)
	}
	c.state(step, payload, c.key())
	c.relink(step, func(l *in_toto.Link) {
		l.Command = append([]string{}, p.BuildDefinition.ExternalParameters.Command...)
	})
}

// TestRuns: what a statement says of how its step ran is another thing, in a release
// whose documents agree on it. The named check must fail, as in TestTampering.
func TestRuns(t *testing.T) {
	o := newOriginal(t)
	command := func(step string, change func(words []string) []string) func(c *copied) {
		return func(c *copied) {
			c.redefine(step, func(p *provenance.Predicate) {
				e := &p.BuildDefinition.ExternalParameters
				e.Command = change(e.Command)
			})
		}
	}
	swap := func(from, to string) func([]string) []string {
		return func(words []string) []string {
			words[slices.Index(words, from)] = to
			return words
		}
	}
	more := func(added ...string) func([]string) []string {
		return func(words []string) []string { return append(words, added...) }
	}
	epoch := func(step string, by int64) func(c *copied) {
		return func(c *copied) {
			c.redefine(step, func(p *provenance.Predicate) { p.BuildDefinition.InternalParameters.SourceDateEpoch += by })
		}
	}
	times := func(change func(c *copied, m *provenance.Metadata)) func(c *copied) {
		return func(c *copied) {
			c.redefine("erofs", func(p *provenance.Predicate) { change(c, p.RunDetails.Metadata) })
		}
	}
	version := func(step, key, value string, flag ...string) func(c *copied) {
		return func(c *copied) {
			c.redefine(step, func(p *provenance.Predicate) {
				e := &p.BuildDefinition.ExternalParameters
				e.Command = append(e.Command, flag...)
				if key != "" {
					e.Parameters = map[string]string{key: value}
				}
			})
		}
	}
	rows := []struct {
		name   string
		change func(c *copied)
		check  string
		detail string
	}{
		{"another program", command("erofs", swap("/in/program/image", "sh")), "runs", "step erofs: it ran ["},
		{"another command of the program", command("erofs", swap("root", "verity")), "runs", "step erofs: it ran ["},
		{"another sandbox", command("erofs", swap("/in/program/sandbox", "env")), "runs", "step erofs: it ran […want it under /in/program/sandbox"},
		{"a sandbox with a network", command("erofs", swap("--in", "--keep-network")), "runs", `step erofs: its sandbox had the flag "--keep-network"`},
		{"no command", command("lock", func([]string) []string { return nil }), "runs", "step lock: it ran []"},
		{"a command of a step that names what is there", command("source", more("true")), "runs", `step source: it ran ["true"]`},
		{"an input that the step did not have", command("erofs", more("--overlay", "/in/other")), "runs", `step erofs: its command has "/in/other": no input`},
		{"such an input in a variable", command("erofs", more("X=/in/plan.jsonx")), "runs", `step erofs: its command has "X=/in/plan.jsonx": no input`},
		{"an input by a way around", command("erofs", more("/in/plan.json/../other")), "runs", `"/in/plan.json/../other": no input of the step is called "other"`},
		{"a product that the step did not make", command("erofs", more("/out/other")), "runs", `step erofs: its command has "/out/other": no product`},
		{"another time in products", epoch("erofs", 1), "runs", "step erofs: its products bear the time "},
		{"no time in products", func(c *copied) {
			c.redefine("erofs", func(p *provenance.Predicate) { p.BuildDefinition.InternalParameters = nil })
		}, "runs", "step erofs: its products bear the time 0"},
		{"a time in products that have none", epoch("lock", 1), "runs", "step lock: its products bear the time 1"},
		{"another time in the list of the unsigned set", func(c *copied) {
			c.edit(c.find(".unsigned.json"), `"epoch": `, `"epoch": 1`)
		}, "runs", "the list of the unsigned set has the time 1"},
		{"a parameter", version("erofs", "version", "1.2"), "runs", `step erofs has the parameter "version"`},
		{"another parameter of the plan", version("plan", "x", "1.2"), "runs", `step plan has the parameter "x"`},
		{"a version that is not the release's", version("plan", "version", "9", "--version", "9"), "runs", `step plan had the version "9" as a parameter, the release has `},
		{"a version that is no parameter", version("plan", "", "", "--version", "1.2"), "runs", "step plan ran ["},
		{"a builder that another statement of the key does not have", func(c *copied) {
			const other = "https://example.com/another"
			c.policy = bytes.Replace(c.policy, []byte(`builders = [`), []byte(`builders = ["`+other+`", `), 1)
			c.redefine("erofs", func(p *provenance.Predicate) { p.RunDetails.Builder.ID = other })
		}, "statements", "sigstore.json: its builder is …by the same key"},
		{"a builder in another case", func(c *copied) {
			c.redefine("erofs", func(p *provenance.Predicate) { p.RunDetails.Builder.ID = "H" + p.RunDetails.Builder.ID[1:] })
		}, "statements", "erofs.sigstore.json: builder …is not one that the policy names"},
		{"a step that ended before it began", times(func(_ *copied, m *provenance.Metadata) { m.FinishedOn = "2001-01-01T00:00:00Z" }), "statements", "erofs.sigstore.json: its step ended at 2001-01-01T00:00:00Z, before it began at "},
		{"a step that is to come", times(func(c *copied, m *provenance.Metadata) {
			m.FinishedOn = c.at.Add(11 * time.Minute).UTC().Format(time.RFC3339)
		}), "statements", "erofs.sigstore.json: its step ended at …which is to come"},
		{"a step that does not say when it began", times(func(_ *copied, m *provenance.Metadata) { m.StartedOn = "" }), "statements", `erofs.sigstore.json: its step began at "", want a time`},
		{"a step that does not say when it ended", times(func(_ *copied, m *provenance.Metadata) { m.FinishedOn = "" }), "statements", `erofs.sigstore.json: its step ended at "", want a time`},
		{"a statement without times", func(c *copied) {
			c.redefine("erofs", func(p *provenance.Predicate) { p.RunDetails.Metadata = nil })
		}, "statements", "erofs.sigstore.json: it does not say when its step ran"},
	}
	first := o.firsts()
	for _, row := range rows {
		if !first(row.check) {
			continue
		}
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			c := o.trial(t)
			row.change(c)
			c.fails(row.check, row.detail)
		})
	}
}

// TestVersion: the release's version as a parameter of the plan's step is accepted, and a
// clock that is a little ahead.
func TestVersion(t *testing.T) {
	o := smallOriginal(t)
	c := o.copy(t)
	c.redefine("plan", func(p *provenance.Predicate) {
		e := &p.BuildDefinition.ExternalParameters
		e.Command, e.Parameters = append(e.Command, "--version", "1.2"), map[string]string{"version": "1.2"}
		p.RunDetails.Metadata.FinishedOn = c.at.Add(9 * time.Minute).UTC().Format(time.RFC3339)
	})
	c.seal()
	if err := c.run().Err(); err != nil {
		t.Error(err)
	}
}
