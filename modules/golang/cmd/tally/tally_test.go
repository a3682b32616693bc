package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mastercard/mangos/modules/debian/lock"
)

func TestTally(t *testing.T) {
	tests := map[string]struct {
		checks, note string
		want         string
		failed       bool
	}{
		"passed": {
			`[{"name":"lint","seconds":3.4,"report":"2 passed, 0 failed\n","error":""},
			  {"name":"unit tests","seconds":60,"report":"ok   p (1.2 s)\n10 passed, 0 failed\n","error":""}]`, "",
			"== lint: 2 passed, 0 failed (3 s)\n== unit tests: 10 passed, 0 failed (60 s)\nok   p (1.2 s)\n12 passed, 0 failed\n", false,
		},
		"failed": {
			`[{"name":"unit tests","seconds":1,"report":"FAIL p TestA (0.5 s)\n1 passed, 1 failed","error":""}]`, "",
			"== unit tests: 1 passed, 1 failed (1 s)\nFAIL p TestA (0.5 s)\n1 passed, 1 failed\n", true,
		},
		"no result": {
			`[{"name":"boot","seconds":1,"report":"pass a/b\nstopped","error":""}]`, "",
			"== boot: 0 passed, 1 failed (1 s)\npass a/b\nstopped\nFAIL boot: ended without a result\n0 passed, 1 failed\n", true,
		},
		"error": {
			`[{"name":"boot","seconds":1,"report":"","error":"build image: no\n"},
			  {"name":"lint","seconds":1,"report":"2 passed, 0 failed","error":""}]`, "",
			"== boot: 0 passed, 1 failed (1 s)\nFAIL boot: build image: no\n== lint: 2 passed, 0 failed (1 s)\n2 passed, 1 failed\n", true,
		},
		"error after a result": {
			`[{"name":"boot","seconds":1,"report":"2 passed, 0 failed","error":"cut off"}]`, "",
			"== boot: 2 passed, 1 failed (1 s)\nFAIL boot: cut off\n2 passed, 1 failed\n", true,
		},
		"a check of nothing": {
			`[{"name":"boot","seconds":1,"report":"0 passed, 0 failed\n","error":""}]`, "",
			"== boot: 0 passed, 1 failed (1 s)\nFAIL boot: nothing was checked\n0 passed, 1 failed\n", true,
		},
		"nothing": {`[]`, "", "FAIL nothing was checked\n0 passed, 1 failed\n", true},
		"note": {
			`[{"name":"lint","seconds":0,"report":"2 passed, 0 failed","error":""}]`, "lock refreshed",
			"== lint: 2 passed, 0 failed (0 s)\n2 passed, 0 failed, lock refreshed\n", false,
		},
		"result not in the last line": {
			`[{"name":"lint","seconds":0,"report":"2 passed, 0 failed\nbut then\n","error":""}]`, "",
			"== lint: 0 passed, 1 failed (0 s)\n2 passed, 0 failed\nbut then\nFAIL lint: ended without a result\n0 passed, 1 failed\n", true,
		},
	}
	for name, test := range tests {
		var out strings.Builder
		failed, err := tally(strings.NewReader(test.checks), &out, nil, test.note)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if out.String() != test.want || failed != test.failed {
			t.Errorf("%s: got failed %v and\n%swant %v and\n%s", name, failed, out.String(), test.failed, test.want)
		}
	}
}

// TestReport holds the report to what it says of the lock, before its last line.
func TestReport(t *testing.T) {
	l := &lock.Lock{Format: lock.Format, Withheld: []string{"tool=3"}}
	text, err := l.Encode()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "lock.json")
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
	const checks = `[{"name":"lint","seconds":0,"report":"2 passed, 0 failed","error":""}]`
	want := "== lint: 2 passed, 0 failed (0 s)\n" +
		"withheld: tool 3, because no server had its files when the lock was made: nothing of it is in the lock\n" +
		"2 passed, 0 failed, note\n"
	var out strings.Builder
	if failed, err := report(strings.NewReader(checks), &out, file, "note"); failed || err != nil || out.String() != want {
		t.Errorf("got failed %v, %v and\n%swant\n%s", failed, err, out.String(), want)
	}
	out.Reset()
	if _, err := report(strings.NewReader(checks), &out, file+".gone", ""); err == nil || out.Len() > 0 {
		t.Errorf("without the lock: got %v and %q", err, out.String())
	}
}

func TestTallyRefuses(t *testing.T) {
	for _, input := range []string{"", "{}", `[{"name":"lint","passed":3}]`} {
		var out strings.Builder
		if _, err := tally(strings.NewReader(input), &out, nil, ""); err == nil || out.Len() > 0 {
			t.Errorf("%q: got %v and %q", input, err, out.String())
		}
	}
}

func FuzzTally(f *testing.F) {
	f.Add(`[{"name":"lint","seconds":3.4,"report":"2 passed, 0 failed\n","error":""}]`)
	f.Add(`[{"name":"","seconds":0,"report":"999999999 passed, 999999999 failed","error":"no"}]`)
	f.Fuzz(func(t *testing.T, input string) {
		var out strings.Builder
		failed, err := tally(strings.NewReader(input), &out, nil, "")
		if err != nil {
			return
		}
		if text := out.String(); failed == strings.HasSuffix(text, " passed, 0 failed\n") {
			t.Errorf("failed %v, but the last line says otherwise: %q", failed, text)
		}
	})
}
