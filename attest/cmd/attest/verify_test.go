package main

import (
	"runtime/debug"
	"testing"
)

// TestOwnVersion: a summary has the version that the program was built of, and none where
// the build wrote none down.
func TestOwnVersion(t *testing.T) {
	for built, want := range map[string]string{"v1.2.3": "v1.2.3", "(devel)": "", "": ""} {
		if got := ownVersion(&debug.BuildInfo{Main: debug.Module{Version: built}}, true); got != want {
			t.Errorf("built of %q: got %q, want %q", built, got, want)
		}
	}
	if got := ownVersion(nil, false); got != "" {
		t.Errorf("without information: got %q", got)
	}
}
