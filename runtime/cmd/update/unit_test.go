package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tree is what the image has besides its packages.
const tree = "../../../modules/image/tree/root"

// What is looked at before an update is what systemd-sysupdate fetches.
func TestTransfersNameTheSource(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(tree, "usr/lib/sysupdate.d/*.transfer"))
	if err != nil || len(paths) != 4 {
		t.Fatalf("%q, %v", paths, err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"Path=" + proxied, "Verify=yes", "ProtectVersion=%A", "InstancesMax=2"} {
			if strings.Count(string(text), "\n"+want+"\n") != 1 {
				t.Errorf("%s does not say %s once", filepath.Base(path), want)
			}
		}
	}
}

// Only an organisation's extension turns them on.
func TestNotEnabled(t *testing.T) {
	err := filepath.WalkDir(tree, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type()&fs.ModeSymlink != 0 && strings.Contains(e.Name(), name) {
			t.Errorf("%s", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
