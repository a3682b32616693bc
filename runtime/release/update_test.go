package release

import (
	"crypto/sha256"
	"errors"
	"slices"
	"testing"
)

const id = "4f68bce3-e8cd-4db1-96e7-fbcaf984b709"

func listed(names ...string) map[string][sha256.Size]byte {
	sums := map[string][sha256.Size]byte{}
	for _, name := range names {
		sums[name] = [sha256.Size]byte{}
	}
	return sums
}

func TestUpdateFiles(t *testing.T) {
	r := &Release{Name: "mangos", Version: "1.0"}
	want := []string{"mangos-tryout_1.0.efi", "mangos-tryout_1.0.root-x86-64-verity-sig." + id + ".raw", "mangos_1.0.root-x86-64-verity." + id + ".raw.xz", "mangos_1.0.root-x86-64." + id + ".raw.xz"}
	slices.Sort(want)
	all := listed(append(want, "mangos_1.0.raw.zst", "mangos_1.0.spdx.json", "mangos_1.0.efi.sig", "mangos_1.0.1.efi", "mangos_1.efi", "other_1.0.efi",
		"mangos_0.9.efi", "mangos_0.9.root-x86-64."+id+".raw.xz", "mangos-installer_1.0.raw")...)
	if got, err := r.UpdateFiles(all); err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v", got, err)
	}
	for _, name := range want {
		delete(all, name)
		if got, err := r.UpdateFiles(all); !errors.Is(err, ErrManifest) {
			t.Errorf("without %s: %q, %v", name, got, err)
		}
		all[name] = [sha256.Size]byte{}
	}
	all["mangos_1.0.efi"] = [sha256.Size]byte{}
	if got, err := r.UpdateFiles(all); !errors.Is(err, ErrManifest) {
		t.Errorf("two kernel images: %q, %v", got, err)
	}
}
