package layout

import (
	"crypto"
	"fmt"
	"time"

	"github.com/in-toto/in-toto-golang/in_toto"

	"github.com/mastercard/mangos/attest/pipeline"
)

// FileName of the layout in a release.
const FileName = "root.layout"

// New makes the layout of a pipeline. Every step may be done by any of the
// functionaries and needs threshold of them. It expires at the given time.
func New(p *pipeline.Pipeline, functionaries []crypto.PublicKey, threshold int, expires time.Time) (in_toto.Layout, error) {
	l := in_toto.Layout{
		Type: "layout", Keys: map[string]in_toto.Key{}, Inspect: []in_toto.Inspection{},
		Expires: expires.UTC().Format(in_toto.ISO8601DateSchema),
		Readme:  "The mangos pipeline: which step makes what of what. See attest/README.md.",
	}
	var ids []string
	for _, pub := range functionaries {
		k, err := Key(pub)
		if err != nil {
			return l, fmt.Errorf("new layout: %w", err)
		}
		if _, twice := l.Keys[k.KeyID]; !twice {
			ids = append(ids, k.KeyID)
		}
		l.Keys[k.KeyID] = k
	}
	for _, s := range p.Steps {
		l.Steps = append(l.Steps, in_toto.Step{
			Type: "step", PubKeys: ids, ExpectedCommand: []string{}, Threshold: threshold,
			SupplyChainItem: in_toto.SupplyChainItem{
				Name:              s.Name,
				ExpectedMaterials: materialRules(s),
				ExpectedProducts:  productRules(s),
			},
		})
	}
	if err := check(&l); err != nil {
		return l, fmt.Errorf("new layout: %w", err)
	}
	return l, nil
}

func materialRules(s pipeline.Step) [][]string {
	rules := [][]string{}
	for _, m := range s.Materials {
		if m.Required {
			rules = append(rules, []string{"REQUIRE", m.Name()})
		}
	}
	for _, m := range s.Materials {
		switch {
		case m.From == pipeline.Organisation:
			rules = append(rules, []string{"ALLOW", m.Pattern})
		case m.In != "":
			rules = append(rules, []string{"MATCH", m.Pattern, "IN", m.In, "WITH", "PRODUCTS", "IN", m.As, "FROM", m.From})
		default:
			rules = append(rules, []string{"MATCH", m.Pattern, "WITH", "PRODUCTS", "FROM", m.From})
		}
	}
	return append(rules, []string{"DISALLOW", "*"})
}

func productRules(s pipeline.Step) [][]string {
	rules := [][]string{}
	for _, p := range s.Products {
		if p.Required {
			rules = append(rules, []string{"REQUIRE", p.Pattern})
		}
	}
	for _, p := range s.Products {
		rules = append(rules, []string{"CREATE", p.Pattern})
	}
	return append(rules, []string{"DISALLOW", "*"})
}

// Sign returns the content of a layout's file, signed by each of owners.
func Sign(l in_toto.Layout, owners ...crypto.Signer) ([]byte, error) {
	m := metablock[in_toto.Layout]{Signed: l}
	for _, o := range owners {
		sig, err := sign(l, o)
		if err != nil {
			return nil, fmt.Errorf("sign layout: %w", err)
		}
		m.Signatures = append(m.Signatures, sig)
	}
	return encode(m)
}
