// Command lint holds Go modules against the project's rules:
//
//	lint [--whole] [FOLDER]
//
// looks at each Go module in and below the folder (by default the working folder).
// It prints what it finds and a last line `N passed, N failed`, which counts each
// module three times: for its form (gofmt), for `go vet`, and for the analyzers in
// analyzers.go. It exits with 1 when something was found.
//
// A part of a Dagger module's code is generated. Where it is missing the module is looked
// at for its form alone, which is a fault with --whole; what is generated is not held
// against the rules.
//
// It is also a tool for the go command, which is how it sees a module's code:
//
//	go vet -vettool=/path/to/lint ./...
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
)

func main() {
	if vetTool(os.Args[1:]) {
		vet(os.Args[1:])
	}
	whole := flag.Bool("whole", false, "a Dagger module without its generated code is a fault")
	flag.Parse()
	folder := "."
	switch flag.NArg() {
	case 0:
	case 1:
		folder = flag.Arg(0)
	default:
		fmt.Fprintln(os.Stderr, "usage: lint [--whole] [FOLDER]")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	failed, err := lintAll(ctx, folder, *whole, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "lint:", err)
		os.Exit(2)
	}
	if failed {
		os.Exit(1)
	}
}
