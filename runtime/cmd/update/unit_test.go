package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mastercard/mangos/runtime/service/servicetest"
)

var image = servicetest.Image{Tree: "../../../modules/image/tree/root"}

// What is looked at before an update is what systemd-sysupdate fetches.
func TestTransfersNameTheSource(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(image.Tree, "usr/lib/sysupdate.d/*.transfer"))
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

func TestNotEnabled(t *testing.T) { image.CheckNotEnabled(t, name) }
