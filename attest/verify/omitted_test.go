package verify_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/in-toto/in-toto-golang/in_toto"

	"github.com/mastercard/mangos/attest/verify/verifytest"
)

// TestOmitted: a step says nothing of one of its inputs, in its statement and in its
// link. The named check must fail, and name the input.
func TestOmitted(t *testing.T) {
	w := verifytest.New(t, t.TempDir(), "Example", "hello", verifytest.Extended(""))
	o := &original{dir: w.Release(t), policy: w.Policy, at: at, keys: w.Keys, world: w}
	for _, row := range []struct{ step, input, check, detail string }{
		{"toolchain", "source/go.mod", "inputs-complete", ""},
		{"modules", "source/go.mod", "inputs-complete", ""},
		{"programs", "source/attest/cmd/record/main.go", "inputs-complete", "which the step source made"},
		{"programs", "source/go.mod", "inputs-complete", "which the step source made"},
		{"programs", "go/example.org/M@v1.0.0.zip", "inputs-complete", "which the step modules made"},
		{"programs", "bootstrap/record", "inputs-complete", ""},
		{"lock", "program/record", "inputs-complete", ""},
		{"origin", "source/modules/debian/keys/archive.asc", "inputs-complete", "which the step source made"},
		{"packages-root", "program/record", "inputs-complete", ""},
		{"packages-initrd", "program/record", "inputs-complete", ""},
		{"packages-microcode", "program/record", "inputs-complete", ""},
		{"packages-imagetools", "program/record", "inputs-complete", ""},
		{"packages-build", "program/record", "inputs-complete", ""},
		{"packages-source-linux", "program/record", "inputs-complete", ""},
		{"tree-root", "locked/test/pool/base-root.deb", "inputs-complete", "which the step packages-root made"},
		{"tree-initrd", "locked/test/pool/base-initrd.deb", "inputs-complete", "which the step packages-initrd made"},
		{"tree-microcode", "locked/test/pool/base-microcode.deb", "inputs-complete", "which the step packages-microcode made"},
		{"tree-imagetools", "locked/test/pool/base-imagetools.deb", "inputs-complete", "which the step packages-imagetools made"},
		{"tree-build", "locked/test/pool/base-build.deb", "inputs-complete", "which the step packages-build made"},
		{"kernel", "locked/test/pool/base-build.deb", "inputs-complete", "which the step packages-build made"},
		{"kernel", "locked/test/pool/linux.dsc", "inputs-complete", "which the step packages-source-linux made"},
		{"kernel", "source/modules/kernel/config/a.config", "inputs-complete", "which the step source made"},
		{"kernel", "selection/source-linux.json", "inputs-complete", ""},
		{"kernel-packed", "compiled/System.map", "inputs-complete", "which the step kernel made"},
		{"kernel-packed", "locked/test/pool/base-build.deb", "inputs-complete", "which the step packages-build made"},
		{"certificate", "kernel/bzImage", "inputs-complete", "which the step kernel-packed made"},
		{"plan", "locked/test/pool/base-imagetools.deb", "inputs-complete", "which the step packages-imagetools made"},
		{"sbom-device", "source/modules/image/tree/initrd/init", "inputs-complete", "which the step source made"},
		{"sbom-device", "source/runtime/x.go", "inputs-complete", "which the step source made"},
		{"sbom-device", "device/initrd/usr/lib/mangos/gate", "sbom-programs", "which is in the image"},
		{"erofs", "locked/test/pool/base-imagetools.deb", "inputs-complete", "which the step packages-imagetools made"},
		{"erofs", "selection/imagetools.json", "inputs-complete", ""},
		{"erofs", "source/modules/image/tree/root/etc/x", "inputs-complete", "which the step source made"},
		{"erofs", "device/root/usr/lib/mangos/extension", "sbom-programs", "which is in the image"},
		{"erofs", "document/usr/share/mangos/sbom.spdx.json.zst", "inputs-complete", "which the step sbom-device made"},
		{"verity", "locked/test/pool/base-imagetools.deb", "inputs-complete", "which the step packages-imagetools made"},
		{"initrd", "source/modules/image/tree/initrd/init", "inputs-complete", "which the step source made"},
		{"initrd", "device/initrd/usr/lib/mangos/gate", "sbom-programs", "which is in the image"},
		{"microcode", "locked/test/pool/base-imagetools.deb", "inputs-complete", "which the step packages-imagetools made"},
		{"sbom", "microcode.database.tree", "inputs-complete", ""},
		{"sbom", "kernel/System.map", "inputs-complete", "which the step kernel-packed made"},
		{"sbom", "device/root/usr/lib/mangos/extension", "sbom-programs", "which is in the image"},
		{"uki", "kernel/bzImage", "inputs-complete", "which the step kernel-packed made"},
		{"uki", "microcode.cpio", "inputs-complete", ""},
		{"uki", "mangos_1.2.spdx.json", "inputs-complete", "which the step sbom made"},
		{"update", "locked/test/pool/base-imagetools.deb", "inputs-complete", "which the step packages-imagetools made"},
		{"sign-verity", "locked/test/pool/base-imagetools.deb", "inputs-complete", "which the step packages-imagetools made"},
		{"sign-boot", "locked/test/pool/base-imagetools.deb", "inputs-complete", "which the step packages-imagetools made"},
		{"sign", "keys/pcr.pub", "inputs-complete", ""},
		{"sign", "keys/secure-boot.crt", "inputs-complete", ""},
		{"extension", "locked/test/pool/base-imagetools.deb", "inputs-complete", "which the step packages-imagetools made"},
		{"disk", "mangos_1.2.efi", "inputs-complete", "which the step sign made"},
		{"disk", "org_1.2.confext.raw", "inputs-complete", "which the step extension made"},
	} {
		t.Run(row.step+" without "+row.input, func(t *testing.T) {
			t.Parallel()
			c := o.copy(t)
			c.omit(row.step, row.input)
			c.seal()
			got := failed(t, c.run())
			detail := "step " + row.step + ": it does not have " + row.input + "…" + row.detail
			if text, ok := got[row.check]; !ok || !says(text, detail) {
				t.Errorf("the check %s should say %q; failed: %q", row.check, detail, got)
			}
		})
	}
}

