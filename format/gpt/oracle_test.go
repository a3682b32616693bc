//go:build oracle

package gpt

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// sfdisk reads from our table what we put into it, and finds no fault.
func TestSfdisk(t *testing.T) {
	for _, sector := range []string{"512", "4096"} {
		table := sample(map[string]int64{"512": 512, "4096": 4096}[sector])
		path := filepath.Join(t.TempDir(), "disk")
		if err := os.WriteFile(path, write(t, table), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("sfdisk", "--sector-size", sector, "--verify", path).CombinedOutput(); err != nil || !strings.Contains(string(out), "No errors detected") {
			t.Fatalf("sfdisk --verify: %v: %s", err, out)
		}
		out, err := exec.Command("sfdisk", "--sector-size", sector, "--json", path).Output()
		if err != nil {
			t.Fatalf("sfdisk --json: %v", err)
		}
		var got struct {
			PartitionTable struct {
				ID         string
				SectorSize int64
				Partitions []struct {
					Start, Size             int64
					Type, UUID, Name, Attrs string
				}
			}
		}
		if err := json.Unmarshal(out, &got); err != nil {
			t.Fatal(err)
		}
		pt := got.PartitionTable
		if !strings.EqualFold(pt.ID, table.DiskID.String()) || len(pt.Partitions) != len(table.Partitions) {
			t.Fatalf("%s", out)
		}
		for i, want := range table.Partitions {
			p := pt.Partitions[i]
			if p.Start*table.SectorSize != want.Start || p.Size*table.SectorSize != want.Size ||
				!strings.EqualFold(p.Type, want.Type.String()) || !strings.EqualFold(p.UUID, want.ID.String()) || p.Name != want.Label {
				t.Errorf("sfdisk reads %+v, we wrote %+v", p, want)
			}
			if want.Attributes == ReadOnly && p.Attrs != "GUID:60" {
				t.Errorf("attributes %q", p.Attrs)
			}
		}
	}
}
