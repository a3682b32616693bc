// Command place copies folders: FROM TO [FROM TO]... What it makes gets its
// name when it is complete; a folder that is there already stays.
//
// It is what a container that holds nothing else can run to take a tree over.
package main

import (
	"fmt"
	"os"
)

func main() {
	for args := os.Args[1:]; len(args) >= 2; args = args[2:] {
		if err := place(args[0], args[1]); err != nil {
			fmt.Fprintln(os.Stderr, "place:", err)
			os.Exit(1)
		}
	}
}

func place(from, to string) error {
	if _, err := os.Stat(to); err == nil {
		return nil
	}
	partial, err := os.MkdirTemp(os.TempDir(), "partial-")
	if err != nil {
		return err
	}
	if err := os.CopyFS(partial, os.DirFS(from)); err != nil {
		return err
	}
	if err := os.Chmod(partial, 0o755); err != nil {
		return err
	}
	return os.Rename(partial, to)
}
