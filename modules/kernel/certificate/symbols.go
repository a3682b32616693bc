package certificate

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// ErrSymbol reports a System.map that lacks what is needed, or contradicts the
// kernel.
var ErrSymbol = errors.New("bad symbol")

// maxMap bounds a System.map in bytes.
const maxMap = 64 << 20

// Symbols are the addresses of the kernel's reserved certificate area.
type Symbols struct {
	List     uint64 // system_certificate_list: where the kernel starts to read certificates
	Area     uint64 // system_extra_cert: the reserved area, right behind the list
	Used     uint64 // system_extra_cert_used: how much of it is used, 4 bytes
	ListSize uint64 // system_certificate_list_size: how much the kernel reads, 8 bytes
}

// ReadSymbols takes the addresses from a System.map (lines of an address in
// hexadecimal, a type and a name).
func ReadSymbols(r io.Reader) (Symbols, error) {
	var s Symbols
	wanted := map[string]*uint64{
		"system_certificate_list":      &s.List,
		"system_extra_cert":            &s.Area,
		"system_extra_cert_used":       &s.Used,
		"system_certificate_list_size": &s.ListSize,
	}
	limited := &io.LimitedReader{R: r, N: maxMap + 1}
	lines := bufio.NewScanner(limited)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) != 3 {
			return s, fmt.Errorf("read symbols: %w: line %.80q has %d fields, want 3", ErrSymbol, lines.Text(), len(fields))
		}
		address, ok := wanted[fields[2]]
		if !ok {
			continue
		}
		value, err := strconv.ParseUint(fields[0], 16, 64)
		if err != nil || value == 0 || *address != 0 {
			return s, fmt.Errorf("read symbols: %w: %s has no address, or two", ErrSymbol, fields[2])
		}
		*address = value
	}
	if err := lines.Err(); err != nil {
		return s, fmt.Errorf("read symbols: %w", err)
	}
	if limited.N <= 0 {
		return s, fmt.Errorf("read symbols: %w: more than %d bytes", ErrSymbol, maxMap)
	}
	for _, name := range []string{"system_certificate_list", "system_extra_cert", "system_extra_cert_used", "system_certificate_list_size"} {
		if *wanted[name] == 0 {
			return s, fmt.Errorf("read symbols: %w: %s is missing: was the kernel configured with SYSTEM_EXTRA_CERTIFICATE?", ErrSymbol, name)
		}
	}
	return s, nil
}
