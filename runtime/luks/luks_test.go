package luks

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mastercard/mangos/format/gpt"
)

// volume makes a LUKS2 volume in a file, with the key "first".
func volume(t *testing.T) Volume {
	t.Helper()
	if _, err := exec.LookPath("cryptsetup"); err != nil {
		t.Skip("no cryptsetup here: volumes are not tested")
	}
	v := Volume{filepath.Join(t.TempDir(), "volume")}
	if err := os.WriteFile(v.Path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(v.Path, HeaderSize+(1<<20)); err != nil {
		t.Fatal(err)
	}
	if err := v.Format(t.Context(), gpt.DeriveGUID("volume"), "mangos-var", []byte("first")); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestKeysAndTokens(t *testing.T) {
	v, ctx := volume(t), t.Context()
	if err := v.AddKey(ctx, []byte("first"), []byte("second"), RecoverySlot); err != nil {
		t.Fatal(err)
	}
	if err := v.AddKey(ctx, []byte("wrong"), []byte("third"), 2); !errors.Is(err, ErrWrongKey) {
		t.Errorf("a key added with a wrong one: %v", err)
	}
	for key, want := range map[string]error{"first": nil, "second": nil, "third": ErrWrongKey} {
		if err := v.Test(ctx, []byte(key)); !errors.Is(err, want) {
			t.Errorf("key %q: %v, want %v", key, err, want)
		}
	}
	if err := v.ImportToken(ctx, EncodeRecovery(RecoverySlot)); err != nil {
		t.Fatal(err)
	}
	m, err := v.Metadata(ctx)
	if err != nil || !slices.Equal(m.Slots, []int{0, 1}) || m.FreeSlot() != 2 || !slices.Equal(m.Find(RecoveryToken), []int{0}) || !slices.Equal(m.Tokens[0].Slots, []int{1}) {
		t.Fatalf("%+v, %v", m, err)
	}
	if err := v.KillSlot(ctx, RecoverySlot); err != nil {
		t.Fatal(err)
	}
	if err := v.KillSlot(ctx, 7); err == nil {
		t.Error("a slot that is not used was wiped")
	}
	if err := v.RemoveToken(ctx, 0); err != nil {
		t.Fatal(err)
	}
	if m, err = v.Metadata(ctx); err != nil || !slices.Equal(m.Slots, []int{0}) || len(m.Tokens) != 0 {
		t.Fatalf("%+v, %v", m, err)
	}
}

func TestNoVolume(t *testing.T) {
	path := filepath.Join(t.TempDir(), "zeros")
	if err := os.WriteFile(path, make([]byte, 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := (Volume{path}).Metadata(t.Context()); !errors.Is(err, ErrNotLUKS) {
		t.Errorf("got %v", err)
	}
}

// No key may stand in what an error says, or in what others see of a process.
func TestKeysStayOutOfSight(t *testing.T) {
	dir := t.TempDir()
	script := "#!/bin/sh\necho \"$@\" >" + dir + "/args\nenv >" + dir + "/env\nexit 1\n"
	if err := os.WriteFile(filepath.Join(dir, "cryptsetup"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	t.Setenv("SECRET_ELSEWHERE", "hunter2")
	err := Volume{"/x"}.AddKey(t.Context(), []byte("hunter2"), []byte("hunter2"), 1)
	args, _ := os.ReadFile(filepath.Join(dir, "args"))
	env, _ := os.ReadFile(filepath.Join(dir, "env"))
	if err == nil || len(args) == 0 || strings.Contains(err.Error()+string(args)+string(env), "hunter2") {
		t.Errorf("error %v, arguments %s, environment %s", err, args, env)
	}
}

func FuzzMetadata(f *testing.F) {
	f.Add([]byte(`{"keyslots":{"0":{}},"tokens":{"0":{"type":"systemd-recovery","keyslots":["0"]}}}`))
	f.Add([]byte(`{"keyslots":{"33":{}}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := parseMetadata(raw)
		if err != nil {
			return
		}
		for _, token := range m.Tokens {
			if sealed, policy, err := ParseTPM(token); err == nil && (sealed == nil || policy.Key == nil) {
				t.Fatal("a token without a secret or key")
			}
		}
	})
}
