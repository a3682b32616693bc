package updatetest

import (
	"strings"
	"testing"

	"github.com/mastercard/mangos/format/gpt"
	"github.com/mastercard/mangos/runtime/install/installtest"
)

// Release makes a signed release with all that an update fetches.
func Release(t testing.TB, version string) *installtest.Release {
	t.Helper()
	b := installtest.Build(t, version, nil)
	b.Files["mangos_"+version+".efi"] = []byte("kernel image " + version)
	b.Files["mangos_"+version+".root-x86-64-verity-sig."+gpt.DeriveGUID("sig", version).String()+".raw"] = []byte("signature " + version)
	b.Sign(t)
	return b
}

// Size is how many bytes an update to the release fetches.
func Size(b *installtest.Release) int64 {
	var sum int
	for name, content := range b.Files {
		if strings.HasSuffix(name, ".efi") || strings.Contains(name, ".root-x86-64") {
			sum += len(content)
		}
	}
	return int64(sum)
}
