package refresh

import (
	"errors"
	"fmt"
	"time"

	"github.com/mastercard/mangos/modules/debian/archive"
)

// ErrOlder says that an archive offers an older Release than one that is locked: its
// signature is good, but so was that of every Release before, each with the security
// holes of its day.
var ErrOlder = errors.New("the archive's Release is older than the locked one")

// notOlder returns an error when a present lock knows a newer Release of the suite.
func (m *Maker) notOlder(s *archive.Suite) error {
	newest, err := m.locked(s)
	if err != nil || !s.Release.Date.Before(newest) {
		return err
	}
	offered, had := s.Release.Date.Format(time.RFC3339), newest.UTC().Format(time.RFC3339)
	if m.AcceptOlder {
		m.logf("%s: the Release of %s is older than the locked one of %s, and accepted", s.Name, offered, had)
		return nil
	}
	return fmt.Errorf("suite %s: %w: it is of %s, the locked one of %s: the mirror lags behind or replays an old state: "+
		"wait, name another mirror, or accept it with --accept-older (ci/dagger call lock --accept-older -o debian.lock.json)",
		s.Name, ErrOlder, offered, had)
}

// locked returns the date of the suite's newest locked Release; zero when none is.
func (m *Maker) locked(s *archive.Suite) (newest time.Time, err error) {
	for _, l := range m.Present {
		for _, have := range l.Suites {
			if have.Name != s.Name || have.Archive != s.Archive {
				continue
			}
			date, err := time.Parse(time.RFC3339, have.Date)
			if err != nil {
				return time.Time{}, fmt.Errorf("suite %s: date in the present lock: %w", s.Name, err)
			}
			if date.After(newest) {
				newest = date
			}
		}
	}
	return newest, nil
}
