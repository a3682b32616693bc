package extension

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/mastercard/mangos/runtime/console"
)

// destination is the folder that admitted extensions are merged from.
var destination = map[Class]string{
	Confext: "run/confexts",
	Sysext:  "run/extensions",
}

// searched are all folders that systemd merges extensions of a class from, in
// version 257 or a later one.
var searched = map[Class][]string{
	Confext: {"run/confexts", "var/lib/confexts", "usr/local/lib/confexts", "usr/lib/confexts", "etc/confexts"},
	Sysext:  {"run/extensions", "etc/extensions", "var/lib/extensions", "usr/local/lib/extensions", "usr/lib/extensions"},
}

// approvals holds a note for each admitted extension.
const approvals = "run/mangos/approved"

// asides are the folders where refused things are set aside, for each folder at
// the top: renaming works on one file system only. The others are read-only.
var asides = map[string]string{
	"run": "run/mangos/refused",
	"var": "var/lib/mangos/refused",
}

// place moves an admitted image from the inbox, and notes which file it is.
func (c *Checker) place(id ID) error {
	folder := filepath.Join(c.Root, destination[id.Class])
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	file := filepath.Join(folder, id.Name+".raw")
	if err := os.Rename(filepath.Join(c.Root, Inbox, id.FileName()), file); err != nil {
		return err
	}
	mark, err := identity(file)
	if err != nil {
		return err
	}
	note := c.approval(id)
	if err := os.MkdirAll(filepath.Dir(note), 0o700); err != nil {
		return err
	}
	return os.WriteFile(note, []byte(mark), 0o400)
}

func (c *Checker) approval(id ID) string {
	return filepath.Join(c.Root, approvals, string(id.Class), id.Name)
}

// identity tells one state of a file from every other: a file that was replaced
// or written to has another.
func identity(path string) (string, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return "", err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is not a file", path)
	}
	return fmt.Sprintf("device %d, inode %d, %d bytes, changed %d.%09d", st.Dev, st.Ino, st.Size, st.Ctim.Sec, st.Ctim.Nsec), nil
}

// isApproved says whether the file that would be merged as this extension is the
// one that was admitted.
func (c *Checker) isApproved(id ID) (bool, error) {
	noted, err := os.ReadFile(c.approval(id))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	now, err := identity(filepath.Join(c.Root, destination[id.Class], id.Name+".raw"))
	return err == nil && now == string(noted), nil
}

// Check makes sure that the folders which systemd merges extensions of a class
// from hold admitted images and nothing else. What else it finds it sets aside
// and names. An error means that something could not be set aside: then nothing
// must be merged.
func (c *Checker) Check(class Class) error {
	var all []error
	for _, folders := range searched {
		for _, folder := range folders {
			all = append(all, c.checkMutable(folder))
		}
	}
	for _, folder := range searched[class] {
		all = append(all, c.checkFolder(class, folder))
	}
	return errors.Join(all...)
}

// checkMutable sets aside the folder that systemd would merge writable. Version
// 257 has one for both classes, so a check of either looks for all.
func (c *Checker) checkMutable(folder string) error {
	path := folder + ".mutable"
	if _, err := os.Lstat(filepath.Join(c.Root, path)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return c.setAside(path, refuse(Mutable, "extensions are never writable"))
}

func (c *Checker) checkFolder(class Class, folder string) error {
	path := filepath.Join(c.Root, folder)
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && !info.IsDir() {
		return c.setAside(folder, refuse(NotApproved, "it is not a folder"))
	}
	if err != nil {
		return fmt.Errorf("check extensions: %w", err)
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return fmt.Errorf("check extensions: %w", err)
	}
	var all []error
	for _, e := range entries {
		ok, err := c.approvedEntry(class, folder, e.Name())
		if err == nil && !ok {
			err = c.setAside(filepath.Join(folder, e.Name()), judge(e))
		}
		all = append(all, err)
	}
	return errors.Join(all...)
}

func (c *Checker) approvedEntry(class Class, folder, entry string) (bool, error) {
	name, ok := strings.CutSuffix(entry, ".raw")
	if !ok || folder != destination[class] || !validName(name) {
		return false, nil
	}
	return c.isApproved(ID{class, name})
}

// judge words why an entry is refused.
func judge(e fs.DirEntry) *Refusal {
	switch {
	case strings.HasSuffix(e.Name(), ".mutable"):
		return refuse(Mutable, "extensions are never writable")
	case !e.Type().IsRegular():
		return refuse(NotAFile, "it is not a file: only images are taken, and no folder has a signature")
	}
	return refuse(NotApproved, "nobody checked it: extensions come from the EFI system partition when the machine starts")
}

// setAside moves a refused thing out of systemd's sight, on the same file system.
func (c *Checker) setAside(path string, why *Refusal) error {
	c.Say(console.Warning, "%s", Refused(path, why))
	top, _, _ := strings.Cut(path, "/")
	aside, ok := asides[top]
	if !ok {
		return fmt.Errorf("check extensions: /%s lies on a file system that is read-only, and cannot be set aside", path)
	}
	aside = filepath.Join(c.Root, aside)
	if err := os.MkdirAll(aside, 0o700); err != nil {
		return fmt.Errorf("check extensions: set /%s aside: %w", path, err)
	}
	slot, err := os.MkdirTemp(aside, "")
	if err != nil {
		return fmt.Errorf("check extensions: set /%s aside: %w", path, err)
	}
	if err := os.Rename(filepath.Join(c.Root, path), filepath.Join(slot, filepath.Base(path))); err != nil {
		_ = os.Remove(slot)
		return fmt.Errorf("check extensions: set /%s aside: %w", path, err)
	}
	return nil
}
