package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/mastercard/mangos/runtime/install/installtest"
	"github.com/mastercard/mangos/runtime/update/updatetest"
)

func TestMain(m *testing.M) { testscript.Main(m, map[string]func(){name: main}) }

// script is what the commands of one script share.
type script struct {
	t       *testing.T
	machine *updatetest.Machine
	running string
}

type scriptKey struct{}

// Each script finds the release key in ./release.pub. Its commands make the rest:
//
//	machine RUNNING OTHER ENTRY...   a machine in $ROOT, its second slot empty for "-"
//	release VERSION [FILE...]        a release in the folder $SOURCE, and a systemd-sysupdate
//	                                 that brings it into the other slot in $SYSUPDATE
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			e.Values[scriptKey{}] = &script{t: t}
			return os.WriteFile(filepath.Join(e.WorkDir, "release.pub"), installtest.ReleaseKey().Public, 0o600)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"machine": machine, "release": publish},
	})
}

func machine(ts *testscript.TestScript, _ bool, args []string) {
	s := ts.Value(scriptKey{}).(*script)
	other := updatetest.Slot{Version: args[1]}
	if args[1] == "-" {
		other = updatetest.Slot{}
	}
	s.running = args[0]
	s.machine = updatetest.New(s.t, []updatetest.Slot{{Version: s.running}, other}, args[2:]...)
	ts.Setenv("ROOT", s.machine.Root)
}

func publish(ts *testscript.TestScript, _ bool, args []string) {
	s := ts.Value(scriptKey{}).(*script)
	b := updatetest.Release(s.t, args[0])
	for _, name := range args[1:] {
		b.Files[name] = nil
	}
	b.Sign(s.t)
	ts.Setenv("SOURCE", b.Folder(s.t))
	slots := []updatetest.Slot{{Version: s.running}, {Version: args[0], Root: b.Root}}
	ts.Setenv("SYSUPDATE", s.machine.Sysupdate(slots, "mangos_"+args[0]+"+3-0.efi"))
}
