package luks

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"

	"github.com/mastercard/mangos/attest/strictjson"
)

// Metadata is what a header says about its key slots and tokens.
type Metadata struct {
	// Slots are the numbers of used key slots, ascending.
	Slots []int
	// Tokens by their place.
	Tokens map[int]Token
}

// Token is a token of any type. Slots are the key slots it is for.
type Token struct {
	Type  string
	Slots []int
	JSON  []byte
}

// magic begins a LUKS2 header: LUKS2 On-Disk Format Specification, section 2.
const magic = "LUKS\xba\xbe\x00\x02"

// Is says whether a device begins with a LUKS2 header.
func Is(device io.ReaderAt) (bool, error) {
	head := make([]byte, len(magic))
	if _, err := device.ReadAt(head, 0); err != nil {
		return false, fmt.Errorf("look for a LUKS2 header: %w", err)
	}
	return string(head) == magic, nil
}

// Metadata reads the header. Without one the error wraps ErrNotLUKS.
func (v Volume) Metadata(ctx context.Context) (*Metadata, error) {
	f, err := os.Open(v.Path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	is, err := Is(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", v.Path, err)
	}
	if !is {
		return nil, fmt.Errorf("%s: %w", v.Path, ErrNotLUKS)
	}
	raw, err := v.run(ctx, nil, nil, "luksDump", "--dump-json-metadata", v.Path)
	if err != nil {
		return nil, err
	}
	m, err := parseMetadata(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", v.Path, err)
	}
	return m, nil
}

func parseMetadata(raw []byte) (*Metadata, error) {
	var j struct {
		Keyslots map[string]json.RawMessage `json:"keyslots"`
		Tokens   map[string]json.RawMessage `json:"tokens"`
	}
	if err := strictjson.Unmarshal(raw, &j); err != nil {
		return nil, fmt.Errorf("LUKS2 metadata: %w", err)
	}
	m := &Metadata{Tokens: map[int]Token{}}
	for name := range j.Keyslots {
		slot, err := number(name)
		if err != nil {
			return nil, err
		}
		m.Slots = append(m.Slots, slot)
	}
	slices.Sort(m.Slots)
	for name, raw := range j.Tokens {
		place, err := number(name)
		if err != nil {
			return nil, err
		}
		if m.Tokens[place], err = parseToken(raw); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func parseToken(raw []byte) (Token, error) {
	var j struct {
		Type     string   `json:"type"`
		Keyslots []string `json:"keyslots"`
	}
	if err := strictjson.Unmarshal(raw, &j); err != nil {
		return Token{}, fmt.Errorf("LUKS2 token: %w", err)
	}
	t := Token{Type: j.Type, JSON: raw}
	for _, name := range j.Keyslots {
		slot, err := number(name)
		if err != nil {
			return Token{}, err
		}
		t.Slots = append(t.Slots, slot)
	}
	return t, nil
}

// number reads the number of a key slot or token; LUKS2 has 32 of each.
func number(text string) (int, error) {
	n, err := strconv.ParseUint(text, 10, 5)
	if err != nil || strconv.FormatUint(n, 10) != text {
		return 0, fmt.Errorf("LUKS2 metadata: %q is no number of a key slot or token", text)
	}
	return int(n), nil
}

// Find returns the tokens of a type, in the order of their places.
func (m *Metadata) Find(kind string) (places []int) {
	for place, t := range m.Tokens {
		if t.Type == kind {
			places = append(places, place)
		}
	}
	slices.Sort(places)
	return places
}

// FreeSlot returns the first key slot that is not used, -1 if all are.
func (m *Metadata) FreeSlot() int {
	for slot := range 32 {
		if !slices.Contains(m.Slots, slot) {
			return slot
		}
	}
	return -1
}
