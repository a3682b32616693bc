package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/mastercard/mangos/modules/kernel/kerneltest"
	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"kernel":  main,
		"zstd":    zstd,
		"notzstd": func() { fmt.Fprintln(os.Stderr, "no memory"); os.Exit(1) },
	})
}

// zstd stands in for the program of that name.
func zstd() {
	content, err := io.ReadAll(os.Stdin)
	if err == nil {
		content, err = kerneltest.Compress(content)
	}
	if err == nil {
		_, err = os.Stdout.Write(content)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			return kerneltest.WriteCompiled(filepath.Join(env.WorkDir, "compiled"))
		},
	})
}
