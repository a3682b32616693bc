package update

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// A Rollback makes the boot loader start the other version: it marks the running
// one as bad. Nothing is deleted, and giving the file its old name takes it back.
type Rollback struct {
	// To is the entry that the next start takes.
	To Entry
	// Renames are old and new names of files in Folder; none if the next start takes
	// the other version already.
	Folder  string
	Renames [][2]string
}

// planRollback says what is to be done. Errors wrap ErrNotNow where the machine has
// nothing to go back to.
func planRollback(s *State) (*Rollback, error) {
	if s.Variable != "" {
		return nil, s.chosenError()
	}
	r := &Rollback{Folder: s.folder}
	var others []Entry
	for _, e := range s.Entries {
		switch {
		case e.Version != s.Running:
			others = append(others, e)
		case !e.Bad():
			r.Renames = append(r.Renames, [2]string{e.File, s.unused(e)})
		}
	}
	// The boot loader's order stands: what was before the running version is taken
	// next anyway, what was behind it comes up to its place.
	switch {
	case len(others) == 0:
		return nil, fmt.Errorf("%w: the boot loader has no other version", ErrNotNow)
	case others[0].Bad():
		return nil, fmt.Errorf("%w: the other version, %s, is %s itself", ErrNotNow, others[0].Version, others[0])
	case s.slot(others[0].Version) == nil:
		return nil, fmt.Errorf("%w: no slot holds all of version %s; apply an update first", ErrNotNow, others[0].Version)
	}
	r.To = others[0]
	if s.Entries[0].Version != s.Running {
		// Marked as bad, the running version could not be fallen back to.
		r.Renames = nil
	}
	return r, nil
}

// unused is a name for the running version's entry, marked as bad, that no file has.
func (s *State) unused(e Entry) string {
	done := e.Done
	if !e.Good() {
		// systemd-bless-boot looks for the name with the count as it is, too, and would
		// declare this start good after all, should the machine get that far.
		done++
	}
	taken := func(name string) bool {
		return slices.ContainsFunc(s.Entries, func(e Entry) bool { return e.File == name })
	}
	for taken(e.bad(done)) {
		done++
	}
	return e.bad(done)
}

// RollBack makes the boot loader start the other version. found is told before anything
// is done; a dry run does nothing more. When it returns without an error it outlasts a
// power cut; cut off before, one of the two versions is started next. Errors wrap those
// of Read, ErrBusy or ErrNotNow.
func RollBack(ctx context.Context, root string, dry bool, found func(*State, *Rollback)) error {
	if !dry {
		locked, err := lock(root)
		if err != nil {
			return fmt.Errorf("roll back: %w", err)
		}
		defer locked.Close()
	}
	s, err := Read(ctx, root)
	if err != nil {
		return fmt.Errorf("roll back: %w", err)
	}
	r, err := planRollback(s)
	if err != nil {
		return fmt.Errorf("roll back: %w", err)
	}
	found(s, r)
	if dry {
		return nil
	}
	dir, err := os.Open(r.Folder)
	if err != nil {
		return fmt.Errorf("roll back: %w", err)
	}
	defer dir.Close()
	if err := r.do(names{dir}); err != nil {
		return fmt.Errorf("roll back: %w", err)
	}
	return nil
}

// folder is where files get other names.
type folder interface {
	Rename(from, to string) error
	Sync() error
}

func (r *Rollback) do(in folder) error {
	for _, n := range r.Renames {
		if err := in.Rename(n[0], n[1]); err != nil {
			return fmt.Errorf("rename %s to %s in %s: %w; nothing is lost, say it again", n[0], n[1], r.Folder, err)
		}
	}
	// Even where no file gets another name: it may have one that is not on the disk yet.
	if err := in.Sync(); err != nil {
		return fmt.Errorf("write %s to the disk: %w; say it again before the machine starts anew", r.Folder, err)
	}
	return nil
}

// names is a folder of the file system.
type names struct{ *os.File }

// Rename replaces no file.
func (n names) Rename(from, to string) error {
	fd := int(n.Fd())
	err := unix.Renameat2(fd, from, fd, to, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("%w (somebody changed the folder meanwhile)", err)
	}
	return err
}
