// Command tally reads the reports of checks on its standard input, prints them,
// and adds them up in a last line `N passed, N failed`. With --note TEXT the line
// goes on: `N passed, N failed, TEXT`. With --lock FILE the lines before it say what
// that lock withholds.
//
// It exits with 1 when a check failed, or when nothing was checked, and with 2
// when the input cannot be read.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/mastercard/mangos/modules/debian/lock"
)

func main() {
	note := flag.String("note", "", "end the last line with `TEXT`")
	file := flag.String("lock", "", "say before it what the lock in `FILE` withholds")
	flag.Parse()
	failed, err := report(os.Stdin, os.Stdout, *file, *note)
	if err != nil {
		fmt.Fprintln(os.Stderr, "tally:", err)
		os.Exit(2)
	}
	if failed {
		os.Exit(1)
	}
}

// report tallies checks that were made with the lock in a file.
func report(in io.Reader, out io.Writer, file, note string) (failed bool, err error) {
	var notices []string
	if file != "" {
		l, err := lock.Load(file)
		if err != nil {
			return false, err
		}
		notices = l.Notices()
	}
	return tally(in, out, notices, note)
}
