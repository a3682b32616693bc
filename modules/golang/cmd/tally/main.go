// Command tally reads the reports of checks on its standard input, prints them,
// and adds them up in a last line `N passed, N failed`. With --note TEXT the line
// goes on: `N passed, N failed, TEXT`.
//
// It exits with 1 when a check failed, or when nothing was checked, and with 2
// when the input cannot be read.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	note := flag.String("note", "", "end the last line with `TEXT`")
	flag.Parse()
	failed, err := tally(os.Stdin, os.Stdout, *note)
	if err != nil {
		fmt.Fprintln(os.Stderr, "tally:", err)
		os.Exit(2)
	}
	if failed {
		os.Exit(1)
	}
}
