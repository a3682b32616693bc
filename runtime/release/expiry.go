package release

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"time"
)

// bestBefore begins the name of an entry that says until which day, UTC, the
// manifest counts: systemd's sysupdate.d(5), from version 260 on.
const bestBefore = "BEST-BEFORE-"

// IsExpiry tells whether an entry of a manifest says how long that counts. Nobody fetches
// it: its sum is that of an empty file.
func IsExpiry(name string) bool { return strings.HasPrefix(name, bestBefore) }

// CheckExpiry refuses a manifest whose day is over, or names a day that is none.
// One without a day does not expire. Errors wrap ErrExpired or ErrManifest.
func CheckExpiry(sums map[string][sha256.Size]byte, now time.Time) error {
	for name := range sums {
		text, ok := strings.CutPrefix(name, bestBefore)
		if !ok {
			continue
		}
		day, err := time.Parse(time.DateOnly, text)
		if err != nil {
			return fmt.Errorf("%w: %.60q is no date", ErrManifest, name)
		}
		if now.After(day.AddDate(0, 0, 1)) {
			return fmt.Errorf("%w: it was good until %s", ErrExpired, text)
		}
	}
	return nil
}
