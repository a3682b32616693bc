package verify

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/mastercard/mangos/attest/cms"
	"github.com/mastercard/mangos/attest/policy"
	"github.com/mastercard/mangos/attest/strictjson"
	"github.com/mastercard/mangos/format/bzimage"
	"github.com/mastercard/mangos/format/pcr"
	"github.com/mastercard/mangos/format/uki"
	"github.com/mastercard/mangos/format/vfat"
	"github.com/mastercard/mangos/modules/image/unified"
	"github.com/mastercard/mangos/modules/image/unsigned"
	"github.com/mastercard/mangos/modules/kernel/artifact"
	"github.com/mastercard/mangos/modules/kernel/certificate"
)

// Places on the EFI system partition.
const (
	bootLoader      = "EFI/BOOT/BOOTX64.EFI"
	entryFolder     = "EFI/Linux/"
	loaderFile      = "loader/loader.conf"
	extensionFolder = "mangos/extensions/"
	orgExtension    = extensionFolder + "org.confext.raw"
)

// espLimits bound what is read of the EFI system partition.
var espLimits = vfat.Limits{Depth: 8, Entries: 1000, Bytes: 1 << 30}

// readESP reads the files of the EFI system partition by their paths.
func (m *image) readESP() (map[string][]byte, error) {
	v, err := vfat.Open(m.esp, m.esp.Size())
	if err != nil {
		return nil, fmt.Errorf("EFI system partition: %w", err)
	}
	files, err := v.Files(espLimits)
	if err != nil {
		return nil, fmt.Errorf("EFI system partition: %w", err)
	}
	return files, nil
}

// checkBootPartition holds the files that firmware and boot loader find against
// the release and its statements.
func (m *image) checkBootPartition(r *folder, all statements, esp map[string][]byte) (string, error) {
	images := 0
	for name, content := range esp {
		switch {
		case strings.HasPrefix(name, entryFolder):
			if !m.isEntry(strings.TrimPrefix(name, entryFolder)) {
				return "", fmt.Errorf("%s should be %s.efi, or with +TRIES before the last dot", name, m.names.Entry)
			}
			if !bytes.Equal(content, m.uki.Bytes()) {
				return "", fmt.Errorf("%s is not %s", name, m.names.Image)
			}
			images++
		case name == bootLoader:
			want, err := all.product("sign-boot", "boot.efi")
			if err != nil {
				return "", err
			}
			if sum := sha256.Sum256(content); hex.EncodeToString(sum[:]) != want {
				return "", fmt.Errorf("%s has SHA-256 %x, the step sign-boot made one with %s", name, sum, want)
			}
		case name == loaderFile:
			if err := checkLoader(content); err != nil {
				return "", fmt.Errorf("%s: %w", name, err)
			}
		case name == orgExtension:
			f := r.files[m.names.Org]
			if sum := sha256.Sum256(content); f == nil || hex.EncodeToString(sum[:]) != f.sum {
				return "", fmt.Errorf("%s is not %s", name, m.names.Org)
			}
		default:
			return "", fmt.Errorf("%s has no place there", name)
		}
	}
	if _, there := esp[bootLoader]; !there || images != 1 {
		return "", fmt.Errorf("it has %d kernel images and a boot loader (%v)", images, there)
	}
	if _, there := esp[loaderFile]; !there {
		return "", fmt.Errorf("it has no %s", loaderFile)
	}
	if _, there := esp[orgExtension]; there != (r.files[m.names.Org] != nil) {
		return "", fmt.Errorf("%s is in the release or on the partition, not in both", m.names.Org)
	}
	if err := m.checkESP(esp); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d files, all accounted for, and nothing but these", len(esp)), nil
}

// loader is the boot loader's configuration: nobody edits a command line or enrols
// keys. To the boot loader a line ends at other characters than "\n" as well, so
// that this is the whole text.
var loader = regexp.MustCompile(`^timeout [0-9]{1,5}\neditor no\nsecure-boot-enroll off\n$`)

func checkLoader(text []byte) error {
	if !loader.Match(text) {
		return fmt.Errorf("it is %.120q, and not \"timeout N\", \"editor no\" and \"secure-boot-enroll off\"", text)
	}
	return nil
}

// counted is what stands between a boot entry's name and ".efi" where boots are
// counted: how often the image is tried. The boot loader has tried none yet.
var counted = regexp.MustCompile(`^(\+[1-9][0-9]{0,8})?\.efi$`)

// isEntry reports whether a file directly in the folder of kernel images goes by the
// name of this release's.
func (m *image) isEntry(name string) bool {
	rest, ok := strings.CutPrefix(name, m.names.Entry)
	return ok && counted.MatchString(rest)
}

// checkSecureBoot verifies the signature of every EFI program.
func (m *image) checkSecureBoot(esp map[string][]byte, trust *policy.Image) (string, error) {
	var signers []string
	for name, content := range map[string][]byte{m.names.Image: m.uki.Bytes(), bootLoader: esp[bootLoader]} {
		c, err := cms.Image(bytes.NewReader(content), int64(len(content)), trust.SecureBoot)
		if err != nil {
			return "", fmt.Errorf("%s: %w", name, err)
		}
		signers = append(signers, c.Subject.CommonName)
	}
	return fmt.Sprintf("%d programs, by %q", len(signers), signers[0]), nil
}

