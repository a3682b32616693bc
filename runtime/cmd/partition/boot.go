package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/mastercard/mangos/format/gpt"
	"github.com/mastercard/mangos/runtime/console"
	"github.com/mastercard/mangos/runtime/partition"
	"github.com/mastercard/mangos/runtime/recovery"
)

func bootCommand(root *string) *cobra.Command {
	var pause, patience time.Duration
	cmd := &cobra.Command{
		Use:   "boot",
		Short: "Make what the disk lacks, and look at what is there; for the initrd",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			say := console.Open(*root)
			if err := boot(cmd.Context(), *root, pause, patience, say); err != nil {
				return refuse(say, "partition", err)
			}
			return nil
		},
	}
	cmd.Flags().DurationVar(&pause, "pause", 0, "how long the recovery key stays on the screen before the machine goes on")
	cmd.Flags().DurationVar(&patience, "ask", 0, "how long to ask for the recovery key where the TPM does not open a volume; 0: leave that to systemd")
	return cmd
}

func boot(ctx context.Context, root string, pause, patience time.Duration, say *console.Console) error {
	m, err := open(ctx, root)
	if err != nil {
		return err
	}
	defer m.close()
	sizes, err := partition.ReadSizes(root)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(m.disk.Node(), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := os.MkdirAll(filepath.Join(root, scratch), 0o755); err != nil {
		return err
	}
	p := &partition.Partitioner{
		Disk: f, Table: m.disk.Table, Root: m.hash, Sizes: sizes, Machine: m.id,
		Maker: m.enrolment, Host: &partition.Linux{Disk: m.disk, File: f},
		Show: func(key recovery.Key) error { return show(ctx, key, pause, say) },
	}
	if err := reset(root, p, say); err != nil {
		return err
	}
	begin := time.Now()
	made, err := p.Complete(ctx)
	if err != nil {
		return err
	}
	if made {
		say.Say(console.Info, "laid out the disk %s in %v", m.disk.Name, time.Since(begin).Round(time.Millisecond))
	}
	return m.unlock(ctx, p.Table, patience, say)
}

// reset carries out a request for a factory reset.
func reset(root string, p *partition.Partitioner, say *console.Console) error {
	asked, err := partition.ResetRequested(root)
	if err != nil {
		say.Say(console.Warning, "no factory reset: %v", err)
		return nil
	}
	if !asked {
		return nil
	}
	say.Say(console.Warning, "factory reset: the volumes are made anew, what was in them is gone")
	return p.Reset(func() error { return partition.ForgetReset(root) })
}

// unlock says why the TPM does not open a volume, if so, and asks for the recovery
// key, which seals the volumes anew: then systemd opens them as always.
func (m *machine) unlock(ctx context.Context, table *gpt.Table, patience time.Duration, say *console.Console) error {
	states, err := m.check(ctx, table)
	if err != nil {
		return err
	}
	locked := slices.DeleteFunc(states, func(s partition.State) bool { return s.Locked == nil })
	said := map[string]bool{}
	for _, s := range locked {
		if text := partition.Explain(s.Locked); !said[text] {
			say.Say(console.Warning, "volume %s is locked. %s", s.Label, text)
			said[text] = true
		}
	}
	if len(locked) == 0 || patience == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err = say.Ask(ctx, "Recovery key, to seal the volumes to the present state: ", func(answer string) error {
		key, err := recovery.Parse(answer)
		if err != nil {
			return err
		}
		return m.reseal(ctx, locked, key, say)
	})
	if err != nil {
		return fmt.Errorf("the volumes stay locked: %w", err)
	}
	return nil
}

// reseal seals volumes to the machine's present state.
func (m *machine) reseal(ctx context.Context, states []partition.State, key recovery.Key, say *console.Console) error {
	for _, s := range states {
		if err := m.enrolment.Reseal(ctx, s.Volume, []byte(key)); err != nil {
			return fmt.Errorf("volume %s: %w", s.Label, err)
		}
		say.Say(console.Info, "volume %s is sealed to the machine's present state", s.Label)
	}
	return nil
}

// show puts the recovery key on every console, and on nothing else.
func show(ctx context.Context, key recovery.Key, pause time.Duration, say *console.Console) error {
	lines, err := key.QR()
	if err != nil {
		return err
	}
	lines = append(lines,
		"Recovery key of this machine, shown this once. Keep it where you keep secrets:",
		string(key))
	say.Show(lines...)
	if pause == 0 {
		return nil
	}
	say.Show(fmt.Sprintf("The machine goes on in %v.", pause))
	select {
	case <-time.After(pause):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
