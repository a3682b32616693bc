package sbom

import (
	"crypto/sha1" //nolint:gosec // SPDX 2.3 wants it beside the SHA-256
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"strings"

	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"
)

// Digests are those of a content, lower-case hexadecimal. SHA1 is empty where nobody
// knows it.
type Digests struct{ SHA1, SHA256 string }

// DigestsOf computes them.
func DigestsOf(content []byte) Digests {
	d := newDigester()
	d.Write(content)
	return d.digests()
}

// digester computes the digests of what is written to it.
type digester struct{ one, two hash.Hash }

func newDigester() *digester {
	return &digester{sha1.New(), sha256.New()} //nolint:gosec // see the imports
}

// Write implements io.Writer; it never fails.
func (d *digester) Write(b []byte) (int, error) {
	d.one.Write(b)
	return d.two.Write(b)
}

func (d *digester) digests() Digests {
	return Digests{hex.EncodeToString(d.one.Sum(nil)), hex.EncodeToString(d.two.Sum(nil))}
}

// same holds the checksums of a file's entry against those of its content.
func (d Digests) same(f *spdx.File) error {
	for _, sum := range []struct {
		algorithm common.ChecksumAlgorithm
		name, got string
	}{{common.SHA256, "SHA-256", d.SHA256}, {common.SHA1, "SHA-1", d.SHA1}} {
		if want := checksum(f.Checksums, sum.algorithm); sum.got != want && sum.got != "" {
			return fmt.Errorf("%s has %s %s, and %q in the list: %w", strings.TrimPrefix(f.FileName, "."), sum.name, sum.got, want, ErrDiffers)
		}
	}
	return nil
}

// checksum is that of its algorithm in a list, empty if there is none or more than one.
func checksum(list []common.Checksum, algorithm common.ChecksumAlgorithm) string {
	found := ""
	for _, c := range list {
		if c.Algorithm != algorithm {
			continue
		}
		if found != "" {
			return ""
		}
		found = c.Value
	}
	return found
}
