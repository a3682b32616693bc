package policy

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/mastercard/mangos/attest/keys"
	"github.com/mastercard/mangos/attest/provenance"
	"github.com/mastercard/mangos/modules/definition"
)

// defaultCaches are the steps that have caches in an ordinary build: those that
// fetch check all they fetch against the lock; a compiler's cache is to be
// trusted as the machine is.
var defaultCaches = []string{"origin", "packages-*", "programs", "kernel"}

// Write returns the text of a policy that trusts the public keys in a folder, as
// `attest keys generate` writes them, and the archive keys that a definition
// names for its distribution. For try-out keys it accepts a try-out build.
func Write(keyFolder, definitionFile string) ([]byte, error) {
	read := func(name string) (string, error) {
		data, err := keys.ReadFile(filepath.Join(keyFolder, name))
		return strings.TrimSpace(string(data)), err
	}
	texts := map[string]string{}
	for _, name := range []string{"attest.pub", "secure-boot.crt", "verity.crt", "pcr.pub", "release.pub"} {
		text, err := read(name)
		if err != nil {
			return nil, fmt.Errorf("write policy: %w", err)
		}
		texts[name] = text
	}
	info, err := keys.Describe(filepath.Join(keyFolder, "secure-boot.crt"))
	if err != nil {
		return nil, fmt.Errorf("write policy: %w", err)
	}
	organisations, err := organisations(texts["secure-boot.crt"])
	if err != nil {
		return nil, fmt.Errorf("write policy: %w", err)
	}
	suites, err := suites(definitionFile)
	if err != nil {
		return nil, fmt.Errorf("write policy: %w", err)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "# What a release is verified against: see `go doc` of attest/policy.\nformat = %q\n", Format)
	fmt.Fprintf(&b, "\n[statements]\nthreshold = 1\nkeys = [%s]\norganisations = [%s]\nbuilders = [%q]\ncaches = [%s]\n", literal(texts["attest.pub"]), quoted(organisations), provenance.LocalBuilder, quoted(defaultCaches))
	fmt.Fprintf(&b, "\n[layout]\nthreshold = 1\nowners = [%s]\n", literal(texts["attest.pub"]))
	fmt.Fprintf(&b, "\n[image]\ntry-out = %v\nsecure-boot = [%s]\nverity = [%s]\npcr = [%s]\n", info.TryOut,
		literal(texts["secure-boot.crt"]), literal(texts["verity.crt"]), literal(texts["pcr.pub"]))
	fmt.Fprintf(&b, "\n[checksums]\nkeys = [%s]\n", literal(texts["release.pub"]))
	for _, s := range suites {
		fmt.Fprintf(&b, "\n[[suites]]\nname = %q\nsigners = [%s]\nkeys = [%s]\n", s.Name, quoted(s.Signers), literal(s.Keys...))
	}
	if _, err := Parse(b.Bytes()); err != nil {
		return nil, fmt.Errorf("write policy: %w", err)
	}
	return b.Bytes(), nil
}

// organisations names the organisation of a certificate, if it names one: a key of
// the role attest bears no name itself.
func organisations(certificate string) ([]string, error) {
	c, err := keys.ParseCertificate([]byte(certificate))
	if err != nil || len(c.Subject.Organization) == 0 {
		return nil, err
	}
	return c.Subject.Organization[:1], nil
}

// suites reads who signs the distribution's Releases.
func suites(path string) ([]Suite, error) {
	d, err := definition.Load(path)
	if err != nil {
		return nil, err
	}
	dist, err := d.Distribution("")
	if err != nil {
		return nil, err
	}
	var list []Suite
	for _, s := range dist.Suites {
		suite := Suite{Name: s.Name, Signers: s.Signers}
		for _, k := range s.Keys {
			text, err := os.ReadFile(filepath.Join(filepath.Dir(path), k))
			if err != nil {
				return nil, err
			}
			suite.Keys = append(suite.Keys, strings.TrimSpace(string(text)))
		}
		list = append(list, suite)
	}
	return list, nil
}

// literal writes texts as multi-line literal strings of TOML.
func literal(texts ...string) string {
	parts := make([]string, len(texts))
	for i, t := range texts {
		parts[i] = "'''\n" + t + "\n'''"
	}
	return strings.Join(parts, ", ")
}

func quoted(texts []string) string {
	parts := make([]string, len(texts))
	for i, t := range texts {
		parts[i] = strconv.Quote(t)
	}
	return strings.Join(parts, ", ")
}
