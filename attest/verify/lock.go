package verify

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/mastercard/mangos/attest/gosum"
	"github.com/mastercard/mangos/attest/policy"
	"github.com/mastercard/mangos/attest/record"
	"github.com/mastercard/mangos/modules/debian/archive"
	"github.com/mastercard/mangos/modules/debian/lock"
	"github.com/mastercard/mangos/modules/debian/origin"
)

// readLock reads the lock among the release's files, which accounted for is the
// repository's.
func readLock(r *folder) (*lock.Lock, error) {
	name, err := r.one(".lock.json")
	if err != nil {
		return nil, err
	}
	text, err := r.small(name)
	if err != nil {
		return nil, err
	}
	l, err := lock.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return l, nil
}

// lockedItems are the files that a lock names, as steps name them.
type lockedItems map[string]record.Item

func lockedFiles(l *lock.Lock) lockedItems {
	locked := lockedItems{}
	for _, item := range record.Items(l) {
		locked[item.Name] = item
	}
	return locked
}

// check holds what a step used or fetched against the lock.
func (l lockedItems) check(name string, d descriptor) error {
	item, ok := l[name]
	if !ok {
		return fmt.Errorf("%s is not in the lock", name)
	}
	if item.SHA256 != d.SHA256() || item.URI != d.URI {
		return fmt.Errorf("%s has SHA-256 %s (%s), the lock says %s (%s)", name, d.SHA256(), d.URI, item.SHA256, item.URI)
	}
	return nil
}

// checkLock holds every file of the distribution that a step used or fetched
// against the lock, every set that was fetched against the lock's, and every Go
// module against go.sum: by its name, and by its content where the folder of the
// archives is given.
func checkLock(r *folder, all statements, l *lock.Lock, archives string) (string, error) {
	locked := lockedFiles(l)
	sums, err := readGoSum(r)
	if err != nil {
		return "", err
	}
	files, used := map[string]bool{}, modules{}
	for _, s := range all.sorted() {
		for _, side := range []map[string]descriptor{s.inputs, s.products} {
			for name, d := range side {
				switch first, _, _ := strings.Cut(name, "/"); first {
				case "locked":
					if err := locked.check(name, d); err != nil {
						return "", fmt.Errorf("step %s: %w", s.name, err)
					}
					files[name] = true
				case "go":
					m, err := moduleOf(name)
					if err == nil {
						err = used.add(m, d.SHA256(), sums)
					}
					if err != nil {
						return "", fmt.Errorf("step %s: Go module %w", s.name, err)
					}
				}
			}
		}
	}
	sets, err := checkSets(all, l)
	if err != nil {
		return "", err
	}
	how := "names"
	if archives != "" {
		if err := used.check(archives, sums); err != nil {
			return "", fmt.Errorf("module %w", err)
		}
		how = "content"
	}
	return fmt.Sprintf("%d files of the distribution, %d sets, %d Go modules by their %s", len(files), sets, len(used), how), nil
}

// checkDistribution holds the lock against the distribution's word: the signed
// Releases that it holds, and the indexes in the release that these name.
func checkDistribution(r *folder, l *lock.Lock, suites []policy.Suite) (string, error) {
	keys := map[string]*archive.Keyring{}
	for _, s := range suites {
		texts := make([][]byte, len(s.Keys))
		for i, k := range s.Keys {
			texts[i] = []byte(k)
		}
		ring, err := archive.ReadKeyring(texts, s.Signers)
		if err != nil {
			return "", fmt.Errorf("suite %s of the policy: %w", s.Name, err)
		}
		keys[s.Name] = ring
	}
	name, err := r.one(origin.Suffix)
	if err != nil {
		return "", err
	}
	data, err := r.small(name)
	if err != nil {
		return "", err
	}
	indexes, err := origin.Read(bytes.NewReader(data))
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	found, err := indexes.Check(l, keys)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d packages and %d sources stand in the indexes of %d signed Releases", found.Packages, found.Sources, found.Suites), nil
}

// checkSets makes sure that what was fetched for a set is the whole set.
func checkSets(all statements, l *lock.Lock) (int, error) {
	var selections []*lock.Selection
	for _, set := range l.Sets {
		if _, ok := all["packages-"+set.Name]; !ok {
			continue
		}
		s, err := l.Select(set.Name)
		if err != nil {
			return 0, err
		}
		selections = append(selections, s)
	}
	for _, b := range l.Build {
		name, _, _ := strings.Cut(b, "=")
		s, err := l.SelectSource(name)
		if err != nil {
			return 0, err
		}
		s.Name = "source-" + name
		selections = append(selections, s)
	}
	for _, s := range selections {
		fetched := all["packages-"+s.Name]
		if fetched == nil {
			return 0, fmt.Errorf("there is no statement of the step packages-%s", s.Name)
		}
		want := record.Packages(s)
		if len(want) != len(fetched.products) {
			return 0, fmt.Errorf("the step %s fetched %d files, the lock has %d", fetched.name, len(fetched.products), len(want))
		}
		for _, p := range want {
			name := record.LockedName(p.Archive, p.Path)
			if d := fetched.products[name]; d.SHA256() != p.SHA256 {
				return 0, fmt.Errorf("the step %s did not fetch %s", fetched.name, name)
			}
		}
	}
	return len(selections), nil
}

// readGoSum reads the release's go.sum.
func readGoSum(r *folder) (gosum.Sums, error) {
	name, err := r.one(".go.sum")
	if err != nil {
		return nil, err
	}
	text, err := r.small(name)
	if err != nil {
		return nil, err
	}
	sums, err := gosum.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return sums, nil
}
