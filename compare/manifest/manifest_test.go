package manifest

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/mastercard/mangos/compare/component"
	"github.com/mastercard/mangos/compare/content"
	"github.com/mastercard/mangos/format/cpio"
)

// archive is a small artefact with parts.
func archive(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	w := cpio.NewWriter(&b)
	for _, h := range []*cpio.Header{{Name: "bin", Mode: cpio.TypeDir | 0o755}, {Name: "bin/init", Mode: cpio.TypeRegular | 0o755, Size: 4}} {
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Write([]byte("init")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// text is the manifest of a component.
func text(t testing.TB, n *component.Node) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(context.Background(), &b, n); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// depth is how many levels are in a component.
func depth(t *testing.T, n *component.Node) int {
	t.Helper()
	e, err := n.Expand()
	if err != nil {
		t.Fatal(err)
	}
	levels := 0
	if e != nil {
		for _, child := range e.Children {
			levels = max(levels, depth(t, child))
		}
	}
	return levels + 1
}

func TestRead(t *testing.T) {
	n, err := Read(bytes.NewReader(text(t, component.New(component.Artifact, "initrd", content.Bytes(archive(t))))))
	if err != nil {
		t.Fatal(err)
	}
	if n.Name != "initrd" || n.Known == nil || n.Known.Size != int64(len(archive(t))) {
		t.Errorf("read %q with %+v", n.Name, n.Known)
	}
	if d := depth(t, n); d < 2 {
		t.Errorf("%d levels, want the archive and its members", d)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(text(f, component.New(component.Artifact, "initrd", content.Bytes(archive(f)))))
	f.Add([]byte("{\"manifest\":\"mangos-manifest-1\"}\n{\"set\":1,\"a\":{\"mode\":\"0755\"},\"v\":{\"x\":[\"1\",\"time\"]}}\n" +
		"{\"d\":0,\"k\":\"dir\",\"n\":\"d\",\"f\":\"directory\",\"t\":1}\n{\"d\":1,\"k\":\"link\",\"n\":\"l\"}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		n, err := Read(bytes.NewReader(data))
		if err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Errorf("not ErrInvalid: %v", err)
			}
			return
		}
		if d := depth(t, n); d > component.MaxDepth+1 {
			t.Errorf("%d levels", d)
		}
	})
}
