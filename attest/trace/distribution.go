package trace

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mastercard/mangos/attest/policy"
	"github.com/mastercard/mangos/modules/debian/archive"
	"github.com/mastercard/mangos/modules/debian/lock"
	"github.com/mastercard/mangos/modules/debian/origin"
)

// distribution verifies the signed Release that something was locked by, as the lock holds
// it, by the keys that the policy has for the archive.
func (r *Release) distribution(result *Result) {
	l := result.Locked
	if l == nil {
		return
	}
	if l.Trust = NotChecked; r.policy == nil {
		return
	}
	l.Trust = InPolicy
	if err := r.signedRelease(l); err != nil {
		l.Trust = NotInPolicy
		result.Faults = append(result.Faults, "the distribution's Release: "+err.Error())
	}
}

func (r *Release) signedRelease(l *Locked) error {
	if r.lock == nil {
		return errors.New("no lock is at hand, which holds it with its signature")
	}
	i := slices.IndexFunc(r.lock.Suites, func(s lock.Suite) bool { return s.Name == l.Suite })
	if i < 0 || r.lock.Suites[i].Release != l.Release || strings.Join(r.lock.Suites[i].Signers, ", ") != l.Signed {
		return fmt.Errorf("%s has another of suite %s", r.lockName, l.Suite)
	}
	j := slices.IndexFunc(r.policy.Suites, func(s policy.Suite) bool { return s.Name == l.Suite })
	if j < 0 {
		return fmt.Errorf("the policy names nobody who signs suite %s", l.Suite)
	}
	trusted := &r.policy.Suites[j]
	texts := make([][]byte, len(trusted.Keys))
	for i, k := range trusted.Keys {
		texts[i] = []byte(k)
	}
	ring, err := archive.ReadKeyring(texts, trusted.Signers)
	if err != nil {
		return fmt.Errorf("suite %s of the policy: %w", l.Suite, err)
	}
	_, err = origin.Release(r.lock.Suites[i], ring)
	return err
}
