package disk

import (
	"errors"
	"strings"
	"testing"
)

const (
	hash = "8f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa4"
	line = "roothash=" + hash + " console=ttyS0"
)

func TestRootHash(t *testing.T) {
	got, err := RootHash(line)
	if err != nil || got.String() != hash || RootPartition(got).String() != "8f434346-648f-6b96-df89-dda901c5176b" {
		t.Fatalf("%v, %v", got, err)
	}
	for _, bad := range []string{"", "quiet", line + " " + line, "roothash=", "roothash=" + strings.ToUpper(hash), "xroothash=" + hash, "roothash=" + hash[2:]} {
		if _, err := RootHash(bad); !errors.Is(err, ErrNoRoot) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func FuzzRootHash(f *testing.F) {
	f.Add(line)
	f.Fuzz(func(t *testing.T, line string) {
		if hash, err := RootHash(line); err == nil && !strings.Contains(line, hash.String()) {
			t.Fatalf("%q gave %v", line, hash)
		}
	})
}
