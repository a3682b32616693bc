package disk

import (
	"errors"
	"fmt"
	"strings"

	"github.com/mastercard/mangos/format/gpt"
	"github.com/mastercard/mangos/format/verity"
)

// ErrNoRoot: a kernel command line does not name one root.
var ErrNoRoot = errors.New("the command line does not name the root")

// RootHash returns the value of roothash= on a kernel command line. More than
// one, or none, is an error: which of them counts is not ours to guess. Errors
// wrap ErrNoRoot.
func RootHash(line string) (verity.RootHash, error) {
	var values []string
	for _, word := range strings.Fields(line) {
		if value, ok := strings.CutPrefix(word, "roothash="); ok {
			values = append(values, value)
		}
	}
	if len(values) != 1 {
		return verity.RootHash{}, fmt.Errorf("%w: roothash= stands on it %d times", ErrNoRoot, len(values))
	}
	hash, err := verity.ParseRootHash(values[0])
	if err != nil {
		return hash, fmt.Errorf("%w: %w", ErrNoRoot, err)
	}
	return hash, nil
}

// RootPartition is the identifier of the partition with the root: the first half
// of the root hash, as the Discoverable Partitions Specification asks.
func RootPartition(hash verity.RootHash) gpt.GUID { return gpt.GUID(hash[:16]) }
