package explanation_test

import (
	"bytes"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mastercard/mangos/compare/explanation"
	"github.com/mastercard/mangos/compare/lineage"
	"github.com/mastercard/mangos/compare/releasetest"
	"github.com/mastercard/mangos/compare/side"
	"github.com/mastercard/mangos/compare/stepstest"
)

// build is a release and what its attestations say of it.
type build struct {
	options releasetest.Options
	texts   map[string]string // what names stand for, where it is not the name itself
	flag    string            // a parameter of the kernel
	command []string          // that compiles the kernel, where it is not the usual one
	own     string            // a material, and a parameter, of what the organisation signs
	extra   []stepstest.Step
}

// pipeline is a part of the real one.
var pipeline = []struct {
	name                string
	materials, products []string
}{
	{"source", nil, []string{"source/debian.lock.json", "source/kernel.config"}},
	{"packages-root", []string{"source/debian.lock.json"}, []string{"locked/tool.deb"}},
	{"tree-root", []string{"locked/tool.deb"}, []string{"root.tree"}},
	{"kernel", []string{"source/kernel.config"}, []string{"compiled/vmlinux"}},
	{"kernel-packed", []string{"compiled/vmlinux"}, []string{"kernel/vmlinux", "kernel/bzImage"}},
	{"erofs", []string{"root.tree"}, []string{"root.erofs"}},
	{"verity", []string{"root.erofs"}, []string{"root.verity", "roothash"}},
	{"uki", []string{"root.erofs", "roothash", "kernel/bzImage"}, []string{"initrd", "cmdline", "uki.efi"}},
	{"extension", nil, []string{"org_1.confext.raw"}},
	{"certificate", nil, []string{"certified/bzImage"}},
}

