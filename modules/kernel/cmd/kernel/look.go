package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/mastercard/mangos/format/bzimage"
	"github.com/mastercard/mangos/format/vmlinux"
	"github.com/spf13/cobra"
)

// maxInput bounds a kernel read from a file, in bytes.
const maxInput = 1 << 30

func newExtract() *cobra.Command {
	var name, out string
	command := &cobra.Command{
		Use:   "extract",
		Short: "take the kernel (ELF and relocations) out of a bzImage",
		RunE: func(*cobra.Command, []string) error {
			kernel, err := load(name)
			if err != nil {
				return err
			}
			return writeNew(out, kernel)
		},
	}
	command.Flags().StringVar(&name, "bzimage", "", "the bzImage")
	command.Flags().StringVar(&out, "out", "", "file to make")
	return required(command, "bzimage", "out")
}

func newCompare() *cobra.Command {
	return &cobra.Command{
		Use:   "compare KERNEL KERNEL",
		Short: "tell whether two kernels, each a vmlinux or a bzImage, load the same",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usageError{errors.New("compare takes two kernels")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := load(args[0])
			if err != nil {
				return err
			}
			b, err := load(args[1])
			if err != nil {
				return err
			}
			if err := vmlinux.Same(a, b); err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), "same kernel")
			return err
		},
	}
}

// load reads an ELF kernel, or takes it out of a bzImage.
func load(name string) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxInput+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if len(content) > maxInput {
		return nil, fmt.Errorf("read %s: more than %d bytes", name, maxInput)
	}
	if bytes.HasPrefix(content, []byte("\x7fELF")) {
		return content, nil
	}
	image, err := bzimage.Parse(content)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	kernel, err := image.Kernel()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return kernel, nil
}

// writeNew writes a file that appears whole or not at all.
func writeNew(name string, content []byte) error {
	temporary, err := os.CreateTemp(filepath.Dir(name), ".kernel-")
	if err != nil {
		return err
	}
	defer os.Remove(temporary.Name())
	_, err = temporary.Write(content)
	if err := errors.Join(err, temporary.Chmod(0o644), temporary.Close()); err != nil {
		return err
	}
	return os.Rename(temporary.Name(), name)
}
