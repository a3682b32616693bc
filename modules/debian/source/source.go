// Package source unpacks locked source packages.
package source

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp/clearsign"

	"github.com/mastercard/mangos/modules/debian/control"
	"github.com/mastercard/mangos/modules/debian/lock"
)

// ErrContent says that a file is not the locked one, or that the description does
// not describe the others.
var ErrContent = errors.New("source package is not the locked one")

// maxDescription bounds a .dsc file, in bytes.
const maxDescription = 1 << 20

// Unpack checks the files of the selected source package, which lie in the folder
// files, and lets this machine's dpkg-source unpack and patch it into the folder
// dir, which must not exist. What dpkg-source prints goes to log.
//
// The uploader's signature in the description is not looked at: the lock names the
// file's digest, from an index that the archive signed.
func Unpack(ctx context.Context, s *lock.Selection, files, dir string, log io.Writer) error {
	if s.Source == nil {
		return fmt.Errorf("unpack source: the selection %s is of packages, not of a source", s.Name)
	}
	description, err := check(s.Source, files)
	if err != nil {
		return fmt.Errorf("unpack source %s %s: %w", s.Source.Name, s.Source.Version, err)
	}
	cmd := exec.CommandContext(ctx, "dpkg-source", "--no-check", "--extract", description, dir)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("unpack source %s %s: dpkg-source: %w", s.Source.Name, s.Source.Version, err)
	}
	return nil
}

// check reads every file and returns the path of the description.
func check(s *lock.SelectedSource, dir string) (string, error) {
	description := ""
	for _, f := range s.Files {
		name := filepath.Join(dir, path.Base(f.Path))
		size, sum, err := digest(name)
		if err != nil {
			return "", err
		}
		if size != f.Size || sum != f.SHA256 {
			return "", fmt.Errorf("%w: %s: expected %d bytes with SHA-256 %s, got %d bytes with SHA-256 %s",
				ErrContent, path.Base(f.Path), f.Size, f.SHA256, size, sum)
		}
		if strings.HasSuffix(name, ".dsc") {
			if description != "" {
				return "", fmt.Errorf("%w: two descriptions", ErrContent)
			}
			description = name
		}
	}
	if description == "" {
		return "", fmt.Errorf("%w: no description (.dsc)", ErrContent)
	}
	text, err := os.ReadFile(description)
	if err != nil {
		return "", err
	}
	return description, describes(text, s)
}

func digest(name string) (int64, string, error) {
	f, err := os.Open(name)
	if err != nil {
		return 0, "", err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	return n, hex.EncodeToString(h.Sum(nil)), err
}

// describes checks that a description names the source and just its other files.
func describes(text []byte, s *lock.SelectedSource) error {
	if len(text) > maxDescription {
		return fmt.Errorf("%w: the description is larger than %d bytes", ErrContent, maxDescription)
	}
	if block, _ := clearsign.Decode(text); block != nil {
		text = block.Plaintext
	}
	c, err := control.Single(bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("%w: description: %w", ErrContent, err)
	}
	if c.Get("Source") != s.Name || c.Get("Version") != s.Version {
		return fmt.Errorf("%w: the description is of %.80q %.80q", ErrContent, c.Get("Source"), c.Get("Version"))
	}
	want := map[string]bool{}
	for _, f := range s.Files {
		if !strings.HasSuffix(f.Path, ".dsc") {
			want[f.SHA256+" "+strconv.FormatInt(f.Size, 10)+" "+path.Base(f.Path)] = true
		}
	}
	for line := range strings.SplitSeq(c.Get("Checksums-Sha256"), "\n") {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		key := strings.Join(words, " ")
		if !want[key] {
			return fmt.Errorf("%w: the description names %.200q, the lock does not", ErrContent, key)
		}
		delete(want, key)
	}
	if len(want) > 0 {
		return fmt.Errorf("%w: the lock names %d files more than the description", ErrContent, len(want))
	}
	return nil
}