func (b *build) open(t *testing.T) *side.Side {
	t.Helper()
	dir := t.TempDir()
	releasetest.Write(t, dir, b.options)
	stand := func(names []string) map[string]string {
		m := map[string]string{}
		for _, n := range names {
			m[n] = n + b.texts[n]
		}
		return m
	}
	folder := filepath.Join(dir, "release")
	for _, s := range pipeline {
		step := stepstest.Step{Name: s.name, Materials: stand(s.materials), Products: stand(s.products)}
		if s.name == "kernel" && b.flag != "" {
			step.Parameters = map[string]string{"flags": b.flag}
		}
		if s.name == "kernel" {
			step.Command = b.command
		}
		if s.name == "extension" || s.name == "certificate" {
			step.Materials = map[string]string{"keys/verity.crt": b.own}
			step.Parameters = map[string]string{"key": "1" + b.own}
		}
		stepstest.Write(t, folder, step)
	}
	stepstest.Write(t, folder, b.extra...)
	s, err := side.Open(t.Context(), folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// changed is what names stand for in the second build.
func changed(names ...string) map[string]string {
	m := map[string]string{}
	for _, n := range names {
		m[n] = " changed"
	}
	return m
}

// TestSteps: by the attestations in two releases, what differs is followed back to
// the step that made something else from the same, or to other inputs.
func TestSteps(t *testing.T) {
	root := releasetest.Options{Root: bytes.Repeat([]byte("another file"), 2000)}
	follows := []string{"root.erofs", "root.verity", "roothash", "initrd", "cmdline", "uki.efi"}
	for name, c := range map[string]struct {
		b build
		// steps, and components of the unsigned set, that are not the same
		steps, components map[string]lineage.State
		says              []string
	}{
		"the same": {build{}, nil, nil, []string{"They are the same."}},
		"other keys": {build{options: releasetest.Options{Signature: "other"}, texts: changed("org_1.confext.raw")}, nil, nil,
			[]string{"They differ only in what each organisation signs"}},
		"a tree of the same packages": {build{options: root, texts: changed(append(follows, "root.tree")...)},
			map[string]lineage.State{"tree-root": lineage.Culprit, "erofs": lineage.Follows, "verity": lineage.Follows, "uki": lineage.Follows},
			map[string]lineage.State{"root": lineage.Culprit},
			[]string{"Culprit: root:", "Culprit step: tree-root: root.tree made from the same", "made something else: 3"}},
		"another lock": {build{options: root, texts: changed(append(follows, "root.tree", "locked/tool.deb", "source/debian.lock.json")...)},
			map[string]lineage.State{"source": lineage.Input, "packages-root": lineage.Follows, "tree-root": lineage.Follows},
			map[string]lineage.State{"root": lineage.Follows},
			[]string{"Other inputs: source: source/debian.lock.json", "Made from other materials, and not the same: root, "}},
		"another lock, and a kernel of the same source": {build{options: releasetest.Options{Kernel: 'x'},
			texts: changed("source/debian.lock.json", "compiled/vmlinux", "kernel/vmlinux", "kernel/bzImage", "uki.efi")},
			map[string]lineage.State{"source": lineage.Input, "kernel": lineage.Culprit, "kernel-packed": lineage.Follows, "uki": lineage.Follows},
			map[string]lineage.State{"kernel": lineage.Culprit},
			[]string{"Culprit: kernel:", "Culprit step: kernel: compiled/vmlinux made from the same"}},
		"a kernel compiled with another flag": {build{options: releasetest.Options{Kernel: 'x'}, flag: "-O3",
			texts: changed("compiled/vmlinux", "kernel/vmlinux", "kernel/bzImage", "uki.efi")},
			map[string]lineage.State{"kernel": lineage.Follows}, map[string]lineage.State{"kernel": lineage.Follows},
			[]string{"Culprit step: kernel: was told something else: parameter flags of kernel a none b -O3"}},
		"a kernel compiled by another command": {build{options: releasetest.Options{Kernel: 'x'}, command: []string{"make", "kernel", "-O3", "\x1b[2J"},
			texts: changed("compiled/vmlinux", "kernel/vmlinux", "kernel/bzImage", "uki.efi")},
			map[string]lineage.State{"kernel": lineage.Follows}, map[string]lineage.State{"kernel": lineage.Follows},
			[]string{`was told something else: command of kernel a "kernel"] b "kernel", "-O3",`}},
		"an organisation's extension, and the kernel that it signs, told something else": {
			build{options: releasetest.Options{Signature: "other"}, texts: changed("org_1.confext.raw", "certified/bzImage"), own: "x"},
			map[string]lineage.State{"extension": lineage.Follows, "certificate": lineage.Follows}, nil,
			[]string{"They differ only in what each organisation signs"}},
		"attestations that contradict each other": {build{extra: []stepstest.Step{{Name: "lie", Products: map[string]string{"root.tree": "x"}}}}, nil, nil,
			[]string{"attestations contradict each other", "No dissent."}},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := (&build{}).open(t), c.b.open(t)
			x, err := explanation.Explain(t.Context(), a, b, explanation.Options{})
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			if err := (explanation.Text{Limit: 10}).Write(&out, x); err != nil {
				t.Fatal(err)
			}
			for _, part := range c.says {
				if !strings.Contains(strings.Join(strings.Fields(out.String()), " "), part) {
					t.Errorf("it does not say %q", part)
				}
			}
			if told := c.b.flag != "" || c.b.command != nil; told != (len(x.Choices) > 0) {
				t.Errorf("choices that are not the same: %+v", x.Choices)
			}
			if strings.Contains(out.String(), "\x1b") {
				t.Errorf("printed unescaped: %q", out.String())
			}
			for what, pair := range map[string][2]map[string]lineage.State{
				"step": {c.steps, states(x.Steps)}, "component": {c.components, states(x.Components)},
			} {
				for name, want := range pair[0] {
					if pair[1][name] != want {
						t.Errorf("%s %s is %q, want %q", what, name, pair[1][name], want)
					}
				}
				if len(pair[0]) == 0 && len(pair[1]) > 0 {
					t.Errorf("%ss that are not the same: %v", what, slices.Sorted(maps.Keys(pair[1])))
				}
			}
			if t.Failed() {
				t.Log("\n" + out.String())
			}
		})
	}
}

func states(list []lineage.Outcome) map[string]lineage.State {
	m := map[string]lineage.State{}
	for _, o := range list {
		m[o.Component] = o.State
	}
	return m
}
