package sbom

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/spdx/tools-golang/spdx/v2/common"
)

// element makes an SPDX identifier that is readable, and different for different
// parts: what it cannot hold becomes a dash, and then a digest is added.
func element(parts ...string) common.ElementID {
	whole := strings.Join(parts, "-")
	id := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' {
			return r
		}
		return '-'
	}, whole)
	if id == whole {
		return common.ElementID(id)
	}
	sum := sha256.Sum256([]byte(whole))
	return common.ElementID(id + "-" + hex.EncodeToString(sum[:4]))
}

// The identifiers of each kind of element.

func componentID(name string) common.ElementID          { return element("component", name) }
func packageID(component, name string) common.ElementID { return element(component, "deb", name) }
func programID(component, path string) common.ElementID { return element(component, "program", path) }
func sourceID(name, version string) common.ElementID    { return element("source", name, version) }
func sourceFileID(path string) common.ElementID         { return element("sourcefile", path) }
func suiteID(name string) common.ElementID              { return element("suite", name) }
func moduleID(module, version string) common.ElementID  { return element("module", module, version) }
func fileID(component, path string) common.ElementID {
	sum := sha256.Sum256([]byte(path))
	return common.ElementID(component + "-file-" + hex.EncodeToString(sum[:8]))
}
