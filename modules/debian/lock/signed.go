package lock

import (
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/klauspost/compress/zstd"

	"github.com/mastercard/mangos/modules/debian/archive"
)

// ErrUnsigned says that a lock was made without keeping the signed Releases.
var ErrUnsigned = errors.New("the lock does not hold its signed Releases: make it anew (debian lock)")

// Keep puts a signed Release into the suite.
func (s *Suite) Keep(signed archive.Signed) error {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return fmt.Errorf("keep Release of %s: %w", s.Name, err)
	}
	defer z.Close()
	s.Signed = map[string]string{}
	for name, text := range signed {
		s.Signed[name] = base64.StdEncoding.EncodeToString(z.EncodeAll(text, nil))
	}
	return nil
}

// Kept returns the signed Release of the suite. It is not verified.
func (s *Suite) Kept() (archive.Signed, error) {
	if len(s.Signed) == 0 {
		return nil, fmt.Errorf("suite %s: %w", s.Name, ErrUnsigned)
	}
	z, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(archive.MaxRelease), zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, fmt.Errorf("suite %s: %w", s.Name, err)
	}
	defer z.Close()
	signed := archive.Signed{}
	for name, text := range s.Signed {
		packed, err := base64.StdEncoding.Strict().DecodeString(text)
		if err != nil {
			return nil, fmt.Errorf("suite %s: %s: %w: %w", s.Name, name, ErrInvalid, err)
		}
		if signed[name], err = z.DecodeAll(packed, nil); err != nil {
			return nil, fmt.Errorf("suite %s: %s: %w: %w", s.Name, name, ErrInvalid, err)
		}
	}
	return signed, nil
}
