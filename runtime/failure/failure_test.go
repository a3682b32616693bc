package failure

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mastercard/mangos/runtime/console"
)

// program puts a script in the place of a program of the system.
func program(t *testing.T, root, name, script string) {
	t.Helper()
	path := filepath.Join(root, "usr/bin", name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
}

func TestUnits(t *testing.T) {
	root := t.TempDir()
	program(t, root, "systemctl", `
case "$1" in
list-units) echo "systemd-veritysetup@root.service loaded failed failed Integrity"; echo "a.mount loaded failed failed A" ;;
show) echo "Result=exit-code"; echo "Description=About $4" ;;
esac`)
	program(t, root, "journalctl", `printf 'one\ntwo\n\nthree\nfour\n'`)
	units, err := Units(t.Context(), root)
	if err != nil || len(units) != 2 {
		t.Fatalf("%v, %v", units, err)
	}
	got := fmt.Sprint(units[0])
	if got != "{systemd-veritysetup@root.service About systemd-veritysetup@root.service exit-code [two three four]}" {
		t.Errorf("got %s", got)
	}
}

func TestUnitsWhenSystemdDoesNotAnswer(t *testing.T) {
	root := t.TempDir()
	program(t, root, "systemctl", "exit 1")
	if units, err := Units(t.Context(), root); err == nil {
		t.Errorf("got %v", units)
	}
}

func TestUnitsWhenNoneFailed(t *testing.T) {
	root := t.TempDir()
	program(t, root, "systemctl", "")
	program(t, root, "journalctl", `[ "$6" = --priority=warning ] && echo "Timed out waiting for device"`)
	units, err := Units(t.Context(), root)
	if err != nil || len(units) != 1 || units[0].Name != "none" || len(units[0].Log) != 1 {
		t.Errorf("%v, %v", units, err)
	}
}

func TestParseListIsBounded(t *testing.T) {
	if got := parseList(strings.Repeat("x.service loaded\n", 100)); len(got) != maxUnits {
		t.Errorf("%d units", len(got))
	}
	if got := parseList("\n \n"); len(got) != 0 {
		t.Errorf("got %q", got)
	}
}

func TestReport(t *testing.T) {
	for _, c := range []struct {
		units  []Unit
		asking error
		want   string
	}{
		{[]Unit{{"a.service", "A", "timeout", []string{"why\x07"}}}, nil, "mangos: start-up failed [a.service]: A (timeout)\nmangos:   why\\a\nmangos: no shell is offered on this system; off\n"},
		{nil, errors.New("no bus"), "mangos: start-up failed [unknown]: systemd does not say what failed (no bus)\n"},
	} {
		root := t.TempDir()
		if err := os.MkdirAll(filepath.Join(root, "dev"), 0o755); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(root, "dev/console")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		Report(console.Open(root), c.units, c.asking, "off")
		got, err := os.ReadFile(file)
		if err != nil || !strings.HasPrefix(string(got), c.want) || !strings.HasSuffix(string(got), "no shell is offered on this system; off\n") {
			t.Errorf("got %q, %v; want %q", got, err, c.want)
		}
	}
}

func FuzzSystemctl(f *testing.F) {
	f.Add("a.service loaded failed failed A\n", "Result=exit-code\nDescription=x\n")
	f.Fuzz(func(t *testing.T, list, show string) {
		if len(parseList(list)) > maxUnits || len(parseLog(show)) > maxLines {
			t.Fatal("not bounded")
		}
		parseUnit("x", show)
	})
}
