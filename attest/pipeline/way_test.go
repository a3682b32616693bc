package pipeline

import (
	"slices"
	"strings"
	"testing"
)

// TestWay: each part's files have one way into the disk image, over no other branch.
func TestWay(t *testing.T) {
	p := Standard()
	for asked, want := range map[string]string{
		"root packages-root":  "tree-root<packages-root erofs<tree-root verity<erofs disk<erofs disk<verity",
		"root source":         "erofs<source verity<erofs disk<erofs disk<verity",
		"root tree-root":      "erofs<tree-root verity<erofs disk<erofs disk<verity",
		"root packages-build": "",
		"initrd programs":     "initrd<programs uki<initrd sign<uki disk<sign",
		"kernel kernel":       "kernel-packed<kernel certificate<kernel-packed uki<kernel-packed sign<uki sign<certificate disk<sign",
		"microcode":           "tree-microcode<packages-microcode microcode<tree-microcode uki<microcode sign<uki disk<sign",
		"boot":                "uki<packages-imagetools sign-boot<packages-imagetools sign<uki disk<sign-boot disk<sign",
		"boot:/usr/lib/systemd/boot/efi/systemd-bootx64.efi": "sign-boot<packages-imagetools disk<sign-boot",
		"boot:/usr/lib/systemd/boot/efi/linuxx64.efi.stub":   "uki<packages-imagetools sign<uki disk<sign",
		"boot:/x":                "",
		"root:/x erofs":          "verity<erofs disk<erofs disk<verity",
		"nothing packages-root":  "",
		"initrd:/x tree-initrd":  "initrd<tree-initrd uki<initrd sign<uki disk<sign",
		"root packages-initrd":   "",
		"root tree-root disk":    "erofs<tree-root verity<erofs disk<erofs disk<verity",
		"root sbom-device":       "erofs<sbom-device verity<erofs disk<erofs disk<verity",
		"initrd packages-initrd": "tree-initrd<packages-initrd initrd<tree-initrd uki<initrd sign<uki disk<sign",
	} {
		words := strings.Fields(asked)
		var got []string
		for _, e := range p.Way(words[0], words[1:]...) {
			got = append(got, e.To+"<"+e.From)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %s, want %s", asked, strings.Join(got, " "), want)
		}
	}
}

// TestWayEnds: what carries something leads into the last step.
func TestWayEnds(t *testing.T) {
	p := Standard()
	last := p.Steps[len(p.Steps)-1].Name
	for _, s := range p.Steps {
		for _, m := range s.Materials {
			for _, part := range m.Carries {
				if way := p.Way(part, m.From); len(way) == 0 || way[len(way)-1].To != last {
					t.Errorf("step %s: what %s carries of %s does not get into the image: %v", s.Name, m.Pattern, part, way)
				}
			}
		}
	}
}

func TestSource(t *testing.T) {
	own := Material{Pattern: "*", In: "device/root", As: "program"}
	for name, row := range map[string]struct {
		m     Material
		asked string
		want  string
		ok    bool
	}{
		"a name":            {Material{Pattern: "root.tree"}, "root.tree", "root.tree", true},
		"another":           {Material{Pattern: "root.tree"}, "root.tree2", "root.tree2", false},
		"below a folder":    {Material{Pattern: "locked/*"}, "locked/a/b", "locked/a/b", true},
		"of another folder": {Material{Pattern: "locked/*"}, "unlocked/a", "unlocked/a", false},
		"in the middle":     {Material{Pattern: "*.root.*.raw"}, "m.root.1.raw", "m.root.1.raw", true},
		"without the end":   {Material{Pattern: "*.root.*.raw"}, "m.root.1", "m.root.1", false},
		"without room":      {Material{Pattern: "*.root.*.raw"}, "m.root.raw", "m.root.raw", false},
		"elsewhere":         {own, "device/root/gate", "program/gate", true},
		"not below":         {own, "device/initrd/gate", "", false},
	} {
		if got, ok := row.m.Source(row.asked); got != row.want || ok != row.ok {
			t.Errorf("%s: %q, %v", name, got, ok)
		}
	}
	disk, _ := Standard().Step("disk")
	if !disk.Makes("mangos_1.raw.zst") || disk.Makes("mangos_1.raw") || slices.ContainsFunc(Standard().Steps, func(s Step) bool { return s.Makes("x") }) {
		t.Error("a step makes what it cannot, or does not make what it does")
	}
}
