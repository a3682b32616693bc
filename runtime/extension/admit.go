package extension

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mastercard/mangos/runtime/console"
)

// ErrRequired: an extension that the policy requires was not admitted.
var ErrRequired = errors.New("a required extension is missing")

// Images reads an extension's metadata out of an image, after the image was
// verified. What it does not accept is a *Refusal.
type Images interface {
	Release(ctx context.Context, image string, id ID) ([]byte, error)
}

// A Checker admits extensions and watches over the folders they are merged from.
type Checker struct {
	// Root is the root of the system, "/" on a machine.
	Root string
	// Policy and Host (os-release) come from the verified root image.
	Policy Policy
	Host   Assignments
	Images Images
	// Say tells people.
	Say func(level console.Level, format string, args ...any)
}

// NewChecker reads policy and os-release from the tree at root.
func NewChecker(root string, say func(console.Level, string, ...any)) (*Checker, error) {
	policy, err := os.ReadFile(filepath.Join(root, PolicyFile))
	if err != nil {
		return nil, fmt.Errorf("extension policy: %w", err)
	}
	c := &Checker{Root: root, Say: say, Images: Kernel{Root: root, Mount: filepath.Join(root, "run/mangos/image")}}
	if c.Policy, err = ParsePolicy(policy); err != nil {
		return nil, err
	}
	release, err := os.ReadFile(filepath.Join(root, "usr/lib/os-release"))
	if err != nil {
		return nil, fmt.Errorf("os-release: %w", err)
	}
	if c.Host, err = Parse(release); err != nil {
		return nil, fmt.Errorf("os-release: %w", err)
	}
	return c, nil
}

// Pending says whether the inbox holds anything.
func (c *Checker) Pending() (bool, error) {
	names, err := pending(filepath.Join(c.Root, Inbox))
	return len(names) > 0, err
}

// Admit looks into every image in the inbox and moves the good ones to where
// systemd merges them from; the others it removes, and says why. Counters are
// raised in the store before an image is moved.
func (c *Checker) Admit(ctx context.Context, store Store) error {
	names, err := pending(filepath.Join(c.Root, Inbox))
	if err != nil {
		return fmt.Errorf("admit extensions: %w", err)
	}
	for _, name := range names {
		if err := c.admitOne(ctx, store, name); err != nil {
			c.Say(console.Warning, "%s", Refused(name, err))
			if err := os.RemoveAll(filepath.Join(c.Root, Inbox, name)); err != nil {
				c.Say(console.Warning, "extension %s stays in the inbox: %v", console.Quote(name, 80), err)
			}
		}
	}
	return nil
}

func (c *Checker) admitOne(ctx context.Context, store Store, name string) error {
	id, err := ParseFileName(name)
	if err != nil {
		return err
	}
	image := filepath.Join(c.Root, Inbox, name)
	if info, err := os.Lstat(image); err != nil || !info.Mode().IsRegular() {
		return refuse(NotAFile, "it is not a file: only images are taken, and no folder has a signature")
	}
	text, err := c.Images.Release(ctx, image, id)
	if err != nil {
		return err
	}
	m, err := Judge(id, text, c.Policy, c.Host)
	if err != nil {
		return err
	}
	if err := c.remember(store, id, m.Counter); err != nil {
		return err
	}
	if err := c.place(id); err != nil {
		return fmt.Errorf("move it to where it is merged from: %w", err)
	}
	c.Say(console.Info, "extension accepted: %s, purpose %s, counter %d", id, m.Purpose, m.Counter)
	return nil
}

// NoCounters is said where the TPM has no table of counters, so that a cleared one does
// not go unseen.
const NoCounters = "no extension was admitted on this machine since its TPM was made or cleared: an old version of one would not be noticed"

// remember refuses a counter below the highest seen, and notes a higher one.
func (c *Checker) remember(store Store, id ID, n uint64) error {
	raw, err := store.Read()
	if err != nil {
		return refuse(NoMemory, "the TPM does not tell which counters were seen (%v)", err)
	}
	if raw == nil {
		c.Say(console.Warning, NoCounters)
	}
	counters, err := parseCounters(raw)
	if err != nil {
		return refuse(NoMemory, "%v", err)
	}
	if seen := counters.Seen(id); n < seen {
		return refuse(Replayed, "its counter is %d, and this machine has seen %d: an old version put back", n, seen)
	}
	changed, err := counters.raise(id, n)
	if err == nil && changed {
		err = store.Write(counters.encode())
	}
	if err != nil {
		return refuse(NoMemory, "its counter cannot be noted in the TPM (%v)", err)
	}
	return nil
}

// Required says which of the extensions that this machine must have were not admitted:
// those that the policy requires, and the organisation's, once the machine has seen one.
// The error wraps ErrRequired. Who takes the organisation's extension away must not get a
// machine without it: a newer one that changes nothing takes its place.
func (c *Checker) Required(store Store) error {
	wanted := slices.Clone(c.Policy.Required)
	org := ID{Confext, Organisation}
	raw, err := store.Read()
	if err != nil {
		return fmt.Errorf("required extensions: the TPM does not tell which were seen: %w", err)
	}
	if raw == nil {
		c.Say(console.Warning, NoCounters)
	}
	counters, err := parseCounters(raw)
	if err != nil {
		return fmt.Errorf("required extensions: %w", err)
	}
	if counters.Seen(org) > 0 && !slices.Contains(wanted, org) {
		wanted = append(wanted, org)
	}
	var missing []string
	for _, id := range wanted {
		if ok, err := c.isApproved(id); err != nil || !ok {
			missing = append(missing, id.String())
		}
	}
	if len(missing) == 0 {
		return nil
	}
	slices.Sort(missing)
	return fmt.Errorf("%w: %s; put a signed one to /%s on the EFI system partition", ErrRequired, strings.Join(missing, ", "), Source)
}
