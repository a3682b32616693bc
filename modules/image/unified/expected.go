package unified

import (
	"encoding/json"
	"fmt"

	"github.com/mastercard/mangos/attest/strictjson"
	"github.com/mastercard/mangos/format/pcr"
)

// Expected is the content of mangos_<version>.pcrs.json: what an organisation's
// image leaves in the register of the kernel.
type Expected struct {
	Name    string          `json:"name"`
	Version string          `json:"version"`
	PCR     int             `json:"pcr"`
	Bank    string          `json:"bank"`
	Phases  []ExpectedPhase `json:"phases"`
}

// ExpectedPhase is the register, and the digest of the policy that asks for it,
// after a phase of the boot.
type ExpectedPhase struct {
	Phase  string `json:"phase"`
	Value  string `json:"value"`
	Policy string `json:"policy"`
}

// Expect describes the phases of an image.
func Expect(name, version string, phases []pcr.Phase) Expected {
	e := Expected{Name: name, Version: version, PCR: pcr.Kernel, Bank: "sha256"}
	for _, p := range phases {
		e.Phases = append(e.Phases, ExpectedPhase{Phase: p.Path, Value: p.Value.String(), Policy: p.Policy.String()})
	}
	return e
}

// ReadExpected reads what a release says.
func ReadExpected(text []byte) (Expected, error) {
	var e Expected
	if err := strictjson.UnmarshalKnown(text, &e); err != nil {
		return e, fmt.Errorf("read expected PCR values: %w", err)
	}
	return e, nil
}

// JSON is the file's text.
func (e Expected) JSON() ([]byte, error) {
	text, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("expected PCR values: %w", err)
	}
	return append(text, '\n'), nil
}
