package evidence

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/mastercard/mangos/attest/tree"
)

// FolderSuffix ends the names of inputs that are folders.
const FolderSuffix = ".tree"

// FolderDigest stands for a folder of sources, by what git keeps of one: names,
// contents, the targets of links, and whether a file may be executed. Owners
// and other permissions are those of whoever checked it out. Hidden entries at
// the top (.git) are left out. The SHA-256 is that of a line for each file and
// link, sorted by path: kind (f, x or l), SHA-256 or quoted target, quoted path.
func FolderDigest(ctx context.Context, path string) (string, error) {
	entries, err := tree.Read(ctx, path)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	for _, e := range entries {
		switch {
		case strings.HasPrefix(e.Path, "."):
		case e.Type == 'f' && e.Mode&0o111 != 0:
			fmt.Fprintf(h, "x %s %q\n", e.SHA256, e.Path)
		case e.Type == 'f':
			fmt.Fprintf(h, "f %s %q\n", e.SHA256, e.Path)
		case e.Type == 'l':
			fmt.Fprintf(h, "l %q %q\n", e.Target, e.Path)
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// InputsDigest stands for all that the build was made from: the release's name,
// the parameters and the inputs. Builds that have it in common can be compared.
func (b *Build) InputsDigest() string {
	h := sha256.New()
	fmt.Fprintf(h, "%q\n", b.Release)
	for _, k := range sortedKeys(b.Parameters) {
		fmt.Fprintf(h, "parameter %q %q\n", k, b.Parameters[k])
	}
	for _, i := range b.Inputs {
		fmt.Fprintf(h, "input %q %s\n", i.Name, i.SHA256)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// InputDifference is an input or parameter that two builds do not have in
// common; A or B is empty where one of them lacks it.
type InputDifference struct {
	Name string `json:"name"`
	A    string `json:"a,omitempty"`
	B    string `json:"b,omitempty"`
}

// DifferentInputs lists what two builds do not have in common, sorted.
func DifferentInputs(a, b *Build) []InputDifference {
	all := map[string]InputDifference{}
	for side, build := range []*Build{a, b} {
		put := func(name, value string) {
			d := all[name]
			d.Name = name
			if side == 0 {
				d.A = value
			} else {
				d.B = value
			}
			all[name] = d
		}
		for k, v := range build.Parameters {
			put("parameter "+k, v)
		}
		for _, i := range build.Inputs {
			put(i.Name, i.SHA256)
		}
	}
	var list []InputDifference
	for _, name := range sortedKeys(all) {
		if d := all[name]; d.A != d.B {
			list = append(list, d)
		}
	}
	return list
}

// ArtifactsDigest stands for all that came out of a build.
func ArtifactsDigest(b *Build) string {
	h := sha256.New()
	for _, i := range b.Artifacts {
		fmt.Fprintf(h, "%q %s\n", i.Name, i.SHA256)
	}
	return hex.EncodeToString(h.Sum(nil))
}
