package main

import (
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	tests := map[string]struct {
		events string
		failed bool
		want   string
	}{
		"passed": {
			`{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p","Test":"TestA/sub"}
{"Action":"skip","Package":"none"}
{"Action":"pass","Package":"p","Elapsed":1.25}`, false,
			"ok   p (1.2 s)\n1 passed, 0 failed\n",
		},
		"failed": {
			`{"Action":"output","Package":"p","Test":"TestA","Output":"a_test.go:1: no\n"}
{"Action":"fail","Package":"p","Test":"TestA","Elapsed":0.5}
{"Action":"fail","Package":"p"}`, true,
			"FAIL p TestA (0.5 s)\n     a_test.go:1: no\n0 passed, 1 failed\n",
		},
		"skipped": {
			`{"Action":"output","Package":"p","Test":"TestA","Output":"no tool\n"}
{"Action":"skip","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p"}`, false,
			"SKIP p TestA (0.0 s)\n     no tool\nok   p (0.0 s)\n0 passed, 1 failed\n",
		},
		"skipped inside": {
			`{"Action":"skip","Package":"p","Test":"TestA/sub"}
{"Action":"pass","Package":"p","Test":"TestA"}`, false,
			"SKIP p TestA/sub\n1 passed, 1 failed\n",
		},
		"does not compile": {
			`{"Action":"build-output","ImportPath":"p [p.test]","Output":"p.go:1: bad\n"}
{"Action":"build-fail","ImportPath":"p [p.test]"}
{"Action":"fail","Package":"p","FailedBuild":"p [p.test]"}`, true,
			"FAIL p  (0.0 s)\n     p.go:1: bad\n0 passed, 1 failed\n",
		},
		"nothing": {"", false, "FAIL go test ended without a result\n0 passed, 1 failed\n"},
	}
	for name, test := range tests {
		var out strings.Builder
		r := newReport(&out)
		if err := r.read(strings.NewReader(test.events)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		r.close(test.failed)
		if out.String() != test.want {
			t.Errorf("%s: got\n%swant\n%s", name, out.String(), test.want)
		}
	}
}

func TestReportRefuses(t *testing.T) {
	if err := newReport(&strings.Builder{}).read(strings.NewReader("PASS\n")); err == nil {
		t.Error("took a line that is no event")
	}
}

func FuzzReport(f *testing.F) {
	f.Add(`{"Action":"fail","Package":"p","Test":"TestA/b"}`)
	f.Fuzz(func(_ *testing.T, events string) {
		r := newReport(&strings.Builder{})
		if r.read(strings.NewReader(events)) == nil {
			r.close(true)
		}
	})
}
