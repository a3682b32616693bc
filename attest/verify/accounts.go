package verify

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/in-toto/in-toto-golang/in_toto"

	"github.com/mastercard/mangos/attest/bundle"
	"github.com/mastercard/mangos/attest/layout"
	"github.com/mastercard/mangos/attest/policy"
	"github.com/mastercard/mangos/modules/debian/origin"
)

// Files of a release that are not subjects: the checksums are over all others,
// evidence is signed itself.
const (
	sumsName      = "SHA256SUMS"
	signatureName = "SHA256SUMS.gpg"
)

// isAttestation tells, by its name, whether a file is there for the signature on it.
// What is signed and used for something else, a kernel image, say, is a subject.
func isAttestation(name string) bool {
	return strings.HasSuffix(name, bundle.Suffix) || strings.HasSuffix(name, ".link") || name == layout.FileName || name == signatureName
}

// checkLinks holds the links against the statements: both say the same of the
// same steps.
func checkLinks(all statements, l *layout.Result) (string, error) {
	for name, link := range l.Links {
		s, ok := all[name]
		if !ok {
			return "", fmt.Errorf("the layout has the step %s, of which there is no statement", name)
		}
		if command := s.definition.ExternalParameters.Command; !slices.Equal(link.Command, command) {
			return "", fmt.Errorf("step %s: the link's command is %.300q, the statement's %.300q", name, link.Command, command)
		}
		for _, side := range []struct {
			what  string
			link  map[string]in_toto.HashObj
			state map[string]descriptor
		}{{"products", link.Products, s.products}, {"inputs", link.Materials, s.inputs}} {
			if len(side.link) != len(side.state) {
				return "", fmt.Errorf("step %s: the link has %d %s, the statement has %d", name, len(side.link), side.what, len(side.state))
			}
			for file, digests := range side.link {
				if d := side.state[file]; d.SHA256() != digests["sha256"] {
					return "", fmt.Errorf("step %s: %s: of %s, the link says %q and the statement %q", name, side.what, file, digests["sha256"], d.SHA256())
				}
			}
		}
	}
	for name := range all {
		if _, ok := l.Links[name]; !ok {
			return "", fmt.Errorf("there is a statement of the step %s, which the layout does not have", name)
		}
	}
	return fmt.Sprintf("%d links say what the statements say", len(l.Links)), nil
}

// sourceFiles are the files of a release that are files of the repository, by
// the ends of their names.
var sourceFiles = map[string]string{
	".lock.json":  "source/debian.lock.json",
	sourcesSuffix: "source/debian.sources.json",
	".go.sum":     "source/go.sum",
}

// subjectOf is the name under which a file of the release is a subject.
func subjectOf(file string) string {
	for end, subject := range sourceFiles {
		if strings.HasSuffix(file, end) {
			return subject
		}
	}
	return file
}

// understood are the files of a release, besides the evidence, that other checks
// look into, by their names.
func (m *image) understood(r *folder) map[string]bool {
	n := m.names
	known := map[string]bool{
		n.Disk: true, n.Image: true, n.PCRs: true, n.Unsigned: true, n.Org: true, n.Signature: true, n.Tree: true, n.Root: true,
		m.sbomName(): true,
	}
	for _, suffix := range []string{".lock.json", sourcesSuffix, ".go.sum", origin.Suffix} {
		if name, err := r.one(suffix); err == nil {
			known[name] = true
		}
	}
	return known
}

// checkAccounted finds, for every file of the release, the statement that it is
// a subject of. That alone is not enough: a file that no other check looks into is
// whatever its maker says.
func checkAccounted(r *folder, all statements, l *layout.Result, understood map[string]bool) (string, error) {
	evidence := map[string]bool{sumsName: true, signatureName: true}
	for _, f := range l.Files {
		evidence[f] = true
	}
	for _, s := range all {
		for _, f := range s.files {
			evidence[f] = true
		}
	}
	subjects := 0
	for _, name := range r.names {
		if evidence[name] {
			continue
		}
		if strings.HasSuffix(name, bundle.Suffix) || strings.HasSuffix(name, ".link") {
			return "", fmt.Errorf("%s is evidence of nothing", name)
		}
		made := 0
		for _, s := range all {
			d, ok := s.products[subjectOf(name)]
			if !ok {
				continue
			}
			if made++; d.SHA256() != r.files[name].sum {
				return "", fmt.Errorf("%s has SHA-256 %s, step %s made one with %s", name, r.files[name].sum, s.name, d.SHA256())
			}
		}
		if made != 1 {
			return "", fmt.Errorf("%s is a subject of %d statements, and should be of one", name, made)
		}
		if !understood[name] {
			return "", fmt.Errorf("%s is a file that no check understands", name)
		}
		subjects++
	}
	if subjects == 0 {
		return "", fmt.Errorf("there is no file besides the evidence")
	}
	return fmt.Sprintf("%d files are subjects, %d are evidence", subjects, len(r.names)-subjects), nil
}

// organisationKeys are the inputs that an organisation brings along.
var organisationKeys = map[string]bool{
	"keys/verity.crt": true, "keys/secure-boot.crt": true, "keys/pcr.pub": true,
}

// checkInputs finds, for every input of every step, the step whose product it
// is. A public key of the organisation is one that the policy has. What lies in a place of its own there (bootstrap/, device/) is a program
// under the same file name.
func checkInputs(all statements, trust *policy.Image) (string, error) {
	made := map[string]bool{}
	for _, s := range all {
		for name, d := range s.products {
			made[name+" "+d.SHA256()] = true
		}
	}
	keys := map[string]string{}
	n := 0
	for _, s := range all.sorted() {
		for name, d := range s.inputs {
			n++
			switch first, _, _ := strings.Cut(name, "/"); {
			case first == "keys":
				if !organisationKeys[name] {
					return "", fmt.Errorf("step %s used %s, which is no public key of an organisation", s.name, name)
				}
				if known, ok := keys[name]; ok && known != d.SHA256() {
					return "", fmt.Errorf("step %s used another %s than other steps", s.name, name)
				}
				if !trust.HasFile(path.Base(name), d.SHA256()) {
					return "", fmt.Errorf("step %s used %s with SHA-256 %s, which the policy does not have", s.name, name, d.SHA256())
				}
				keys[name] = d.SHA256()
				continue
			case first == "bootstrap" || first == "device":
				name = "program/" + path.Base(name)
			}
			if !made[name+" "+d.SHA256()] {
				return "", fmt.Errorf("step %s used %s with SHA-256 %s, which no step made", s.name, name, d.SHA256())
			}
		}
	}
	return fmt.Sprintf("%d inputs of %d steps are products of others", n, len(all)), nil
}
