package sbom

import (
	"fmt"
	"strings"

	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"

	"github.com/mastercard/mangos/attest/sourceid"
	"github.com/mastercard/mangos/modules/debian/lock"
)

// DebianCommit is the comment of the reference to a commit that is Debian's, not
// upstream's.
const DebianCommit = "the package's commit in Debian's dgit history, by the field Dgit of its description"

// identify adds the identity of a source. One that was computed from other files
// than the locked ones counts for nothing.
func (b *builder) identify(p *spdx.Package, s *lock.Source) {
	id := b.in.Sources.Find(s.Name, s.Version)
	known := id != nil && id.Of(s.Files)
	if !known {
		id = &sourceid.Identity{Level: sourceid.LevelVersion}
	}
	b.counts.Add(id)
	p.PackageSourceInfo = identityNote + string(id.Level)
	if !known {
		p.PackageSourceInfo += "\n" + unknownNote
	}
	if id.SWHID != "" {
		p.PackageExternalReferences = append(p.PackageExternalReferences, &spdx.PackageExternalReference{
			Category: common.CategoryPersistentId, RefType: common.TypePersistentIdSwh, Locator: id.SWHID,
			ExternalRefComment: "the tree in " + id.Tree,
		})
	}
	if id.Commit != "" {
		p.PackageExternalReferences = append(p.PackageExternalReferences, &spdx.PackageExternalReference{
			Category: common.CategoryPersistentId, RefType: common.TypePersistentIdSwh, Locator: "swh:1:rev:" + id.Commit,
			ExternalRefComment: proofNote + id.CommitProof,
		})
	}
	if id.DebianCommit != "" {
		p.PackageExternalReferences = append(p.PackageExternalReferences, &spdx.PackageExternalReference{
			Category: common.CategoryPersistentId, RefType: common.TypePersistentIdSwh, Locator: "swh:1:rev:" + id.DebianCommit,
			ExternalRefComment: DebianCommit,
		})
	}
	if id.VcsGit != "" {
		p.PackageSourceInfo += "\ndeclared Vcs-Git: " + id.VcsGit
	}
	if id.VcsBrowser != "" {
		p.PackageSourceInfo += "\ndeclared Vcs-Browser: " + id.VcsBrowser
	}
	if id.Tag != "" {
		p.PackageSourceInfo += "\ndeclared tag object: " + id.Tag
	}
	if gap := id.Gap(); gap != "" {
		p.PackageSourceInfo += "\n" + missingNote + gap
	}
}

// proofNote stands before the proof of a source's commit.
const proofNote = "proven by: "

// Lines of a source's PackageSourceInfo.
const (
	identityNote = "identity: "
	missingNote  = "not to be had when it was looked at: "
	unknownNote  = "nobody has looked at these files"
)

// Gaps names, a line each, the sources of a document that would be known better if
// all their files had been there when they were looked at, and says why they were not.
func Gaps(doc *spdx.Document) []string {
	var gaps []string
	for _, p := range doc.Packages {
		if p.PrimaryPackagePurpose != "SOURCE" {
			continue
		}
		level, rest, _ := strings.Cut(strings.TrimPrefix(p.PackageSourceInfo, identityNote), "\n")
		for line := range strings.SplitSeq(rest, "\n") {
			if line == unknownNote || strings.HasPrefix(line, missingNote) {
				gaps = append(gaps, fmt.Sprintf("source %s %s, identity %s: %s", p.PackageName, p.PackageVersion, level, line))
			}
		}
	}
	return gaps
}
