package verifytest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/mastercard/mangos/attest/evidence"
	"github.com/mastercard/mangos/attest/keys"
	"github.com/mastercard/mangos/attest/provenance"
	"github.com/mastercard/mangos/attest/record"
	"github.com/mastercard/mangos/modules/image/extension"
	"github.com/mastercard/mangos/modules/image/sign"
)

// extend makes the organisation's extension.
func (w *World) extend(t testing.TB) {
	t.Helper()
	w.Files[w.Names.Org] = w.image(t, w.extension, extension.Options{Class: extension.Confext, Name: "org", Purpose: "org", Counter: 7})
	w.write(t, "org.confext.raw", w.Files[w.Names.Org])
	w.step(t, evidence.ConfigurationStep, nil, w.configuration())
	w.step(t, evidence.ExtensionStep, w.extensionInputs(), map[string][]byte{w.Names.Org: w.Files[w.Names.Org]})
}

func (w *World) configuration() map[string][]byte {
	return map[string][]byte{evidence.ConfigurationTree: []byte("tree of the configuration")}
}

func (w *World) extensionInputs() []string {
	return append(w.tools("imagetools", "image"), evidence.ConfigurationTree, "keys/verity.crt")
}

// image makes an extension, signed by the verity key in the folder signer.
func (w *World) image(t testing.TB, signer string, o extension.Options) []byte {
	t.Helper()
	key, err := sign.OpenKey(filepath.Join(signer, "verity.key"), nil)
	must(t, err)
	c, err := sign.ReadCertificate(filepath.Join(signer, "verity.crt"))
	must(t, err)
	o.Tree, o.ID, o.Epoch = filepath.Join(t.TempDir(), "tree"), Name, Epoch
	file := filepath.Join(o.Tree, "etc", "motd")
	if o.Class == extension.Sysext {
		file = filepath.Join(o.Tree, "usr", "bin", "tool")
	}
	must(t, os.MkdirAll(filepath.Dir(file), 0o755))
	must(t, os.WriteFile(file, []byte("hello\n"), 0o600))
	out := filepath.Join(t.TempDir(), "image")
	must(t, extension.Build(context.Background(), o, key, c, out))
	return w.read(t, out)
}

// Single makes an extension by itself, signed by the verity key in the folder signer,
// and its statements beside it in dir. It returns the records of its steps.
func (w *World) Single(t testing.TB, dir, signer string, o extension.Options) []*record.Record {
	t.Helper()
	stem := o.Name + "." + string(o.Class)
	content := w.image(t, signer, o)
	before := w.Records
	w.Records = nil
	w.step(t, evidence.ConfigurationStep, nil, w.configuration())
	w.step(t, evidence.ExtensionStep, w.extensionInputs(), map[string][]byte{stem + ".raw": content})
	made := w.Records
	w.Records = before
	key, err := keys.LoadPrivate(keys.Attest, w.Key("attest.key"))
	must(t, err)
	files, err := evidence.Extension(made, evidence.Options{Name: stem, Builder: provenance.Builder{ID: provenance.LocalBuilder}, Key: key})
	must(t, err)
	must(t, errors.Join(os.WriteFile(filepath.Join(dir, stem+".raw"), content, 0o600), files.Write(dir)))
	return made
}
