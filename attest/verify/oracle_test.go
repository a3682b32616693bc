//go:build oracle

package verify_test

import (
	"bytes"
	"crypto/sha256"
	"debug/pe"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/in-toto/in-toto-golang/in_toto"

	"github.com/mastercard/mangos/attest/bundle"
	"github.com/mastercard/mangos/attest/dsse"
	"github.com/mastercard/mangos/attest/internal/oracle"
	"github.com/mastercard/mangos/attest/keys"
	"github.com/mastercard/mangos/attest/layout"
	"github.com/mastercard/mangos/attest/provenance"
	"github.com/mastercard/mangos/attest/statement"
	"github.com/mastercard/mangos/attest/verify"
	"github.com/mastercard/mangos/modules/image/unsigned"
)

// These tests ask other people's tools about a release that we have verified, and
// about one that something was done to: each must agree with us, both times. They
// take the release that the tests of tampering take, see newOriginal.

// good is a copy of the release, verified, and a folder to work in.
func good(t *testing.T) (c *copied, work string) {
	t.Helper()
	c = newOriginal(t).copy(t)
	if err := c.run().Err(); err != nil {
		t.Fatal(err)
	}
	return c, t.TempDir()
}

// key is the path of one of the organisation's key files.
func (c *copied) public(name string) string { return filepath.Join(c.keys, name) }

// glob returns the path of the only file of that pattern.
func (c *copied) glob(pattern string) string {
	c.t.Helper()
	found, err := filepath.Glob(c.path(pattern))
	if err != nil || len(found) != 1 {
		c.t.Fatalf("%d files %s, %v", len(found), pattern, err)
	}
	return found[0]
}

func put(t *testing.T, dir, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// unpack decompresses a file with the tool of its format.
func (c *copied) unpack(tool, pattern, out string) string {
	c.t.Helper()
	f, err := os.Create(out)
	if err != nil {
		c.t.Fatal(err)
	}
	defer f.Close()
	cmd := oracle.Command(c.t, c.dir, tool, "--decompress", "--stdout", c.glob(pattern))
	cmd.Stdout = f
	if err := cmd.Run(); err != nil {
		c.t.Fatalf("%s: %v", tool, err)
	}
	return out
}

// flip changes a bit in the middle of a file.
func flip(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, st.Size()/2); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 1
	if _, err := f.WriteAt(b, st.Size()/2); err != nil {
		t.Fatal(err)
	}
}

// sections reads the sections of an EFI program, as long as they are in memory.
func sections(t *testing.T, path string) map[string][]byte {
	t.Helper()
	f, err := pe.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all := map[string][]byte{}
	for _, s := range f.Sections {
		b, err := s.Data()
		if err != nil {
			t.Fatal(err)
		}
		all[s.Name] = b[:min(len(b), int(s.VirtualSize))]
	}
	return all
}

// TestCosign: cosign takes each statement with the file that it is about. Of a
// statement about files that are not in the release it misses nothing but these.
func TestCosign(t *testing.T) {
	c, work := good(t)
	other := put(t, work, "other.pub", []byte(strangerPEM(t)))
	nothing := put(t, work, "nothing", []byte("nothing that anybody made"))
	const missing = "artifact digest"
	cosign := func(key, bundle, file string) []string {
		return oracle.Attestation(t, work, key, "slsaprovenance1", bundle, file)
	}
	with := 0
	for _, name := range c.list(c.dir) {
		if !strings.HasSuffix(name, bundle.Suffix) {
			continue
		}
		if file := c.subject(name); file != "" {
			oracle.Run(t, work, "cosign", cosign(c.public("attest.pub"), c.path(name), file)...)
			with++
		} else if said := oracle.Refuse(t, work, "cosign", cosign(c.public("attest.pub"), c.path(name), nothing)...); !strings.Contains(said, missing) {
			t.Errorf("%s: cosign misses something else than the file: %s", name, said)
		}
	}
	if with < 7 {
		t.Errorf("%d statements are about a file of the release", with)
	}
	name := c.path(c.statement("erofs"))
	if said := oracle.Refuse(t, work, "cosign", cosign(other, name, nothing)...); strings.Contains(said, missing) {
		t.Errorf("with another key cosign misses no more than the file: %s", said)
	}
}

// subject is the path of a file of the release that a statement is about, or
// nothing.
func (c *copied) subject(bundleName string) string {
	c.t.Helper()
	e, err := bundle.Read(c.path(bundleName))
	if err != nil {
		c.t.Fatal(err)
	}
	s, err := statement.Parse(e.Payload)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, d := range s.Subject {
		if _, err := os.Stat(c.path(d.Name)); err == nil {
			return c.path(d.Name)
		}
	}
	return ""
}

