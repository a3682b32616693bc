package partition

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"unicode/utf16"

	"github.com/mastercard/mangos/runtime/firmware"
)

// The request for a factory reset is the EFI variable that systemd-repart(8)
// takes for one. Only the running system's root, or whoever has the firmware,
// can set it; either could wipe the disk as well.
const (
	resetVariable = "FactoryReset"
	systemdVendor = "8cf2644b-4b0b-428f-9387-6d876050dc67"
)

// RequestReset asks for a factory reset at the next start.
func RequestReset(root string) error {
	var raw []byte
	for _, unit := range utf16.Encode([]rune("yes\x00")) {
		raw = binary.LittleEndian.AppendUint16(raw, unit)
	}
	return firmware.SetVariable(root, resetVariable, systemdVendor, raw)
}

// ResetRequested says whether somebody did. A variable that says neither yes nor
// no is an error.
func ResetRequested(root string) (bool, error) {
	v, err := firmware.ReadVariable(root, resetVariable, systemdVendor)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, firmware.ErrNoVariables) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return parseBoolean(v.Data)
}

// parseBoolean reads UTF-16 with a NUL at its end, by systemd's parse_boolean().
func parseBoolean(raw []byte) (bool, error) {
	var units []uint16
	for pair := range slices.Chunk(raw[:len(raw)/2*2], 2) {
		units = append(units, binary.LittleEndian.Uint16(pair))
	}
	word := strings.ToLower(strings.TrimSuffix(string(utf16.Decode(units)), "\x00"))
	switch {
	case slices.Contains([]string{"1", "yes", "y", "true", "t", "on"}, word):
		return true, nil
	case slices.Contains([]string{"0", "no", "n", "false", "f", "off"}, word):
		return false, nil
	}
	return false, fmt.Errorf("the EFI variable %s says %.20q, neither yes nor no", resetVariable, word)
}

// ForgetReset removes the request.
func ForgetReset(root string) error {
	return firmware.RemoveVariable(root, resetVariable, systemdVendor)
}
