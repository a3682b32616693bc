package main

import (
	"context"
	_ "embed" // the script that fetches a toolchain
	"fmt"
	"regexp"

	"dagger/golang/internal/dagger"
)

var toolchainLine = regexp.MustCompile(`(?m)^toolchain go([0-9]+\.[0-9]+(?:\.[0-9]+|rc[0-9]+)?)$`)

//go:embed fetch.sh
var fetchScript string

// Toolchain returns the Go toolchain that a go.mod names, for Linux on amd64,
// as the tree that belongs at /usr/local/go. The go command fetches it as a
// module and checks it against the checksum database.
func (m *Golang) Toolchain(
	ctx context.Context,
	// The go.mod; its "toolchain" line counts.
	gomod *dagger.File,
) (*dagger.Directory, error) {
	text, err := gomod.Contents(ctx)
	if err != nil {
		return nil, fmt.Errorf("read go.mod: %w", err)
	}
	line := toolchainLine.FindStringSubmatch(text)
	if line == nil {
		return nil, fmt.Errorf("read go.mod: it has no line such as \"toolchain go1.26.8\"")
	}
	return m.networked().
		WithNewFile("/fetch.sh", fetchScript).
		WithExec([]string{"sh", "/fetch.sh", line[1], "/toolchain"}).
		Directory("/toolchain"), nil
}

// networked returns a container that can reach the module proxy: it has a go
// command of some version, a shell and certificate authorities. It is the one
// in which the engine runs modules written in Go, got by way of an empty
// module: the only container there is without a registry of images. What is
// fetched in it is checked against the checksum database or go.sum.
func (m *Golang) networked() *dagger.Container {
	ctr := dag.Directory().
		WithNewFile("dagger.json", `{"name": "empty", "engineVersion": "v0.19.7", "sdk": {"source": "go"}}`).
		WithNewFile("go.mod", "module dagger/empty\n\ngo 1.25.0\n").
		WithNewFile("main.go", "package main\n\ntype Empty struct{}\n\nfunc (*Empty) Nothing() string { return \"\" }\n").
		AsModule().
		Runtime()
	if m.Goproxy != nil {
		ctr = ctr.WithSecretVariable("GOPROXY", m.Goproxy)
	}
	return ctr
}
