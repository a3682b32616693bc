package scenario

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/mastercard/mangos/format/pe"
)

// ErrRelease says that a folder is not a release that can be booted.
var ErrRelease = errors.New("not a usable release")

// maxUKI and maxPCRs bound the files of a release that are held in memory, in bytes.
const (
	maxUKI  = 256 << 20
	maxPCRs = 1 << 20
)

// Phase is a point of the boot, and the value that PCR 11 must have there.
type Phase struct {
	Phase string `json:"phase"` // the phases passed by then, joined by ":"
	Value string `json:"value"` // lower-case hex
}

// Release is a release folder, as far as a boot needs it.
type Release struct {
	Dir  string
	Disk string // the disk image, zstd
	UKI  string // the unified kernel image
	// CommandLine is the text of the UKI's section.
	CommandLine string
	Phases      []Phase
}

// OpenRelease finds the files of a release. There must be one of each.
func OpenRelease(dir string) (*Release, error) {
	r := &Release{Dir: dir}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("open release: %w", err)
	}
	var pcrs string
	for _, f := range []struct {
		suffix, what string
		to           *string
	}{{".raw.zst", "disk image", &r.Disk}, {".efi", "unified kernel image", &r.UKI}, {".pcrs.json", "list of PCR values", &pcrs}} {
		for _, e := range entries {
			name := e.Name()
			if !e.Type().IsRegular() || !strings.HasPrefix(name, "mangos") || strings.Contains(name, "installer") || !strings.HasSuffix(name, f.suffix) {
				continue
			}
			if *f.to != "" {
				return nil, fmt.Errorf("open release %s: %w: two files are its %s", dir, ErrRelease, f.what)
			}
			*f.to = filepath.Join(dir, name)
		}
		if *f.to == "" {
			return nil, fmt.Errorf("open release %s: %w: no %s (mangos*%s)", dir, ErrRelease, f.what, f.suffix)
		}
	}
	if r.CommandLine, err = commandLine(r.UKI); err != nil {
		return nil, fmt.Errorf("open release: %w", err)
	}
	text, err := readBounded(pcrs, maxPCRs)
	if err != nil {
		return nil, fmt.Errorf("open release: %w", err)
	}
	if r.Phases, err = parsePhases(text); err != nil {
		return nil, fmt.Errorf("open release: %s: %w", pcrs, err)
	}
	return r, nil
}

// parsePhases reads mangos_<version>.pcrs.json.
func parsePhases(text []byte) ([]Phase, error) {
	var list struct {
		PCR    int     `json:"pcr"`
		Bank   string  `json:"bank"`
		Phases []Phase `json:"phases"`
	}
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRelease, err)
	}
	if list.PCR != 11 || list.Bank != "sha256" || len(list.Phases) == 0 || len(list.Phases) > 16 {
		return nil, fmt.Errorf("%w: %d values for PCR %d of bank %q", ErrRelease, len(list.Phases), list.PCR, list.Bank)
	}
	return list.Phases, nil
}

func commandLine(uki string) (string, error) {
	b, err := readBounded(uki, maxUKI)
	if err != nil {
		return "", err
	}
	f, err := pe.Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return "", fmt.Errorf("%s: %w", uki, err)
	}
	for _, s := range f.Sections {
		if s.Name == ".cmdline" {
			d := s.Data()
			return strings.TrimRight(string(b[d.Offset:d.Offset+d.Size]), "\x00\n"), nil
		}
	}
	return "", fmt.Errorf("%s: %w: no command line", uki, ErrRelease)
}

func readBounded(path string, limit int64) ([]byte, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if st.Size() > limit {
		return nil, fmt.Errorf("%s: %w: %d bytes", path, ErrRelease, st.Size())
	}
	return os.ReadFile(path)
}
