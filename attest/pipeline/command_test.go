package pipeline

import (
	"strings"
	"testing"
)

func TestCheckCommand(t *testing.T) {
	confined := &Step{Runs: "/s -- /p verb"}
	for _, row := range []struct {
		step    *Step
		command string
		refused string // part of the reason; empty: accepted
	}{
		{&Step{}, "", ""},
		{&Step{}, "true", "should name what is there"},
		{&Step{Runs: "/p verb"}, "/p verb --flag x -- y", ""},
		{&Step{Runs: "/p verb"}, "/p other", "want"},
		{&Step{Runs: "/p verb"}, "/p", "want"},
		{&Step{Runs: "/p verb"}, "", "want"},
		{confined, "/s -- /p verb", ""},
		{confined, "/s --in /in --out /out --nest --dir /in/source --env A=B --env C=-- -- /p verb -- x", ""},
		{confined, "/p verb", "want it under /s"},
		{confined, "", "want it under /s"},
		{confined, "/s", "nothing ran"},
		{confined, "/s --in", "the folder --in \"\""},
		{confined, "/s --in /other -- /p verb", "the folder --in \"/other\""},
		{confined, "/s --out /in -- /p verb", "the folder --out \"/in\""},
		{confined, "/s --dir /tmp -- /p verb", "the working folder \"/tmp\""},
		{confined, "/s --dir /input -- /p verb", "the working folder \"/input\""},
		{confined, "/s --keep-network -- /p verb", "the flag \"--keep-network\""},
		{confined, "/s --user 0:0 -- /p verb", "the flag \"--user\""},
		{confined, "/s --env -- /p verb", "the flag \"/p\""},
		{confined, "/s -- /p other", "want"},
		{confined, "/s -- env /p verb", "want"},
	} {
		err := row.step.CheckCommand(strings.Fields(row.command))
		if row.refused == "" && err != nil || row.refused != "" && (err == nil || !strings.Contains(err.Error(), row.refused)) {
			t.Errorf("%q of %q: %v, want %q", row.command, row.step.Runs, err, row.refused)
		}
	}
}

// TestCommands: only what was there before any step of the pipeline could record it is
// named without a command.
func TestCommands(t *testing.T) {
	given := map[string]bool{"source": true, "toolchain": true, "modules": true, "configuration": true}
	for _, s := range Standard().Steps {
		if given[s.Name] != (s.Runs == "") {
			t.Errorf("step %s runs %q", s.Name, s.Runs)
		}
	}
}