// TestCosignRefuses: what was done to a statement or its file, cosign sees as well.
func TestCosignRefuses(t *testing.T) {
	c, work := good(t)
	text := string(c.read(c.statement("sign")))
	_, signature, _ := strings.Cut(text, `"signatures":[`)
	signature, _, _ = strings.Cut(signature, `]`)
	flipped := put(t, work, "flipped", c.read(c.find(".efi")))
	flip(t, flipped)
	for name, row := range map[string]struct{ from, to, key, file string }{
		"a flipped byte":     {file: flipped},
		"another key":        {key: put(t, work, "other.pub", []byte(strangerPEM(t)))},
		"another type":       {from: statement.PayloadType, to: "application/vnd.in-toto+jsoo"},
		"a second signature": {from: signature, to: signature + "," + signature},
		"an added field":     {from: `{"mediaType"`, to: `{"extra":1,"mediaType"`},
	} {
		if !strings.Contains(text, row.from) {
			t.Fatalf("%s: the bundle has no %q", name, row.from)
		}
		changed := put(t, work, "changed", []byte(strings.Replace(text, row.from, row.to, 1)))
		if row.key == "" {
			row.key = c.public("attest.pub")
		}
		if row.file == "" {
			row.file = c.path(c.find(".efi"))
		}
		t.Run(name, func(t *testing.T) {
			oracle.Refuse(t, work, "cosign", oracle.Attestation(t, work, row.key, "slsaprovenance1", changed, row.file)...)
		})
	}
}

// TestCosignType: cosign takes a statement for what it is, and for no other kind of
// statement, which it names. A statement that was signed as another type of payload it
// does not take at all.
func TestCosignType(t *testing.T) {
	c, work := good(t)
	name := c.statement("sign")
	e, err := bundle.Read(c.path(name))
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(e.Wire())
	if err != nil {
		t.Fatal(err)
	}
	envelope, file := put(t, work, "envelope", text), c.path(c.find(".efi"))
	cosign := func(kind string) []string {
		return oracle.Envelope(t, work, c.public("attest.pub"), kind, envelope, file)
	}
	for _, kind := range []string{"slsaprovenance1", provenance.PredicateType} {
		oracle.Run(t, work, "cosign", cosign(kind)...)
	}
	for _, kind := range []string{"slsaprovenance", "spdxjson", "link", verify.SummaryType} {
		if said := oracle.Refuse(t, work, "cosign", cosign(kind)...); !strings.Contains(said, "invalid predicate type") {
			t.Errorf("as %s cosign refuses it for another reason: %s", kind, said)
		}
	}
	other, err := dsse.Sign("application/vnd.in-toto+jsoo", e.Payload, c.key())
	if err != nil {
		t.Fatal(err)
	}
	data, err := bundle.Encode(other, c.key().Public())
	if err != nil {
		t.Fatal(err)
	}
	oracle.Refuse(t, work, "cosign", oracle.Attestation(t, work, c.public("attest.pub"), "slsaprovenance1", put(t, work, "other", data), file)...)
}

// TestInToto: in-toto-golang, by itself, follows the whole layout.
func TestInToto(t *testing.T) {
	c, _ := good(t)
	verify := func() error {
		m, err := in_toto.LoadMetadata(c.path(layout.FileName))
		if err != nil {
			return err
		}
		owner, err := keys.LoadPublic(keys.Attest, c.public("attest.pub"))
		if err != nil {
			t.Fatal(err)
		}
		k, err := layout.Key(owner)
		if err != nil {
			t.Fatal(err)
		}
		_, err = in_toto.InTotoVerify(m, map[string]in_toto.Key{k.KeyID: k}, c.dir, "", nil, nil, false)
		return err
	}
	t.Chdir(t.TempDir()) // inspections would write here
	if err := verify(); err != nil {
		t.Error(err)
	}
	c.relink("erofs", func(l *in_toto.Link) { l.Products["root.erofs"] = in_toto.HashObj{"sha256": zeros} })
	if err := verify(); err == nil {
		t.Error("a link of another release is accepted")
	}
}

// TestOpenSSLBundles: openssl alone verifies every statement's signature over its
// pre-authentication encoding.
func TestOpenSSLBundles(t *testing.T) {
	c, work := good(t)
	for _, name := range c.list(c.dir) {
		if !strings.HasSuffix(name, bundle.Suffix) {
			continue
		}
		var v struct {
			DSSEEnvelope struct {
				Payload    []byte
				Signatures []struct{ Sig []byte }
			} `json:"dsseEnvelope"`
		}
		if err := json.Unmarshal(c.read(name), &v); err != nil {
			t.Fatal(err)
		}
		payload := v.DSSEEnvelope.Payload
		put(t, work, "signature", v.DSSEEnvelope.Signatures[0].Sig)
		verify := []string{"pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", c.public("attest.pub"), "-in", "pae", "-sigfile", "signature"}
		put(t, work, "pae", fmt.Appendf(nil, "DSSEv1 28 application/vnd.in-toto+json %d %s", len(payload), payload))
		oracle.Run(t, work, "openssl", verify...)
		put(t, work, "pae", payload)
		oracle.Refuse(t, work, "openssl", verify...)
	}
}

