package bootstrap

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// dropped are the files that differ from run to run, or are of no use in a tree
// that another machine boots, each with its cause. Everything else of a tree is
// the same everywhere by what the steps before did:
//
//   - the sandbox fixes host name, network, environment, time zone, locale, umask;
//   - SOURCE_DATE_EPOCH is the date of the newest package: useradd and its like
//     write it into /etc/shadow instead of today;
//   - dpkg gets the packages in one order and writes no log (--log=/dev/null);
//   - files that the packages bring keep their own dates; dates does the others.
var dropped = []struct{ pattern, cause string }{
	{"etc/.pwd.lock", "a lock of the user programs"},
	{"etc/group-", "the user programs' backup of a state within this run"},
	{"etc/gshadow-", "the same"},
	{"etc/passwd-", "the same"},
	{"etc/shadow-", "the same"},
	{"etc/subgid-", "the same"},
	{"etc/subuid-", "the same"},
	{"run/*", "lies in memory on a running system"},
	{"tmp/*", "lies in memory on a running system"},
	{"var/cache/debconf/*-old", "debconf's backup of a state within this run"},
	{"var/cache/fontconfig/*", "holds the dates of folders; made anew when fonts are used"},
	{"var/cache/ldconfig/aux-cache", "holds inode numbers and change times; only speeds up ldconfig"},
	{"var/cache/man/*", "an index that holds dates; made anew by man-db's timer"},
	{"var/lib/dbus/machine-id", "random; dbus reads /etc/machine-id when it is not there"},
	{"var/lib/dpkg/*-old", "dpkg's backup of a state within this run"},
	{"var/lib/systemd/credential.secret", "random; made at first use"},
	{"var/lib/systemd/random-seed", "random; made at the first boot"},
	{"var/log/alternatives.log", "tells the time of this run"},
	{"var/log/apt/*", "the same"},
	{"var/log/bootstrap.log", "the same"},
	{"var/log/dpkg.log", "the same"},
	{"var/log/fontconfig.log", "the same"},
}

// normalise makes the same everywhere what the steps before could not.
func normalise(root string, date time.Time) error {
	for _, step := range []func(string, time.Time) error{drop, machineID, shadow, bytecode, dates} {
		if err := step(root, date); err != nil {
			return fmt.Errorf("normalise: %w", err)
		}
	}
	return nil
}

func drop(root string, _ time.Time) error {
	for _, d := range dropped {
		names, err := filepath.Glob(filepath.Join(root, d.pattern))
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := os.RemoveAll(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// machineID empties the machine id, which systemd's maintainer script draws at
// random: an empty file makes each machine find its own.
func machineID(root string, _ time.Time) error {
	name := filepath.Join(root, "etc/machine-id")
	if _, err := os.Lstat(name); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return os.Truncate(name, 0)
}

// shadow dates the passwords, which nobody has set, to the tree's date: programs
// that do not know SOURCE_DATE_EPOCH wrote today.
func shadow(root string, date time.Time) error {
	name := filepath.Join(root, "etc/shadow")
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	day := strconv.FormatInt(date.Unix()/(24*60*60), 10)
	lines := strings.Split(string(text), "\n")
	for i, line := range lines {
		fields := strings.Split(line, ":")
		if len(fields) > 2 && fields[2] != "" {
			fields[2] = day
			lines[i] = strings.Join(fields, ":")
		}
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	if _, err := f.WriteString(strings.Join(lines, "\n")); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// bytecode removes Python's compiled modules: what a compiler run writes depends
// on the order in which it met its constants, so two runs may differ. Python
// compiles in memory what it does not find.
func bytecode(root string, _ time.Time) error {
	return filepath.WalkDir(filepath.Join(root, "usr"), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && d.Name() == "__pycache__" {
			if err := os.RemoveAll(path); err != nil {
				return err
			}
			return fs.SkipDir
		}
		return nil
	})
}

// dates gives each file that this run made, each directory and each symbolic link
// the tree's date.
func dates(root string, date time.Time) error {
	limit := unix.NsecToTimespec(date.UnixNano())
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return err
		}
		if !d.IsDir() && d.Type()&fs.ModeSymlink == 0 && st.Mtim.Nano() <= limit.Nano() {
			return nil
		}
		return unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{limit, limit}, unix.AT_SYMLINK_NOFOLLOW)
	})
}
