package guest

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mastercard/mangos/modules/vm/probe"
)

// tree writes files, named by their path, below a new folder.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for path, content := range files {
		full := filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestServe(t *testing.T) {
	root := tree(t, map[string]string{"etc/conf/here": "yes\n", "var/lib/secret": "no\n"})
	if err := os.Symlink("../../var/lib/secret", filepath.Join(root, "etc/conf/link")); err != nil {
		t.Fatal(err)
	}
	ours, theirs := net.Pipe()
	off := false
	g := Guest{Root: root, PowerOff: func() error { off = true; return nil }}
	served := make(chan error, 1)
	go func() { served <- g.Serve(theirs) }()
	lines := bufio.NewScanner(ours)
	next := func() probe.Reply {
		t.Helper()
		if !lines.Scan() {
			t.Fatal("no reply", lines.Err())
		}
		r, err := probe.ParseReply(lines.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	ask := func(op probe.Op, path string) probe.Reply {
		t.Helper()
		line, _ := json.Marshal(probe.Request{ID: 7, Op: op, Path: path})
		if _, err := ours.Write(append(line, '\n')); err != nil {
			t.Fatal(err)
		}
		r := next()
		if r.ID != 7 {
			t.Errorf("reply to request %d", r.ID)
		}
		return r
	}
	if hello := next(); hello.ID != 0 {
		t.Errorf("hello has id %d", hello.ID)
	}
	if r := ask(probe.Read, "/etc/conf/here"); string(r.Content) != "yes\n" || r.Error != "" {
		t.Errorf("read: %+v", r)
	}
	if r := ask(probe.Digest, "/etc/conf/here"); r.Digest != "5040625b1fb6fa4af07226683f6e6003b29e5e70b16f8cfb24be7a752393f0ee" {
		t.Errorf("digest: %+v", r)
	}
	if r := ask(probe.List, "/etc/conf"); !slices.Equal(r.Names, []string{"here", "link"}) {
		t.Errorf("list: %+v", r)
	}
	for _, path := range []string{"/var/lib/secret", "/etc/conf/link", "/etc/../var/lib/secret", "etc/conf/here", "/etcetera"} {
		if r := ask(probe.Read, path); r.Error == "" || len(r.Content) > 0 {
			t.Errorf("read %s: %+v", path, r)
		}
	}
	if r := ask("format", "/etc/conf/here"); r.Error == "" {
		t.Error("an unknown operation was answered")
	}
	if r := ask(probe.PowerOff, ""); r.Error != "" || !off {
		t.Errorf("power off: %+v, %v", r, off)
	}
	ours.Close()
	if err := <-served; err != nil && !strings.Contains(err.Error(), "closed pipe") {
		t.Error(err)
	}
}

func TestFacts(t *testing.T) {
	root := tree(t, map[string]string{
		"proc/cmdline":                     "quiet\n",
		"etc/machine-id":                   "0123\n",
		"etc/shadow":                       "daemon:*:1::::::\nroot::1::::::\n",
		"sys/class/tpm/tpm0/pcr-sha256/11": "AB01\n",
		"sys/firmware/efi/efivars/SecureBoot-" + efiGlobal: "\x06\x00\x00\x00\x01",
		"sys/firmware/efi/efivars/SetupMode-" + efiGlobal:  "\x06",
		"run/credentials/@system/passwd.x":                 "x",
	})
	g := Guest{Root: root}
	f := g.facts()
	if f.CommandLine != "quiet" || f.MachineID != "0123" || f.PCR["11"] != "ab01" || string(f.SecureBoot) != "\x01" {
		t.Errorf("facts %+v", f)
	}
	if f.RootPassword != "empty" || f.Modules != "none" {
		t.Errorf("root password %q, modules %q", f.RootPassword, f.Modules)
	}
	if !slices.Equal(f.Credentials, []string{"/run/credentials/@system/passwd.x"}) {
		t.Errorf("credentials %q", f.Credentials)
	}
	// What could not be read says so instead of looking empty.
	for _, field := range []string{"setupMode", "lockdown", "pcr", "mounts"} {
		if f.Errors[field] == "" {
			t.Errorf("no error for %s", field)
		}
	}
	// A folder that takes a file is told apart from one that does not, and is left as it was.
	if e, ok := f.Writes["/etc"]; !ok || e != "" {
		t.Errorf("write to /etc: %q", e)
	}
	if f.Writes["/usr/lib"] == "" {
		t.Error("a folder that is not there was written to")
	}
	if _, err := os.Lstat(filepath.Join(root, "etc/.mangos-probe")); !errors.Is(err, os.ErrNotExist) {
		t.Error("the probe left its file")
	}
}

func TestFindPort(t *testing.T) {
	root := tree(t, map[string]string{
		"sys/class/virtio-ports/vport0p1/name": "other\n",
		"sys/class/virtio-ports/vport0p2/name": "mangos.test\n",
	})
	if p, err := FindPort(root, "mangos.test"); err != nil || p != filepath.Join(root, "dev/vport0p2") {
		t.Errorf("%q, %v", p, err)
	}
	if _, err := FindPort(root, "none"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// table makes what DM_TABLE_STATUS returns for one target.
func table(kind, params string) []byte {
	b := make([]byte, dmHeader+dmTargetSpec+len(params)+1)
	le := binary.LittleEndian
	le.PutUint32(b[offDataStart:], dmHeader)
	le.PutUint32(b[offTargetCount:], 1)
	le.PutUint32(b[dmHeader+20:], uint32(dmTargetSpec+len(params)+1))
	copy(b[dmHeader+24:], kind)
	copy(b[dmHeader+dmTargetSpec:], params)
	return b
}

func TestParseTable(t *testing.T) {
	got, err := parseTable(table("verity", "1 254:2 254:1 panic_on_corruption"))
	if err != nil || got != "verity 1 254:2 254:1 panic_on_corruption\n" {
		t.Errorf("%q, %v", got, err)
	}
}

func FuzzParseTable(f *testing.F) {
	f.Add(table("verity", "1 254:2 254:1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := parseTable(b); err != nil && !errors.Is(err, errTable) {
			t.Errorf("%v is not errTable", err)
		}
	})
}

func TestVerityTable(t *testing.T) {
	root := strings.Repeat("ab", 32)
	data, hash, rootHash, err := verityTable("verity 1 253:4 253:3 4096 4096 100 1 sha256 " + root + " - 1 panic_on_corruption\n")
	if err != nil || data != "/dev/block/253:4" || hash != "/dev/block/253:3" || rootHash != root {
		t.Errorf("%q, %q, %q, %v", data, hash, rootHash, err)
	}
	for _, table := range []string{"", "linear 253:4 0", "crypt 1 2 3 4 5 6 7 8 9 10"} {
		if _, _, _, err := verityTable(table); !errors.Is(err, ErrNoRoot) {
			t.Errorf("%q: %v", table, err)
		}
	}
}

func TestPlant(t *testing.T) {
	files := map[string]string{}
	for name := range probe.Planted {
		if strings.HasSuffix(name, ".raw") {
			files[probe.Plants+"/"+name] = "image"
		} else {
			files[probe.Plants+"/"+name+"/etc/file"] = name
		}
	}
	root, merged := tree(t, files), false
	g := Guest{Root: root, Merge: func() error { merged = true; return nil }}
	if _, err := g.answer(probe.Request{ID: 1, Op: probe.Plant}); err != nil || !merged {
		t.Fatal(err, merged)
	}
	for name, place := range probe.Planted {
		path := filepath.Join(root, place)
		if !strings.HasSuffix(name, ".raw") {
			path = filepath.Join(path, "etc/file")
		}
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
}
