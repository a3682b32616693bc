package pcr

import "testing"

// The values were computed by systemd-measure 252 and 257 and, independently,
// in Python.
func TestPredict(t *testing.T) {
	sections := map[string][]byte{
		".linux":   make([]byte, 4096),
		".osrel":   []byte("ID=mangos\n"),
		".cmdline": []byte("quiet"),
	}
	want := []struct{ path, value, policy string }{
		{"enter-initrd", "017b51c774a3daec17aa6cff4871cf52351b60907f53e8258c6125bc17360356", "886415915972ac12c05e389c8a77742983985f615b2c549039b1eaa681bdbb13"},
		{"enter-initrd:leave-initrd", "66f3968c607dc025912fbc87fb0d3e45e45cbe3aad688f21c1cf061b50ce7272", "940debb21481e9d9d108a151f009ffef33c723e7599aedb41925579beaa4bcbe"},
		{"enter-initrd:leave-initrd:sysinit", "4cc76df056e52a691b7b828fe738c55155790ae7a04e77b56b59e7731223069f", "66364fe2945090faf7d6bb3ae6d49c04a30b0f5db49ae891ae18f95f6f0dac5a"},
		{"enter-initrd:leave-initrd:sysinit:ready", "770b596b22fcddae67b78f48c1bafdf3d7a98e394c80cdac85ecd810ec858349", "6c8fcd7aa608bc9a65f937afe7842a79c7bda89835b934a7feaddd34f660e213"},
	}
	got, err := Predict(func(name string) []byte { return sections[name] })
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) {
		t.Fatalf("%d phases, want %d", len(got), len(want))
	}
	for i, w := range want {
		g := got[i]
		if g.Path != w.path || g.Value.String() != w.value || g.Policy.String() != w.policy {
			t.Errorf("phase %d:\n got %s %s %s\nwant %s %s %s", i, g.Path, g.Value, g.Policy, w.path, w.value, w.policy)
		}
	}
}
