package sbom

import (
	"context"
	"debug/buildinfo"
	"errors"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"

	"github.com/mastercard/mangos/attest/sourceid"
)

// gate says of its build what the program of that name does.
func gate() *buildinfo.BuildInfo {
	return &buildinfo.BuildInfo{
		Path: "github.com/mastercard/mangos/runtime/cmd/gate", Main: debug.Module{Path: "github.com/mastercard/mangos"},
		Settings: []debug.BuildSetting{{Key: "GOOS", Value: "linux"}, {Key: "GOARCH", Value: "amd64"}, {Key: "CGO_ENABLED", Value: "0"}},
	}
}

// TestProgramSource: a document names the tree that a program was compiled from, and
// never a commit.
func TestProgramSource(t *testing.T) {
	c := &Component{Name: "initrd", Files: []File{{Path: "init"}, {Path: "usr/lib/mangos/gate", Program: gate()}}}
	p := Product{Source: "../.."}
	if err := p.identify(c); err != nil {
		t.Fatal(err)
	}
	want, err := sourceid.ReadProgram("../..", gate())
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Files[1].Source; c.Files[0].Source != nil || got == nil || got.Tree != want.Tree {
		t.Fatalf("got %+v, want %+v", got, want)
	}
	b := newBuilder(sample())
	if err := b.programs(c, map[common.ElementID][]*spdx.File{}); err != nil {
		t.Fatal(err)
	}
	var refs []string
	for _, r := range b.doc.Packages[0].PackageExternalReferences {
		if r.RefType == common.TypePersistentIdSwh {
			refs = append(refs, r.Locator)
		}
		if r.RefType == common.TypePersistentIdSwh && !strings.HasPrefix(r.ExternalRefComment, ProgramTree) {
			t.Errorf("%s is %q", r.Locator, r.ExternalRefComment)
		}
	}
	if len(refs) != 1 || refs[0] != want.Tree.SWHID() || !strings.HasSuffix(b.doc.Packages[0].PackageSourceInfo, "\nidentity: tree") {
		t.Errorf("got %q, %q", refs, b.doc.Packages[0].PackageSourceInfo)
	}
}

// TestProgramWithoutSource: a program that the given source does not have stops the
// document, and a part that is only outlined does not depend on the source.
func TestProgramWithoutSource(t *testing.T) {
	p := product(t)
	p.Source = "../.."
	if _, err := p.Components(context.Background()); !errors.Is(err, sourceid.ErrProgram) {
		t.Errorf("a program of no package: %v", err)
	}
	p.Initrd.Programs, p.Root.Programs = p.Root.Programs, ""
	list, err := p.Components(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range list {
		for _, f := range c.Files {
			if f.Program != nil && (c.Name != "initrd" || !c.Outline || f.Source != nil) {
				t.Errorf("%s of %s: %+v", f.Path, c.Name, f.Source)
			}
		}
	}
}
