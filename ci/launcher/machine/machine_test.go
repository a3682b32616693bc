package machine

import (
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	good := Facts{OS: "linux", Arch: "amd64", UID: 0, Free: FreeToBuild}
	if err := Check(good, "/state", FreeToBuild); err != nil {
		t.Error(err)
	}
	tests := []struct {
		change func(*Facts)
		says   string
	}{
		{func(f *Facts) { f.Arch = "arm64" }, "this is linux on arm64: install Docker"},
		{func(f *Facts) { f.OS = "freebsd" }, "this is freebsd on amd64"},
		{func(f *Facts) { f.UID = 1000 }, "needs root: call this with sudo"},
		{func(f *Facts) { f.Free-- }, "/state has 20.0 GB left, and 20 GB are needed: free some"},
	}
	for _, tt := range tests {
		f := good
		tt.change(&f)
		err := Check(f, "/state", FreeToBuild)
		if err == nil || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%+v: %v, want %q", f, err, tt.says)
		}
	}
}
