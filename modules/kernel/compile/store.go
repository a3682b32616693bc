package compile

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// errDamaged reports an entry of the store that is not as it was put there.
var errDamaged = errors.New("damaged entry in the store")

// sums is the file of an entry that lists the digests of the others.
const sums = "SHA256SUMS"

// key is the digest of all that a result depends on.
func (j Job) key() (string, error) {
	hash := sha256.New()
	part := func(name string, content io.Reader) error {
		inner := sha256.New()
		if _, err := io.Copy(inner, content); err != nil {
			return fmt.Errorf("digest of %s: %w", name, err)
		}
		fmt.Fprintf(hash, "%x %q\n", inner.Sum(nil), name)
		return nil
	}
	err := errors.Join(
		part("compile.sh", bytes.NewReader(compileScript)),
		part("compress.sh", bytes.NewReader(compressScript)),
		part("tools", strings.NewReader(j.Tools)))
	if err != nil {
		return "", err
	}
	for _, folder := range []struct{ name, path, pattern string }{
		{"fragments", j.Fragments, "*.config"}, {"sources", j.Sources, "*"},
	} {
		names, err := filepath.Glob(filepath.Join(folder.path, folder.pattern)) // in order
		if err != nil {
			return "", fmt.Errorf("digest of %s: %w", folder.name, err)
		}
		for _, name := range names {
			file, err := os.Open(name)
			if err != nil {
				return "", fmt.Errorf("digest of %s: %w", folder.name, err)
			}
			err = part(folder.name+"/"+filepath.Base(name), file)
			file.Close()
			if err != nil {
				return "", err
			}
		}
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// take copies an entry of the store into a new folder. Without an entry the
// error wraps os.ErrNotExist; an entry that changed since is errDamaged.
func take(entry, folder string) error {
	want, err := os.ReadFile(filepath.Join(entry, sums))
	if err != nil {
		if _, there := os.Lstat(entry); there == nil {
			return fmt.Errorf("%w: %s: %v", errDamaged, entry, err)
		}
		return err
	}
	if err := copyFolder(entry, folder); err != nil {
		return err
	}
	got, err := list(folder)
	if err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("%w: %s", errDamaged, entry)
	}
	return nil
}

// keep puts a copy of a folder into the store. The entry appears whole or not
// at all; another run's entry of the same name is as good.
func keep(folder, entry string) error {
	text, err := list(folder)
	if err != nil {
		return err
	}
	temporary, err := os.MkdirTemp(filepath.Dir(entry), ".partial-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temporary)
	content := filepath.Join(temporary, "entry")
	if err := copyFolder(folder, content); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(content, sums), text, 0o644); err != nil {
		return err
	}
	if err := os.Rename(content, entry); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return nil
}

// list returns the digests of a folder's files in the format of sha256sum.
func list(folder string) ([]byte, error) {
	names, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	for _, name := range names {
		content, err := os.ReadFile(filepath.Join(folder, name.Name()))
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&text, "%x  %s\n", sha256.Sum256(content), name.Name())
	}
	return text.Bytes(), nil
}

// copyFolder makes a folder with copies of another one's regular files, but
// for the list of digests.
func copyFolder(from, to string) error {
	names, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	if err := os.Mkdir(to, 0o755); err != nil {
		return err
	}
	for _, name := range names {
		if name.Name() == sums {
			continue
		}
		if !name.Type().IsRegular() {
			return fmt.Errorf("%w: %s is no regular file", errDamaged, filepath.Join(from, name.Name()))
		}
		if err := copyFile(filepath.Join(from, name.Name()), filepath.Join(to, name.Name())); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	info, err := source.Stat()
	if err != nil {
		return err
	}
	target, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, info.Mode().Perm())
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Close())
}
