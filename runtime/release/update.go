package release

import (
	"crypto/sha256"
	"fmt"
	"regexp"
	"slices"
)

// updateFile matches what an update fetches of a release, besides the version: the
// kernel image, the root, its hash tree and the signature.
var updateFile = regexp.MustCompile(`^([a-z][a-z0-9-]*?)(?:-tryout)?_([a-z0-9][a-z0-9.~^+-]*?)\.(?:efi|root-x86-64(?:-verity|-verity-sig)?\.[0-9a-f-]{36}\.raw(?:\.xz)?)$`)

// updateFiles is how many files an update fetches.
const updateFiles = 4

// UpdateFiles returns the names of the files that an update to the release fetches,
// sorted. Errors wrap ErrManifest.
func (r *Release) UpdateFiles(sums map[string][sha256.Size]byte) ([]string, error) {
	var files []string
	for name := range sums {
		if m := updateFile.FindStringSubmatch(name); m != nil && m[1] == r.Name && m[2] == r.Version {
			files = append(files, name)
		}
	}
	if len(files) != updateFiles {
		return nil, fmt.Errorf("%w: version %s has %d files for an update, want %d: root, hash tree, signature and kernel image",
			ErrManifest, r.Version, len(files), updateFiles)
	}
	slices.Sort(files)
	return files, nil
}
