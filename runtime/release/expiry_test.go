package release

import (
	"crypto/sha256"
	"errors"
	"testing"
	"time"
)

func TestCheckExpiry(t *testing.T) {
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	for name, want := range map[string]error{
		"BEST-BEFORE-2026-01-02": nil, // its day is not over yet
		"BEST-BEFORE-2026-01-01": ErrExpired,
		"BEST-BEFORE-2026-13-01": ErrManifest,
		"BEST-BEFORE-":           ErrManifest,
		"mangos_1.efi":           nil,
	} {
		if err := CheckExpiry(map[string][sha256.Size]byte{"a": {}, name: {}}, noon); !errors.Is(err, want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
