package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mastercard/mangos/runtime/console"
	"github.com/mastercard/mangos/runtime/update"
)

func statusCommand(o *options) *cobra.Command {
	var onConsole bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say what the slots hold, and what is started next",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			state, err := update.Read(cmd.Context(), o.root)
			if onConsole {
				report(console.Open(o.root), state, err)
			}
			switch {
			case err != nil:
				return err
			case o.json:
				return printJSON(cmd.OutOrStdout(), view(state))
			}
			for _, line := range append(state.Lines(), state.Warnings()...) {
				fmt.Fprintln(cmd.OutOrStdout(), line)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&onConsole, "console", false, "say on every console, too, what is not as it should be")
	return cmd
}

// report says on every console what is not as it should be.
func report(say *console.Console, state *update.State, err error) {
	if err != nil {
		say.Say(console.Warning, "update status: %v", err)
		return
	}
	for _, line := range state.Warnings() {
		say.Say(console.Warning, "%s", line)
	}
}

// view is the state for programs.
func view(s *update.State) any {
	v := struct {
		*update.State
		Next     *string  `json:"next"`
		Fallback *string  `json:"fallback"`
		Warnings []string `json:"warnings"`
	}{State: s, Warnings: s.Warnings()}
	if e := s.Next(); e != nil {
		v.Next = &e.Version
	}
	if e := s.Fallback(); e != nil {
		v.Fallback = &e.Version
	}
	if v.Warnings == nil {
		v.Warnings = []string{}
	}
	return v
}
