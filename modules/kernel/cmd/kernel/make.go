package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/mastercard/mangos/modules/kernel/artifact"
	"github.com/mastercard/mangos/modules/kernel/certificate"
	"github.com/mastercard/mangos/modules/kernel/compile"
	"github.com/mastercard/mangos/modules/kernel/configuration"
	"github.com/spf13/cobra"
)

func newCheck() *cobra.Command {
	var fragments, config string
	command := &cobra.Command{
		Use:   "check",
		Short: "check that a configuration kept every line of its fragments",
		RunE: func(*cobra.Command, []string) error {
			options, err := configuration.ReadFolder(fragments)
			if err != nil {
				return err
			}
			file, err := os.Open(config)
			if err != nil {
				return err
			}
			defer file.Close()
			return configuration.Check(options, file)
		},
	}
	command.Flags().StringVar(&fragments, "fragments", "", "folder with the fragments, *.config")
	command.Flags().StringVar(&config, "config", "", "the configuration made from them")
	return required(command, "fragments", "config")
}

func newCompile() *cobra.Command {
	job := compile.Job{Log: os.Stderr}
	command := &cobra.Command{
		Use:   "compile",
		Short: "configure, check and compile a Debian source package, with the machine's tools",
		RunE: func(cmd *cobra.Command, _ []string) error {
			self, err := os.Executable()
			if err != nil {
				return err
			}
			fragments, err := filepath.Abs(job.Fragments) // the check runs in another folder
			if err != nil {
				return err
			}
			job.Check = []string{self, "check", "--fragments", fragments, "--config"}
			return job.Run(cmd.Context())
		},
	}
	command.Flags().StringVar(&job.Sources, "sources", "", "folder with the files of the source package")
	command.Flags().StringVar(&job.Fragments, "fragments", "", "folder with the configuration's fragments, *.config")
	command.Flags().StringVar(&job.Out, "out", "", "folder to make")
	command.Flags().StringVar(&job.Store, "store", "", "folder that keeps results from run to run")
	command.Flags().StringVar(&job.Tools, "tools", "", "what the tools are called in the store, such as their digest")
	return required(command, "sources", "fragments", "out")
}

func newPack() *cobra.Command {
	var compiled, out, program string
	command := &cobra.Command{
		Use:   "pack",
		Short: "make a compiled kernel ready for certificates, and write its byte ranges down",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return artifact.Pack(compiled, out, func(content []byte) ([]byte, error) {
				var compressed, messages bytes.Buffer
				zstd := exec.CommandContext(cmd.Context(), program, "--ultra", "-22", "--single-thread", "--no-check", "-q", "-c")
				zstd.Stdin, zstd.Stdout, zstd.Stderr = bytes.NewReader(content), &compressed, &messages
				if err := zstd.Run(); err != nil {
					return nil, fmt.Errorf("compress with %s: %w: %s", program, err, bytes.TrimSpace(messages.Bytes()))
				}
				return compressed.Bytes(), nil
			})
		},
	}
	command.Flags().StringVar(&compiled, "compiled", "", "folder that compile made")
	command.Flags().StringVar(&out, "out", "", "folder to make")
	command.Flags().StringVar(&program, "zstd", "zstd", "the zstd program")
	return required(command, "compiled", "out", "zstd")
}

func newCertify() *cobra.Command {
	var packed, out, file string
	command := &cobra.Command{
		Use:   "certify",
		Short: "put an organisation's certificate into a packed kernel",
		RunE: func(*cobra.Command, []string) error {
			f, err := os.Open(file)
			if err != nil {
				return err
			}
			defer f.Close()
			der, err := certificate.Read(f)
			if err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
			return artifact.Certify(packed, out, der)
		},
	}
	command.Flags().StringVar(&packed, "kernel", "", "folder that pack made")
	command.Flags().StringVar(&file, "certificate", "", "the certificate, DER or PEM")
	command.Flags().StringVar(&out, "out", "", "folder to make")
	return required(command, "kernel", "certificate", "out")
}
