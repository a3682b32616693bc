package evidence

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

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
