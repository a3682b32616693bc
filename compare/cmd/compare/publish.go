package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mastercard/mangos/attest/keys"
	"github.com/mastercard/mangos/attest/provenance"
	"github.com/mastercard/mangos/attest/tree"
	"github.com/mastercard/mangos/compare/evidence"
	"github.com/mastercard/mangos/compare/machine"
	"github.com/mastercard/mangos/compare/release"
	"github.com/mastercard/mangos/compare/source"
	"github.com/mastercard/mangos/compare/steps"
	"github.com/mastercard/mangos/compare/terminal"
)

type publishFlags struct {
	release, unsigned, checkout, key, organisation, builder, machine, finished, out string
	inputs, parameters                                                              []string
}

func publishVerb() *cobra.Command {
	var f publishFlags
	c := &cobra.Command{
		Use:   "publish --release DIR --checkout DIR --key FILE --organisation ID --out DIR",
		Short: "describe and sign the unsigned set of a release, as evidence for others",
		Long: "Describes and signs the unsigned set of a release, in the folder\n" +
			"OUT/RELEASE/ORGANISATION. The inputs are what the release was made from: the parts\n" +
			"of a checkout that can change a build, each by itself, and what else is named; a\n" +
			"folder stands for its files.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			warn := func(text string) { fmt.Fprintln(cmd.ErrOrStderr(), "compare:", terminal.Escape(text)) }
			o, err := f.options(cmd.Context(), warn)
			if err != nil {
				return fmt.Errorf("publish: %w", err)
			}
			if o.Programs, err = programs(f.release, o.Warn); err != nil {
				return fmt.Errorf("publish: %w", err)
			}
			set, err := release.OpenSet(f.release, f.unsigned)
			if err != nil {
				return fmt.Errorf("publish: %w", err)
			}
			defer set.Close()
			folder, err := evidence.Publish(cmd.Context(), set, o, f.out)
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), folder)
			return nil
		},
	}
	s := c.Flags()
	s.StringVar(&f.release, "release", "", "folder of the release")
	s.StringVar(&f.unsigned, "unsigned", "", "folder of the unsigned set, for files that the release does not hold")
	s.StringVar(&f.checkout, "checkout", "", "the checkout that the release was made from")
	s.StringVar(&f.key, "key", "", "file of the organisation's private key of the role attest")
	s.StringVar(&f.organisation, "organisation", "", "identifier in organisations.json")
	s.StringVar(&f.builder, "builder", provenance.LocalBuilder, "address that says who ran the build")
	s.StringArrayVar(&f.inputs, "input", nil, "NAME=PATH of what else the release was made from; may be repeated")
	s.StringArrayVar(&f.parameters, "parameter", nil, "NAME=VALUE of what was chosen for the build; may be repeated")
	s.StringVar(&f.machine, "machine", "", "file that compare machine wrote where it was built; by default this machine")
	s.StringVar(&f.finished, "finished", "", "when the build ended, RFC 3339; by default now")
	s.StringVar(&f.out, "out", "", "folder to write below")
	return require(c, "release", "key", "organisation", "out")
}

func (f *publishFlags) options(ctx context.Context, warn func(string)) (evidence.Options, error) {
	o := evidence.Options{Organisation: f.organisation, Builder: f.builder, Finished: time.Now(), Warn: warn}
	var err error
	if f.finished != "" {
		if o.Finished, err = time.Parse(time.RFC3339, f.finished); err != nil {
			return o, usageError{fmt.Errorf("--finished: %w", err)}
		}
	}
	for _, p := range f.parameters {
		name, value, ok := strings.Cut(p, "=")
		if !ok || name == "" {
			return o, usageError{fmt.Errorf("--parameter %q is not NAME=VALUE", p)}
		}
		if o.Parameters == nil {
			o.Parameters = map[string]string{}
		}
		o.Parameters[name] = value
	}
	if o.Inputs, err = f.madeFrom(ctx, warn); err != nil {
		return o, err
	}
	o.Machine = machine.This()
	if f.machine != "" {
		text, err := os.ReadFile(f.machine)
		if err != nil {
			return o, err
		}
		if o.Machine, err = machine.Parse(text); err != nil {
			return o, fmt.Errorf("%s: %w", f.machine, err)
		}
	}
	o.Key, err = keys.LoadPrivate(keys.Attest, f.key)
	return o, err
}

// madeFrom are the inputs: the parts of the checkout, and what else is named.
func (f *publishFlags) madeFrom(ctx context.Context, warn func(string)) ([]evidence.Item, error) {
	if f.checkout == "" && len(f.inputs) == 0 {
		return nil, usageError{errors.New("give --checkout, or --input: without inputs nothing can be compared")}
	}
	var list []evidence.Item
	if f.checkout != "" {
		parts, err := source.Checkout(ctx, f.checkout)
		if err != nil {
			return nil, err
		}
		for _, p := range parts {
			if p.Name == source.Other {
				warn(fmt.Sprintf("%s in the checkout counts as an input, %s: builds without the same are not comparable",
					strings.Join(p.Holds, ", "), p.Name))
			}
			list = append(list, evidence.Item{Name: p.Name, SHA256: p.SHA256})
		}
	}
	for _, text := range f.inputs {
		i, err := input(ctx, text)
		if err != nil {
			return nil, err
		}
		list = append(list, i)
	}
	return list, nil
}

// programs are those that made a release. One without attestations does not tell.
func programs(folder string, warn func(string)) ([]evidence.Item, error) {
	made, err := steps.Read(folder)
	if errors.Is(err, steps.ErrNone) {
		warn("the release has no attestations of its steps: the programs that made it are left out")
		return nil, nil
	}
	return evidence.Programs(made), err
}

// input reads NAME=PATH: a file stands for its bytes, a folder for what git
// would keep of it.
func input(ctx context.Context, text string) (evidence.Item, error) {
	name, path, ok := strings.Cut(text, "=")
	if !ok || name == "" || path == "" {
		return evidence.Item{}, usageError{fmt.Errorf("--input %q is not NAME=PATH", text)}
	}
	info, err := os.Stat(path)
	if err != nil {
		return evidence.Item{}, err
	}
	if !info.IsDir() {
		digest, _, err := tree.HashFile(path, true)
		return evidence.Item{Name: name, SHA256: digest}, err
	}
	if !strings.HasSuffix(name, source.FolderSuffix) {
		return evidence.Item{}, usageError{fmt.Errorf("--input %s: a folder's name must end in %s", text, source.FolderSuffix)}
	}
	digest, err := source.Folder(ctx, path)
	return evidence.Item{Name: name, SHA256: digest}, err
}