// veritySignature is the content of the signature partition.
type veritySignature struct{ RootHash, Signature, CertificateFingerprint string }

func (c *copied) veritySignature() veritySignature {
	c.t.Helper()
	var v veritySignature
	if err := json.Unmarshal(bytes.TrimRight(c.readFile(c.glob("*.root-x86-64-verity-sig.*.raw")), "\x00"), &v); err != nil {
		c.t.Fatal(err)
	}
	return v
}

// TestOpenSSLRootHash: openssl alone verifies the signature over the digits of the
// root hash, and over nothing else.
func TestOpenSSLRootHash(t *testing.T) {
	c, work := good(t)
	v := c.veritySignature()
	der, err := base64.StdEncoding.DecodeString(v.Signature)
	if err != nil {
		t.Fatal(err)
	}
	put(t, work, "signature", der)
	verify := []string{"cms", "-verify", "-binary", "-inform", "DER", "-in", "signature", "-content", "digits",
		"-certfile", c.public("verity.crt"), "-noverify", "-out", "out"}
	put(t, work, "digits", []byte(v.RootHash))
	oracle.Run(t, work, "openssl", verify...)
	put(t, work, "digits", []byte(v.RootHash+"\n"))
	oracle.Refuse(t, work, "openssl", verify...)
}

// TestOpenSSLPolicies: openssl alone verifies .pcrsig.
func TestOpenSSLPolicies(t *testing.T) {
	c, work := good(t)
	var banks map[string][]struct {
		Pol string
		Sig []byte
	}
	if err := json.Unmarshal(bytes.TrimRight(sections(t, c.path(c.find(".efi")))[".pcrsig"], "\x00"), &banks); err != nil {
		t.Fatal(err)
	}
	if len(banks["sha256"]) != 4 {
		t.Errorf("%d policies are signed", len(banks["sha256"]))
	}
	for _, p := range banks["sha256"] {
		policy, err := hex.DecodeString(p.Pol)
		if err != nil {
			t.Fatal(err)
		}
		put(t, work, "signature", p.Sig)
		verify := []string{"dgst", "-sha256", "-verify", c.public("pcr.pub"), "-signature", "signature", "policy"}
		oracle.Run(t, filepath.Dir(put(t, work, "policy", policy)), "openssl", verify...)
		policy[0] ^= 1
		oracle.Refuse(t, filepath.Dir(put(t, work, "policy", policy)), "openssl", verify...)
	}
}

// TestVeritysetup: veritysetup verifies the files for updates by the root hash that
// was signed.
func TestVeritysetup(t *testing.T) {
	c, work := good(t)
	root := c.unpack("xz", "*.root-x86-64.*.raw.xz", filepath.Join(work, "root"))
	tree := c.unpack("xz", "*.root-x86-64-verity.*.raw.xz", filepath.Join(work, "tree"))
	verify := []string{"verify", root, tree, c.veritySignature().RootHash}
	oracle.Run(t, work, "veritysetup", verify...)
	flip(t, root)
	oracle.Refuse(t, work, "veritysetup", verify...)
}

// TestSbverify: sbverify accepts each EFI program, those of the disk as well.
func TestSbverify(t *testing.T) {
	c, work := good(t)
	disk := c.unpack("zstd", "*.raw.zst", filepath.Join(work, "disk"))
	var table struct {
		PartitionTable struct {
			SectorSize int
			Partitions []struct{ Start int }
		}
	}
	if err := json.Unmarshal([]byte(oracle.Run(t, work, "sfdisk", "--json", disk)), &table); err != nil {
		t.Fatal(err)
	}
	esp := fmt.Sprintf("%s@@%d", disk, table.PartitionTable.Partitions[0].Start*table.PartitionTable.SectorSize)
	programs := []string{c.path(c.find(".efi"))}
	for line := range strings.Lines(oracle.Run(t, work, "mdir", "-b", "-/", "-i", esp, "::")) {
		if line = strings.TrimSpace(line); !strings.HasSuffix(strings.ToLower(line), ".efi") {
			continue
		}
		out := filepath.Join(work, fmt.Sprintf("program.%d", len(programs)))
		oracle.Run(t, work, "mcopy", "-i", esp, line, out)
		programs = append(programs, out)
	}
	if len(programs) != 3 {
		t.Errorf("programs: %q", programs)
	}
	for _, p := range programs {
		oracle.Run(t, work, "sbverify", "--cert", c.public("secure-boot.crt"), p)
		oracle.Refuse(t, work, "sbverify", "--cert", c.public("verity.crt"), p)
	}
}

