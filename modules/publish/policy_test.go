package publish_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mastercard/mangos/attest/policy"
	"github.com/mastercard/mangos/attest/verify/verifytest"
	"github.com/mastercard/mangos/modules/publish"
)

// With a policy the whole verdict must be good: a manifest that agrees with the files
// does not do.
func TestPolicy(t *testing.T) {
	w := verifytest.New(t, t.TempDir(), "Example", "hello")
	dir := w.Release(t)
	trusted, err := policy.Parse(w.Policy)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	r, err := publish.Open(t.Context(), dir, publish.Terms{Policy: trusted, At: at})
	if err != nil || r.String() != "mangos 1.2" {
		t.Fatalf("%v, %v", r, err)
	}
	_, err = publish.Open(t.Context(), dir, publish.Terms{Policy: trusted, At: at.AddDate(20, 0, 0)})
	if !errors.Is(err, publish.ErrRelease) || !strings.Contains(err.Error(), "the policy does not verify it: layout: ") {
		t.Errorf("when the layout has expired: %v", err)
	}
	// The signature is one over something else.
	if err := os.WriteFile(filepath.Join(dir, "SHA256SUMS.gpg"), []byte("no signature"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := publish.Open(t.Context(), dir, publish.Terms{At: at}); err != nil {
		t.Errorf("without a policy: %v", err)
	}
	_, err = publish.Open(t.Context(), dir, publish.Terms{Policy: trusted, At: at})
	if !errors.Is(err, publish.ErrRelease) || !strings.Contains(err.Error(), "checksums-signature: ") {
		t.Errorf("with another signature: %v", err)
	}
}
