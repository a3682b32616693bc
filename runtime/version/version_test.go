package version

import (
	"errors"
	"os/exec"
	"strings"
	"testing"
)

func TestOrder(t *testing.T) {
	list := strings.Fields("122.1 123~rc1-1 123 123-a 123-a.1 123-1 123-1.1 123^post1 123.a-1 123.1-1 123a-1 124-1")
	for i, a := range list {
		for k, b := range list {
			want := 0
			if i < k {
				want = -1
			} else if i > k {
				want = 1
			}
			if got := Compare(a, b); got != want {
				t.Errorf("%q and %q: %d, want %d", a, b, got, want)
			}
		}
	}
	for _, equal := range [][2]string{{"1.0", "1.00"}, {"a+b", "a_b"}, {"", ""}, {"1é", "1"}, {"007", "7"}} {
		if got := Compare(equal[0], equal[1]); got != 0 {
			t.Errorf("%q: %d", equal, got)
		}
	}
}

func TestAsSystemd(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("no systemd-analyze here: it is not asked")
	}
	list := strings.Fields("0.1 0.1~1 0.1-1 0.1^1 0.1.1 0.10 0.1a 0.1A 0.1-dirty 0.6.0-113-gf5d5530 1 1. 1.. ~ ~~ a A ab aB")
	for i, a := range list {
		for _, b := range list[i:min(i+4, len(list))] {
			out, err := exec.Command("systemd-analyze", "compare-versions", a, b).Output()
			if failed := new(exec.ExitError); err != nil && !errors.As(err, &failed) {
				t.Fatal(err)
			}
			fields := strings.Fields(string(out))
			if len(fields) != 3 {
				t.Fatalf("%q", out)
			}
			want := map[string]int{"<": -1, "==": 0, ">": 1}[fields[1]]
			if got := Compare(a, b); got != want {
				t.Errorf("%q and %q: %d, systemd says %s", a, b, got, fields[1])
			}
		}
	}
}

func FuzzCompare(f *testing.F) {
	f.Add("1.0~rc1", "1.0")
	f.Fuzz(func(t *testing.T, a, b string) {
		if Compare(a, b) != -Compare(b, a) || Compare(a, a) != 0 {
			t.Fatalf("%q and %q are not ordered", a, b)
		}
	})
}
