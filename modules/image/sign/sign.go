package sign

import (
	"context"
	"fmt"
	"io"

	"github.com/mastercard/mangos/format/verity"
	"github.com/mastercard/mangos/modules/image/output"
	"github.com/mastercard/mangos/modules/image/tool"
)

// sbsign is where Debian keeps systemd's signing tool.
const sbsign = "/usr/lib/systemd/systemd-sbsign"

// Verity signs a root hash for the kernel: a detached PKCS#7 signature over its
// 64 hexadecimal digits, without attributes and without certificates, so that
// an RSA key always gives the same bytes.
func Verity(ctx context.Context, root verity.RootHash, key Key, cert *Certificate) (*verity.Signature, error) {
	args := []string{
		"smime", "-sign", "-nocerts", "-noattr", "-binary", "-md", "sha256",
		"-outform", "DER", "-inkey", key.name, "-signer", cert.Path,
	}
	der, err := tool.Command{
		Name: "openssl", Args: append(args, key.openssl()...),
		Feed: func(w io.Writer) error { _, err := io.WriteString(w, root.String()); return err },
	}.Run(ctx)
	if err != nil {
		return nil, fmt.Errorf("sign root hash: %w", err)
	}
	return &verity.Signature{Root: root, PKCS7: der, Fingerprint: cert.Fingerprint()}, nil
}

// Program signs an EFI program for Secure Boot and writes it to out.
// SOURCE_DATE_EPOCH does not reach the signature: the tool stores the time of
// signing in it, so that each run gives other bytes.
func Program(ctx context.Context, in, out string, key Key, cert *Certificate) error {
	return output.Made(out, func(temporary string) error {
		_, err := tool.Command{
			Name: sbsign,
			Args: []string{
				"sign", "--certificate=" + cert.Path, "--private-key=" + key.name,
				"--private-key-source=" + key.source(), "--output=" + temporary, in,
			},
		}.Run(ctx)
		return err
	})
}
