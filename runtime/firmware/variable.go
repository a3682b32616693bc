// Package firmware reads what the machine's firmware says about itself: EFI
// variables and the SMBIOS product UUID. All of it is foreign input.
package firmware

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// GlobalVariable is the vendor GUID of the variables that the UEFI
// specification itself defines (UEFI 2.10, section 3.3).
const GlobalVariable = "8be4df61-93ca-11d2-aa0d-00e098032b8c"

// LoaderVariable is the vendor GUID of the Boot Loader Interface.
const LoaderVariable = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"

// maxVariable is the largest variable that is read. Those of interest hold a
// byte or a short string.
const maxVariable = 64 << 10

var (
	// ErrNoVariables: the machine has no EFI variables, so it was not started
	// by UEFI firmware.
	ErrNoVariables = errors.New("no EFI variables")
	// ErrMalformed: a variable is not of the form its specification gives.
	ErrMalformed = errors.New("malformed EFI variable")
)

// A Variable is an EFI variable as efivarfs shows it.
type Variable struct {
	Attributes uint32
	Data       []byte
}

// ReadVariable reads the variable from the tree at root ("/" on a machine). A
// variable that is not set gives fs.ErrNotExist, a machine without any
// ErrNoVariables.
func ReadVariable(root, name, vendor string) (Variable, error) {
	dir := filepath.Join(root, "sys/firmware/efi/efivars")
	f, err := os.Open(variablePath(root, name, vendor))
	if errors.Is(err, fs.ErrNotExist) {
		if entries, derr := os.ReadDir(dir); derr != nil || len(entries) == 0 {
			return Variable{}, fmt.Errorf("read variable %s: %w", name, ErrNoVariables)
		}
	}
	if err != nil {
		return Variable{}, fmt.Errorf("read variable %s: %w", name, err)
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxVariable+1))
	if err != nil {
		return Variable{}, fmt.Errorf("read variable %s: %w", name, err)
	}
	v, err := parseVariable(raw)
	if err != nil {
		return Variable{}, fmt.Errorf("read variable %s: %w", name, err)
	}
	return v, nil
}

// parseVariable splits a file of efivarfs: four bytes of attributes, little
// endian, and the data.
func parseVariable(raw []byte) (Variable, error) {
	if len(raw) > maxVariable {
		return Variable{}, fmt.Errorf("%w: more than %d bytes", ErrMalformed, maxVariable)
	}
	if len(raw) < 4 {
		return Variable{}, fmt.Errorf("%w: %d bytes, attributes alone are 4", ErrMalformed, len(raw))
	}
	return Variable{Attributes: binary.LittleEndian.Uint32(raw), Data: raw[4:]}, nil
}

// Flag reads a variable of one byte that is 0 or 1. A variable that is not set
// gives fs.ErrNotExist.
func Flag(root, name string) (bool, error) {
	v, err := ReadVariable(root, name, GlobalVariable)
	if err != nil {
		return false, err
	}
	return parseFlag(name, v.Data)
}

func parseFlag(name string, data []byte) (bool, error) {
	if len(data) != 1 || data[0] > 1 {
		return false, fmt.Errorf("read variable %s: %w: % x is neither 0 nor 1", name, ErrMalformed, data[:min(len(data), 16)])
	}
	return data[0] == 1, nil
}

// IsSet says whether the variable exists, for callers that only choose a way out: one
// that cannot be read exists.
func IsSet(root, name, vendor string) bool {
	_, err := ReadVariable(root, name, vendor)
	return !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, ErrNoVariables)
}