// omit has a step say nothing of an input.
func (c *copied) omit(step, input string) {
	c.t.Helper()
	c.relink(step, func(l *in_toto.Link) {
		if _, ok := l.Materials[input]; !ok {
			c.t.Fatalf("the link of %s has no %s", step, input)
		}
		delete(l.Materials, input)
	})
	var s struct {
		Type          json.RawMessage `json:"_type"`
		Subject       json.RawMessage `json:"subject"`
		PredicateType json.RawMessage `json:"predicateType"`
		Predicate     struct {
			BuildDefinition map[string]json.RawMessage `json:"buildDefinition"`
			RunDetails      json.RawMessage            `json:"runDetails"`
		} `json:"predicate"`
	}
	var had []json.RawMessage
	definition := &s.Predicate.BuildDefinition
	if err := json.Unmarshal(c.payload(step), &s); err != nil {
		c.t.Fatal(err)
	}
	if err := json.Unmarshal((*definition)["resolvedDependencies"], &had); err != nil {
		c.t.Fatal(err)
	}
	left := slices.DeleteFunc(had, func(d json.RawMessage) bool {
		var named struct{ Name string }
		return json.Unmarshal(d, &named) == nil && named.Name == input
	})
	delete(*definition, "resolvedDependencies")
	var err error
	if len(left) > 0 {
		if (*definition)["resolvedDependencies"], err = json.Marshal(left); err != nil {
			c.t.Fatal(err)
		}
	}
	payload, err := json.Marshal(s)
	if err != nil {
		c.t.Fatal(err)
	}
	c.state(step, payload, c.key())
}
