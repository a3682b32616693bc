package diffoscope

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mastercard/mangos/compare/component"
	"github.com/mastercard/mangos/compare/content"
	"github.com/mastercard/mangos/compare/difference"
)

// standIn puts a program called diffoscope first on PATH. It shows what it was
// given.
func standIn(t *testing.T, body string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "diffoscope"), []byte("#!/bin/sh\n"+body), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

func file(name, text string) *component.Node {
	return component.New(component.File, name, content.Bytes([]byte(text)))
}

func root(list ...*component.Node) *component.Node {
	return component.Group(component.Release, "release", &component.Expansion{Format: "release", Children: list})
}

func compareTrees(t *testing.T, a, b *component.Node) (string, error) {
	t.Helper()
	r, err := difference.Compare(context.Background(), a, b, difference.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	err = Run(context.Background(), &out, a, b, r.Findings)
	return out.String(), err
}

func TestRun(t *testing.T) {
	standIn(t, `cat a b; printf '\033[31mred'; exit 1`)
	text, err := compareTrees(t, root(file("x", "one\n"), file("same", "s")), root(file("x", "two\n"), file("same", "s")))
	if err != nil || !strings.Contains(text, "diffoscope: release > x\n  one\n  two\n") || strings.Contains(text, "same") {
		t.Errorf("%q, %v", text, err)
	}
	if strings.Contains(text, "\x1b") || !strings.Contains(text, `\x1b[31mred`) {
		t.Errorf("printed unescaped: %q", text)
	}
	if text, err = compareTrees(t, root(file("x", "s")), root(file("x", "s"))); err != nil || !strings.Contains(text, "no finding is about a file") {
		t.Errorf("nothing differs: %q, %v", text, err)
	}
	known := component.Node{Kind: component.File, Name: "x", Known: &component.Known{Size: 3}}
	if text, err = compareTrees(t, root(&known), root(file("x", "two\n"))); err != nil || !strings.Contains(text, "no finding is about a file") {
		t.Errorf("known by a manifest only: %q, %v", text, err)
	}
}

func TestFailures(t *testing.T) {
	standIn(t, "exit 2")
	if _, err := compareTrees(t, root(file("x", "1")), root(file("x", "2"))); err == nil {
		t.Error("a run that failed passes")
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := compareTrees(t, root(file("x", "1")), root(file("x", "2"))); !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "apt install") {
		t.Errorf("not installed: %v", err)
	}
}
