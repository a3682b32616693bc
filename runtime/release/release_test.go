package release

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mastercard/mangos/attest/keys"
	"github.com/mastercard/mangos/runtime/fetch"
	"github.com/mastercard/mangos/runtime/install/installtest"
)

func find(t testing.TB, s fetch.Source, want Wanted) (*Release, error) {
	t.Helper()
	return Find(context.WithoutCancel(t.Context()), s, installtest.ReleaseKey().Public, want, installtest.Patience)
}

func TestFind(t *testing.T) {
	b := installtest.Build(t, "0.9", nil)
	older := installtest.Build(t, "0.10~rc1", nil)
	for name, content := range older.Files {
		b.Files[name] = content
	}
	b.Sign(t)
	s := b.Source(t)
	r, err := find(t, s, Wanted{})
	if err != nil || r.Version != "0.10~rc1" || r.Name != "mangos" || r.TryOut || r.Root != b.Root || r.Sum != sha256.Sum256(b.Files[r.Image]) {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := find(t, s, Wanted{Version: "0.9", Least: "0.9"}); err != nil || r.Version != "0.9" {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := find(t, s, Wanted{Version: "0.9", Least: "0.10~rc1"}); !errors.Is(err, ErrOld) {
		t.Errorf("an old version: %v", err)
	}
	if _, err := find(t, s, Wanted{Version: "1"}); !errors.Is(err, ErrManifest) {
		t.Errorf("a version that is not there: %v", err)
	}
}

func TestFindReleaseRefuses(t *testing.T) {
	b := installtest.Build(t, "1", nil)
	sums := b.Files[SumsFile]
	for name, change := range map[string]struct {
		do   func()
		want error
	}{
		"another manifest":  {func() { b.Files[SumsFile] = append(bytes.Clone(sums), []byte(strings.Repeat("0", 64)+" *x\n")...) }, ErrSignature},
		"no signature":      {func() { b.Files[SignatureFile] = nil }, ErrSignature},
		"missing signature": {func() { delete(b.Files, SignatureFile) }, fetch.ErrSource},
		"missing manifest":  {func() { delete(b.Files, SumsFile) }, fetch.ErrSource},
		"huge manifest":     {func() { b.Files[SumsFile] = make([]byte, MaxSums+1) }, fetch.ErrSource},
		"no image":          {func() { delete(b.Files, b.Disk); b.Sign(t) }, ErrManifest},
		"two roots": {func() {
			b.Files["mangos_1.root-x86-64.00000000-0000-0000-0000-000000000001.raw.xz"] = []byte("z")
			b.Sign(t)
		}, ErrManifest},
		"two products": {func() { b.Files["other_1.raw.zst"] = []byte("z"); b.Sign(t) }, ErrManifest},
		"a name that leads away": {func() {
			b.Files[SumsFile] = []byte(strings.Repeat("0", 64) + " *../x\n")
			var err error
			if b.Files[SignatureFile], err = keys.SignSums(installtest.ReleaseKey().Private, bytes.NewReader(b.Files[SumsFile]), time.Unix(1, 0)); err != nil {
				t.Fatal(err)
			}
		}, ErrManifest},
	} {
		b = installtest.Build(t, "1", nil)
		change.do()
		dir := t.TempDir()
		for name, content := range b.Files {
			if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		s, err := fetch.NewSource(dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		if r, err := find(t, s, Wanted{}); !errors.Is(err, change.want) {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

func FuzzParseSums(f *testing.F) {
	f.Add([]byte(strings.Repeat("0", 64) + " *mangos_1.raw.zst\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		all, err := ParseSums(raw)
		if err != nil {
			return
		}
		for name := range all {
			if strings.ContainsAny(name, "/\n\x00") {
				t.Fatalf("name %q", name)
			}
		}
		if r, err := Choose(all, Wanted{}); err == nil && r.Image == "" {
			t.Fatal("a release without an image")
		}
	})
}
