package sign

import (
	"context"
	"crypto/rsa"
	"fmt"
	"os"
	"path/filepath"

	"github.com/mastercard/mangos/attest/cms"
	"github.com/mastercard/mangos/attest/keys"
	"github.com/mastercard/mangos/attest/offline"
	"github.com/mastercard/mangos/format/uki"
	"github.com/mastercard/mangos/format/verity"
	"github.com/mastercard/mangos/modules/image/output"
)

// Verity signs a root hash for the kernel: a detached PKCS#7 signature over its
// 64 hexadecimal digits, without attributes and without certificates.
func Verity(ctx context.Context, root verity.RootHash, key Key, cert *Certificate) (*verity.Signature, error) {
	digits := []byte(root.String())
	value, err := key.certified(ctx, keys.Verity, "root hash "+root.String(), digits, cert)
	if err != nil {
		return nil, fmt.Errorf("sign root hash: %w", err)
	}
	der, err := cms.EncodeDetached(digits, cert.Certificate, value)
	if err != nil {
		return nil, fmt.Errorf("sign root hash: %w", err)
	}
	return &verity.Signature{Root: root, PKCS7: der, Fingerprint: cert.Fingerprint()}, nil
}

// Program signs an EFI program for Secure Boot and writes it to out.
func Program(ctx context.Context, in, out string, key Key, cert *Certificate) error {
	st, err := os.Stat(in)
	if err != nil {
		return fmt.Errorf("sign program: %w", err)
	}
	if st.Size() > uki.MaxSize {
		return fmt.Errorf("sign program: %s has %d bytes: %w", in, st.Size(), uki.ErrFormat)
	}
	image, err := os.ReadFile(in)
	if err != nil {
		return fmt.Errorf("sign program: %w", err)
	}
	p, err := cms.NewProgram(image)
	if err != nil {
		return fmt.Errorf("sign program: %s: %w", in, err)
	}
	message, err := p.Message()
	if err != nil {
		return fmt.Errorf("sign program: %s: %w", in, err)
	}
	value, err := key.certified(ctx, keys.SecureBoot, "program "+filepath.Base(in), message, cert)
	if err != nil {
		return fmt.Errorf("sign program: %w", err)
	}
	signed, err := p.Sign(cert.Certificate, value)
	if err != nil {
		return fmt.Errorf("sign program: %s: %w", in, err)
	}
	return output.Bytes(out, signed)
}

// certified returns the signature value over message by the key of cert.
func (k Key) certified(ctx context.Context, role keys.Role, what string, message []byte, cert *Certificate) ([]byte, error) {
	if _, ok := cert.PublicKey.(*rsa.PublicKey); !ok {
		return nil, fmt.Errorf("%s holds a %T, the %s key must be RSA: %w", cert.Path, cert.PublicKey, role, ErrKey)
	}
	r, err := offline.New(role, what, message, cert.PublicKey)
	if err != nil {
		return nil, err
	}
	return k.sign(ctx, r)
}
