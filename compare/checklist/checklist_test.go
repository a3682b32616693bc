package checklist

import (
	"strings"
	"testing"
)

func TestList(t *testing.T) {
	var l List
	if l.OK() {
		t.Error("nothing was checked, and it is well")
	}
	l.Pass("a", "%d of %d", 1, 1)
	if !l.OK() {
		t.Error("all holds, and it is not well")
	}
	l.Fail("b\x1b[2J", "differs")
	l.Explain("here\n  and there\n")
	var out strings.Builder
	if err := l.Write(&out); err != nil {
		t.Fatal(err)
	}
	want := "ok   a: 1 of 1\nFAIL b\\x1b[2J: differs\n       here\n         and there\n1 passed, 1 failed\n"
	if l.OK() || out.String() != want {
		t.Errorf("%q", out.String())
	}
}
