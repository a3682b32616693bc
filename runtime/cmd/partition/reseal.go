package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/mastercard/mangos/runtime/console"
	"github.com/mastercard/mangos/runtime/recovery"
)

func resealCommand(root *string) *cobra.Command {
	return &cobra.Command{
		Use:   "reseal",
		Short: "Seal the volumes to the machine's present state, with the recovery key, read from standard input",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, err := open(cmd.Context(), *root)
			if err != nil {
				return err
			}
			defer m.close()
			states, err := m.check(cmd.Context(), m.disk.Table)
			if err != nil {
				return err
			}
			if len(states) == 0 {
				return errors.New("the disk has no volumes")
			}
			key, err := readKey(cmd.InOrStdin(), cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			return m.reseal(cmd.Context(), states, key, console.Open(*root))
		},
	}
}

// readKey reads one line; from a terminal without showing it.
func readKey(in io.Reader, prompt io.Writer) (recovery.Key, error) {
	if f, ok := in.(*os.File); ok {
		if state, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS); err == nil {
			hidden := *state
			hidden.Lflag &^= unix.ECHO
			if err := unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS, &hidden); err != nil {
				return "", fmt.Errorf("read recovery key: %w", err)
			}
			fmt.Fprint(prompt, "Recovery key: ")
			defer func() {
				fmt.Fprintln(prompt)
				_ = unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS, state)
			}()
		}
	}
	const longest = 1024
	line, err := bufio.NewReader(io.LimitReader(in, longest)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read recovery key: %w", err)
	}
	return recovery.Parse(line)
}
