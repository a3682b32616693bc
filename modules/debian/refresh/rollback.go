package refresh

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mastercard/mangos/modules/debian/archive"
)

// ErrOlder says that an archive offers an older Release than one that is locked: its
// signature is good, but so was that of every Release before, each with the security
// holes of its day.
var ErrOlder = errors.New("the archive's Release is older than the locked one")

// ErrBack says that a lock would go back to older versions than are locked: under the
// newest Release too, where a server withholds the files of what is newer.
var ErrBack = errors.New("versions would go back")

// wayOut ends the sentences of both.
const wayOut = "wait, name another mirror, or accept it with --accept-older (ci/dagger call lock --accept-older -o debian.lock.json)"

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
	return fmt.Errorf("suite %s: %w: it is of %s, the locked one of %s: the mirror lags behind or replays an old state: %s",
		s.Name, ErrOlder, offered, had, wayOut)
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

// notBack returns an error when the lock has an older version of a package, or of a
// source that is built, than a present one.
func (m *Maker) notBack() error {
	had, err := m.lockedVersions()
	if err != nil {
		return err
	}
	var back []string
	have := m.lock.Versions()
	for _, name := range sortedKeys(have) {
		if had[name] == "" {
			continue
		}
		order, err := archive.CompareVersions(have[name], had[name])
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if order < 0 {
			back = append(back, fmt.Sprintf("%s %s, locked is %s", name, have[name], had[name]))
		}
	}
	if len(back) == 0 {
		return nil
	}
	if m.AcceptOlder {
		for _, what := range back {
			m.logf("older, and accepted: %s", what)
		}
		return nil
	}
	return fmt.Errorf("%w: %s: the mirror has dropped the files of what is newer, lags behind or withholds them: %s",
		ErrBack, strings.Join(back, "; "), wayOut)
}

// lockedVersions returns the newest versions in the present locks of the same
// distribution.
func (m *Maker) lockedVersions() (map[string]string, error) {
	newest := map[string]string{}
	for _, l := range m.Present {
		if l.Distribution != m.lock.Distribution || l.Architecture != m.lock.Architecture {
			continue
		}
		for name, version := range l.Versions() {
			order, err := archive.CompareVersions(version, cmp.Or(newest[name], version))
			if err != nil {
				return nil, fmt.Errorf("%s in the present lock: %w", name, err)
			}
			if order >= 0 {
				newest[name] = version
			}
		}
	}
	return newest, nil
}
