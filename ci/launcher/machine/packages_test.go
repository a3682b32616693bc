package machine

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var wanted = []Need{{"runc", "starts containers", nil}, {"iptables", "lets containers reach the network", nil}}

// fakeApt puts a program in the place of apt-get and returns what it was called with.
func fakeApt(t *testing.T, script string) (calls func() string) {
	t.Helper()
	dir := t.TempDir()
	log := filepath.Join(dir, "log")
	text := "#!/bin/sh\necho \"$*\" >>" + log + "\n" + script
	if err := os.WriteFile(filepath.Join(dir, "apt-get"), []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	return func() string {
		text, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
}

const install = "install --yes --no-install-recommends runc iptables\n"

func TestInstall(t *testing.T) {
	tests := map[string]struct{ script, calls, says string }{
		"known":   {"exit 0", install, ""},
		"unknown": {`[ "$1" = update ] && echo yes >"${0%/*}/updated"; [ -e "${0%/*}/updated" ]`, install + "update\n" + install, ""},
		"no update": {
			`echo E: no server; exit 100`, install + "update\n",
			"apt-get update failed (exit status 100): repair it, then call again; it said:\nE: no server",
		},
		"not to be had": {
			`[ "$1" = update ] || { echo E: unable to locate; exit 100; }`, install + "update\n" + install,
			"apt-get could not install runc (starts containers), iptables (lets containers reach the network) (exit status 100): install them by hand",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			calls := fakeApt(t, test.script)
			err := Install(context.Background(), wanted)
			if test.says == "" && err != nil || test.says != "" && (err == nil || !strings.HasPrefix(err.Error(), test.says)) {
				t.Errorf("got %v, want %q", err, test.says)
			}
			if got := calls(); got != test.calls {
				t.Errorf("called with\n%swant\n%s", got, test.calls)
			}
		})
	}
}

func TestInstallWithoutApt(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	err := Install(context.Background(), wanted)
	want := "this system has no apt-get: install runc (starts containers), iptables (lets containers reach the network) by its own means"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %q", err, want)
	}
}
