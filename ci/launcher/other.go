//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "mangos: ci/dagger runs on Linux only: here, call Dagger's own client instead (dagger call ...), which needs a container runtime such as Docker")
	os.Exit(1)
}