// TestUkify: ukify finds in the kernel image what the list of the unsigned set
// says, and the signatures.
func TestUkify(t *testing.T) {
	c, work := good(t)
	var found map[string]struct{ SHA256 string }
	if err := json.Unmarshal([]byte(oracle.Run(t, work, "ukify", "inspect", c.path(c.find(".efi")), "--json=short")), &found); err != nil {
		t.Fatal(err)
	}
	m, err := unsigned.Read(bytes.NewReader(c.read(c.find(".unsigned.json"))))
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, f := range m.Files {
		name, ok := map[string]string{unsigned.Initrd: ".initrd", unsigned.CommandLine: ".cmdline", unsigned.Microcode: ".ucode"}[f.Name]
		if !ok {
			continue
		}
		if seen++; found[name].SHA256 != f.SHA256 {
			t.Errorf("%s has SHA-256 %s, ukify says of %s %q", f.Name, f.SHA256, name, found[name].SHA256)
		}
	}
	if seen < 2 {
		t.Errorf("the list of the unsigned set has %d of these files", seen)
	}
	for _, name := range []string{".linux", ".osrel", ".uname", ".sbat", ".pcrpkey", ".pcrsig"} {
		if found[name].SHA256 == "" {
			t.Errorf("ukify finds no %s", name)
		}
	}
}

// TestDissect: to systemd the disk has a signed root and an EFI system partition,
// and nothing else; without the signature it has not.
func TestDissect(t *testing.T) {
	c, work := good(t)
	disk := c.unpack("zstd", "*.raw.zst", filepath.Join(work, "disk"))
	validate := []string{"--validate", "--image-policy=root=signed:esp=unprotected:=absent", disk}
	oracle.Run(t, work, "systemd-dissect", validate...)
	oracle.Run(t, work, "sfdisk", "--delete", disk, "2")
	oracle.Refuse(t, work, "systemd-dissect", validate...)
}

// TestMeasure: systemd-measure arrives at the values that the release promises.
func TestMeasure(t *testing.T) {
	c, work := good(t)
	args := []string{"calculate", "--bank=sha256", "--json=short"}
	for name, content := range sections(t, c.path(c.find(".efi"))) {
		name = strings.TrimPrefix(name, ".")
		if slices.Contains([]string{"linux", "osrel", "cmdline", "initrd", "ucode", "uname", "sbat", "pcrpkey"}, name) {
			args = append(args, "--"+name+"="+put(t, work, name, content))
		}
	}
	var want map[string][]struct {
		Phase, Hash string
		PCR         int
	}
	if err := json.Unmarshal([]byte(oracle.Run(t, work, "systemd-measure", args...)), &want); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Phases []struct{ Phase, Value string }
	}
	if err := json.Unmarshal(c.read(c.find(".pcrs.json")), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Phases) != 4 || len(want["sha256"]) != len(got.Phases) {
		t.Fatalf("%d phases, systemd-measure has %d", len(got.Phases), len(want["sha256"]))
	}
	for i, p := range got.Phases {
		if w := want["sha256"][i]; w.Phase != p.Phase || w.Hash != p.Value || w.PCR != 11 {
			t.Errorf("%s %s, systemd-measure says %+v", p.Phase, p.Value, w)
		}
	}
}

// TestChecksums: sha256sum and gpgv, as anybody would check a download.
func TestChecksums(t *testing.T) {
	c, work := good(t)
	ring := filepath.Join(work, "release.gpg")
	oracle.Run(t, work, "gpg", "--homedir", work, "--batch", "--dearmor", "--output", ring, c.public("release.pub"))
	gpgv := []string{"--keyring", ring, "SHA256SUMS.gpg", "SHA256SUMS"}
	oracle.Run(t, c.dir, "gpgv", gpgv...)
	check := []string{"--check", "--strict", "SHA256SUMS"}
	if n := strings.Count(oracle.Run(t, c.dir, "sha256sum", check...), ": OK\n"); n != len(c.list(c.dir))-2 {
		t.Errorf("sha256sum has checked %d of %d files", n, len(c.list(c.dir)))
	}
	name := c.find(".lock.json")
	c.write(name, append(bytes.Clone(c.read(name)), '\n'))
	if said := oracle.Refuse(t, c.dir, "sha256sum", check...); !strings.Contains(said, name+": FAILED") {
		t.Errorf("sha256sum: %s", said)
	}
	sum := sha256.Sum256(c.read(name))
	c.edit("SHA256SUMS", string(c.read("SHA256SUMS")[:8]), hex.EncodeToString(sum[:4]))
	oracle.Refuse(t, c.dir, "gpgv", gpgv...)
}