// readKernel takes a trusted certificate out of the organisation's kernel.
func (m *image) readKernel(trust *policy.Image) error {
	ranges, err := m.kernelRanges(artifact.BzImage)
	if err != nil {
		return err
	}
	content := m.uki.Section(".linux")
	if int64(len(content)) < ranges.Size || len(ranges.Ranges) != 4 {
		return fmt.Errorf("the kernel has %d bytes, the list of the unsigned set says %d", len(content), ranges.Size)
	}
	var bare []byte
	for _, m.certificate = range trust.Verity {
		if bare, err = certificate.Remove(content[:ranges.Size], ranges.Ranges, m.certificate.Raw); err == nil {
			break
		}
	}
	if err != nil {
		return err
	}
	b, err := bzimage.Parse(bare)
	if err != nil {
		return err
	}
	if last := ranges.Ranges[3]; last.Offset != int64(b.ChecksumOffset()) || last.Length != 4 {
		return fmt.Errorf("the list of the unsigned set has the kernel's checksum at %d, it stands at %d", last.Offset, b.ChecksumOffset())
	}
	b.SetChecksum()
	m.kernel = bare
	return nil
}

// checkKernel makes sure that the kernel is the common one, but for a trusted
// certificate, and nothing behind it.
func (m *image) checkKernel() (string, error) {
	if rest := m.uki.Section(".linux")[len(m.kernel):]; len(rest) > 0 {
		return "", fmt.Errorf("%d bytes follow the kernel", len(rest))
	}
	if err := m.listed(unsigned.BzImage, m.kernel); err != nil {
		return "", fmt.Errorf("without the certificate: %w", err)
	}
	return fmt.Sprintf("the common one, with the certificate of %q", m.certificate.Subject.CommonName), nil
}

// checkPCRs holds the values that the release tells against those that were computed
// anew.
func (m *image) checkPCRs(r *folder) (string, error) {
	text, err := r.small(m.names.PCRs)
	if err != nil {
		return "", err
	}
	got, err := unified.ReadExpected(text)
	if err != nil {
		return "", fmt.Errorf("%s: %w", m.names.PCRs, err)
	}
	want := unified.Expect(m.manifest.Name, m.manifest.Version, m.phases)
	if got.PCR != want.PCR || got.Bank != want.Bank || got.Name != want.Name || got.Version != want.Version || !slices.Equal(got.Phases, want.Phases) {
		return "", fmt.Errorf("%s is not what the image gives: %+v", m.names.PCRs, want.Phases)
	}
	return fmt.Sprintf("%d phases, %.16s… at the end", len(m.phases), m.phases[len(m.phases)-1].Value), nil
}

// predict computes the phases anew: from the normal form, which is the unsigned set's,
// the common kernel with the certificate put in, and the policy's public key.
func (m *image) predict(trust *policy.Image) ([]pcr.Phase, error) {
	key, err := m.pcrKey(trust)
	if err != nil {
		return nil, err
	}
	normal, err := uki.Parse(m.form)
	if err != nil {
		return nil, err
	}
	// readKernel has shown that the certified kernel is the common one and the
	// certificate.
	return unified.Organisation{Kernel: m.uki.Section(".linux"), PCRPublic: key, TryOut: m.tryOut}.Predict(normal)
}

// pcrKey is the image's PCR key, which must be one that the policy trusts.
func (m *image) pcrKey(trust *policy.Image) ([]byte, error) {
	section := m.uki.Section(".pcrpkey")
	key, err := pcr.ParsePublicKey(section)
	if err != nil {
		return nil, err
	}
	for _, k := range trust.PCR {
		if k.Equal(key) {
			return section, nil
		}
	}
	return nil, fmt.Errorf("the image's PCR key (%s) is not one of the policy's", pcr.Fingerprint(key))
}

// readSignatures reads a .pcrsig section that nobody can read in another way. It
// has the bank that is checked and no other: a TPM may be asked for any that is
// signed.
func readSignatures(section []byte) ([]pcr.Signature, error) {
	signatures, err := pcr.ParseSignatures(section)
	if err != nil {
		return nil, err
	}
	var banks struct {
		SHA256 []pcr.Signature `json:"sha256"`
	}
	if err := strictjson.UnmarshalKnown(bytes.TrimRight(section, "\x00"), &banks); err != nil {
		return nil, fmt.Errorf("PCR signatures: %w", err)
	}
	return signatures, nil
}

// checkPCRSignatures verifies the signatures over the policies of all phases.
func (m *image) checkPCRSignatures(trust *policy.Image) (string, error) {
	section, err := m.pcrKey(trust)
	if err != nil {
		return "", err
	}
	key, err := pcr.ParsePublicKey(section)
	if err != nil {
		return "", err
	}
	signatures, err := readSignatures(m.uki.Section(".pcrsig"))
	if err != nil {
		return "", err
	}
	if len(signatures) != len(m.phases) {
		return "", fmt.Errorf("there are %d signatures, and %d phases", len(signatures), len(m.phases))
	}
	for i, p := range m.phases {
		if err := signatures[i].Verify(key, p.Policy); err != nil {
			return "", fmt.Errorf("phase %s: %w", p.Path, err)
		}
	}
	return fmt.Sprintf("%d, by the key %.16s…", len(signatures), pcr.Fingerprint(key)), nil
}
