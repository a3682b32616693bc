package trace

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mastercard/mangos/attest/keys"
	manifest "github.com/mastercard/mangos/runtime/release"
)

// extensionSuffix is how the name of the organisation's configuration extension ends.
const extensionSuffix = ".confext.raw"

// folder takes what is known of a folder, of the first component that has it; what none has
// may be on the EFI system partition. It is asked where in each component the path leads.
func (r *Release) folder(result *Result, places map[string]place, name string) error {
	for _, component := range components {
		p := places[component]
		if p.folder == "" {
			continue
		}
		has, err := r.index.HasFolder(component, strings.TrimPrefix(p.folder, "/"))
		if err != nil {
			return err
		}
		switch {
		case !has:
		case result.Folder:
			result.Elsewhere = append(result.Elsewhere, component+":"+p.folder+" (a folder)")
		default:
			if err := r.component(result, component); err != nil {
				return err
			}
			result.Folder, result.Path, result.Links = true, p.folder, p.links
			// These are of the component, not of a folder in it.
			result.SHA256, result.Source, result.Locked = "", nil, nil
			result.Origin = "a folder: of where it is from no more is known; ask for a file in it"
		}
	}
	if result.Folder {
		return nil
	}
	if len(places) < len(components) {
		return ErrUnknown // another part of the image was asked for
	}
	return r.onBootPartition(result, name)
}

// onBootPartition takes what is known of a file of the EFI system partition, which the
// device mounts on /boot.
func (r *Release) onBootPartition(result *Result, name string) error {
	name = strings.TrimPrefix(path.Clean(name), "/boot")
	folder, file := path.Split(name)
	switch {
	case name == "/EFI/BOOT/BOOTX64.EFI":
		return r.named(result, "boot.efi")
	case folder == "/EFI/Linux/":
		entry, _, _ := strings.Cut(strings.TrimSuffix(file, ".efi"), "+") // tries that are left
		return r.named(result, entry+".efi")
	case folder == "/mangos/extensions/" && file == "org"+extensionSuffix && r.extension() != "":
		result.Path = r.extension()
		return r.released(result, result.Path)
	case name == "/loader/loader.conf":
		result.Path, result.Title, result.step = name, "boot loader's configuration", "disk"
		result.Origin = "written by the step that makes the disk image, and in no statement; attest verify reads it there"
		return nil
	}
	return ErrUnknown
}

// extension is the name of the organisation's configuration extension; empty if the release
// lists none.
func (r *Release) extension() string {
	for _, name := range slices.Sorted(maps.Keys(r.sums)) {
		if strings.HasSuffix(name, extensionSuffix) {
			return name
		}
	}
	return ""
}

// unlisted says of what is not known that it may be in the organisation's extension.
func (r *Release) unlisted(asked string, err error) error {
	extension := r.extension()
	if extension == "" || !isDigest(asked) && !strings.HasPrefix(path.Clean(asked), "/etc/") {
		return err
	}
	return fmt.Errorf("%w; it may be in %s, whose files are not listed", err, extension)
}

// named looks for a product of a step by its name.
func (r *Release) named(result *Result, name string) error {
	steps := r.makers(name)
	if err := r.readSteps(steps); err != nil {
		return err
	}
	for _, step := range steps {
		if digest := r.steps[step].products[name]; digest != "" {
			return r.digest(result, digest)
		}
	}
	return ErrUnknown
}

// product looks for a product of a step by its digest.
func (r *Release) product(result *Result, digest string) error {
	products := map[string]string{}
	steps, err := r.made(r.all(), digest, products)
	if err != nil {
		return err
	}
	if len(steps) == 0 {
		return r.listOf(result, digest)
	}
	s, _ := r.pipeline.Step(steps[0])
	result.Path, result.SHA256 = products[s.Name], digest
	result.Title, result.Origin = "product of step "+s.Name, s.What
	return nil
}

// list takes what is known of the list of the release's files, or of its signature: that a
// release key of the policy made it.
func (r *Release) list(result *Result, name string) error {
	text, err := readFile(filepath.Join(r.dir, manifest.SumsFile), manifest.MaxSums)
	if err != nil {
		return err
	}
	signature, err := readFile(filepath.Join(r.dir, manifest.SignatureFile), manifest.MaxSignature)
	if err != nil {
		return err
	}
	content := text
	result.Title = "list of the release's files"
	if name == manifest.SignatureFile {
		content, result.Title = signature, "signature of "+manifest.SumsFile
	}
	result.Path, result.SHA256 = name, digestOf(content)
	if r.policy == nil {
		result.Origin = "of nobody's statement; its signature was not checked (--policy)"
		result.Faults = append(result.Faults, "the signature of "+manifest.SumsFile+" was not checked")
		return nil
	}
	signer, err := keys.VerifySumsByAny(r.policy.Checksums, signature, bytes.NewReader(text))
	if err != nil {
		result.Faults = append(result.Faults, manifest.SignatureFile+": "+err.Error())
		return nil
	}
	result.Origin = "signed by the release key " + signer + ", in the policy"
	return nil
}

// listOf looks for the list of the release's files, or its signature, by its digest.
func (r *Release) listOf(result *Result, digest string) error {
	for name, limit := range map[string]int64{manifest.SumsFile: manifest.MaxSums, manifest.SignatureFile: manifest.MaxSignature} {
		if content, err := readFile(filepath.Join(r.dir, name), limit); err == nil && digestOf(content) == digest {
			return r.list(result, name)
		}
	}
	return ErrUnknown
}

func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// readFile reads a file of at most limit bytes.
func readFile(name string, limit int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(content)) > limit {
		err = fmt.Errorf("%s has more than %d bytes", name, limit)
	}
	return content, err
}
