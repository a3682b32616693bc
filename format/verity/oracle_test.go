//go:build oracle

package verity

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// veritysetup makes the same hash device, and accepts ours.
func TestVeritysetup(t *testing.T) {
	for _, n := range sizes {
		dir := t.TempDir()
		path := func(name string) string { return filepath.Join(dir, name) }
		tree := build(t, data(n))
		for name, content := range map[string][]byte{"data": data(n), "tree": tree.Bytes()} {
			if err := os.WriteFile(path(name), content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		id := tree.Superblock.UUID
		uuid := fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
		if out, err := exec.Command("veritysetup", "format", "--salt="+hex.EncodeToString(Salt()), "--uuid="+uuid,
			"--root-hash-file="+path("hash"), path("data"), path("theirs")).CombinedOutput(); err != nil {
			t.Fatalf("veritysetup format: %v: %s", err, out)
		}
		theirs, err := os.ReadFile(path("theirs"))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(theirs, tree.Bytes()) {
			t.Errorf("%d blocks: veritysetup makes another hash device", n)
		}
		hash, err := os.ReadFile(path("hash"))
		if err != nil || string(hash) != tree.Root.String() {
			t.Errorf("%d blocks: veritysetup's root hash is %s, ours %s (%v)", n, hash, tree.Root, err)
		}
		if out, err := exec.Command("veritysetup", "verify", path("data"), path("tree"), tree.Root.String()).CombinedOutput(); err != nil {
			t.Errorf("%d blocks: veritysetup verify: %v: %s", n, err, out)
		}
		opened, err := Open(bytes.NewReader(theirs), int64(len(theirs)), tree.Root)
		if err != nil {
			t.Fatal(err)
		}
		if err := opened.Verify(bytes.NewReader(data(n))); err != nil {
			t.Error(err)
		}
	}
}
