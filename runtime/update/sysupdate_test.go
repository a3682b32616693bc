//go:build oracle

package update

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mastercard/mangos/format/gpt"
	"github.com/mastercard/mangos/runtime/fetch"
	"github.com/mastercard/mangos/runtime/install/installtest"
	"github.com/mastercard/mangos/runtime/proxy"
	"github.com/mastercard/mangos/runtime/proxy/proxytest"
	"github.com/mastercard/mangos/runtime/update/updatetest"
)

// transfers are those of the image.
const transfers = "../../modules/image/tree/root/usr/lib/sysupdate.d"

// A device is a fake machine that the real systemd-sysupdate updates, with the image's
// transfers, through the real proxy, from a page. Its disk and its boot entries lie in
// files: that alone is changed in the transfers.
type device struct {
	t       *testing.T
	machine *updatetest.Machine
	page    *proxytest.Page
	source  Source
	with    Sysupdate
	log     bytes.Buffer
}

func newDevice(t *testing.T, m *updatetest.Machine) *device {
	t.Helper()
	const program = "/usr/lib/systemd/systemd-sysupdate"
	if os.Getuid() != 0 {
		t.Skip("only root can lay a key where systemd looks for it")
	}
	if version, err := exec.Command(program, "--version").Output(); err != nil {
		t.Skipf("systemd-sysupdate is not here: %v", err)
	} else if !strings.HasPrefix(string(version), "systemd 25") || string(version) < "systemd 257" {
		t.Skipf("%.12s is older than what the image has", version)
	}
	d := &device{t: t, machine: m, page: proxytest.NewPage(t)}
	c := &proxy.Config{
		Repositories: map[string]proxy.RepositoryConfig{"mangos": {GitHub: "example/mangos", API: d.page.URL}},
		Fresh:        proxy.Duration(time.Nanosecond), Stale: proxy.Duration(time.Nanosecond),
	}
	p, err := proxy.New(c, "", time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(p.HTTP().Handler)
	t.Cleanup(server.Close)
	files, err := fetch.NewSource(server.URL+"/mangos", nil)
	if err != nil {
		t.Fatal(err)
	}
	d.source = Source{Files: files, Key: installtest.ReleaseKey().Public, Patience: installtest.Patience}
	d.with = Sysupdate{Program: d.program(program), Definitions: d.definitions(server.URL), Log: &d.log}
	return d
}

// program runs systemd-sysupdate where the release key and the machine's os-release lie
// where it looks for them: in a mount namespace.
func (d *device) program(sysupdate string) string {
	d.t.Helper()
	return script(d.t, fmt.Sprintf(`exec unshare --mount sh -c 'mount -t tmpfs -o mode=755 tmpfs /etc/systemd &&
	cp %s /etc/systemd/import-pubring.gpg && mount --bind %s /etc/os-release && exec %s "$@"' sh "$@"
`, proxytest.Keyring(d.t), filepath.Join(d.machine.Root, "usr/lib/os-release"), sysupdate))
}

func (d *device) definitions(url string) string {
	d.t.Helper()
	dir := d.t.TempDir()
	paths, err := filepath.Glob(filepath.Join(transfers, "*.transfer"))
	if err != nil || len(paths) != updateFiles {
		d.t.Fatalf("%q, %v", paths, err)
	}
	change := strings.NewReplacer("http://127.0.0.1:979", url, "Path=auto", "Path="+d.machine.Disk, "Path=/EFI/Linux", "Path="+d.machine.Entries, "PathRelativeTo=esp\n", "")
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			d.t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(path)), []byte(change.Replace(string(text))), 0o600); err != nil {
			d.t.Fatal(err)
		}
	}
	return dir
}

const updateFiles = 4

// publish puts a release onto the page, before those that are there. Its root hash is
// updatetest's.
func (d *device) publish(version string, change func(files map[string]string)) {
	d.t.Helper()
	hash := updatetest.Hash(version)
	name := "mangos_" + version
	files := map[string]string{
		name + ".raw.zst": "a disk image", name + ".spdx.json": "{}", name + ".efi": "kernel image " + version,
		name + ".root-x86-64-verity-sig." + gpt.DeriveGUID("sig", version).String() + ".raw": "signature " + version,
		name + ".root-x86-64-verity." + gpt.GUID(hash[16:]).String() + ".raw.xz":             proxytest.Compressed(d.t, "hash tree "+version),
		name + ".root-x86-64." + gpt.GUID(hash[:16]).String() + ".raw.xz":                    proxytest.Compressed(d.t, "root "+version+proxytest.Noise),
	}
	if change != nil {
		change(files)
	}
	d.page.Change(func() {
		d.page.Releases = append([]proxytest.Release{proxytest.Publish(d.t, "v"+version, files)}, d.page.Releases...)
	})
}

func (d *device) apply() (*Offer, error) {
	d.t.Helper()
	d.log.Reset()
	return Apply(d.t.Context(), d.machine.Root, d.source, d.with, time.Now(), func(*State, *Offer) {})
}

// expect wants the state to be told so.
func (d *device) expect(want ...string) {
	d.t.Helper()
	got := read(d.t, d.machine).Lines()[1:]
	for i := range got {
		got[i] = strings.Join(strings.Fields(got[i]), " ")
	}
	if !slices.Equal(got, want) {
		d.t.Errorf("got  %q\nwant %q\nthe log: %s", got, want, d.log.String())
	}
}

// content is what begins a partition.
func (d *device) content(label string, size int) string {
	d.t.Helper()
	f, err := os.Open(d.machine.Disk)
	if err != nil {
		d.t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		d.t.Fatal(err)
	}
	table, err := gpt.Current(f, info.Size())
	if err != nil {
		d.t.Fatal(err)
	}
	raw := make([]byte, size)
	for _, p := range table.Partitions {
		if p.Label == label {
			if _, err := f.ReadAt(raw, p.Start); err != nil {
				d.t.Fatal(err)
			}
		}
	}
	return string(raw)
}

// restart does what systemd-boot and systemd-bless-boot do: the version runs now, from
// its slot, and its entry has the name.
func (d *device) restart(version, from, to string) {
	d.t.Helper()
	d.machine.Write("usr/lib/os-release", "IMAGE_ID=mangos\nIMAGE_VERSION="+version+"\n")
	d.machine.Write("proc/cmdline", fmt.Sprintf("roothash=%s\n", updatetest.Hash(version)))
	if err := os.Rename(filepath.Join(d.machine.Entries, from), filepath.Join(d.machine.Entries, to)); err != nil {
		d.t.Fatal(err)
	}
}

// A life of updates: each state that one leads to, by the real systemd-sysupdate.
func TestSysupdate(t *testing.T) {
	m := updatetest.New(t, slots("0.1", ""), "mangos_0.1.efi")
	d := newDevice(t, m)
	d.publish("0.2", nil)
	if o, err := d.apply(); err != nil || o.Verdict != New {
		t.Fatalf("%+v, %v\n%s", o, err, d.log.String())
	}
	d.expect("A 0.1 running, good", "B 0.2 on trial, 3 starts left", "next start: 0.2, on trial, 3 starts left; falls back to 0.1")
	for label, want := range map[string]string{"mangos_0.2_verity_sig": "signature 0.2", "mangos_0.2_verity": "hash tree 0.2", "mangos_0.2": "root 0.2" + proxytest.Noise} {
		if got := d.content(label, len(want)); got != want {
			t.Errorf("%s holds %.20q", label, got)
		}
	}

	// It fails, and is not taken again, though the page offers it; a newer one is.
	for i, to := range []string{"mangos_0.2+2-1.efi", "mangos_0.2+1-2.efi", "mangos_0.2+0-3.efi"} {
		d.restart("0.1", []string{"mangos_0.2+3-0.efi", "mangos_0.2+2-1.efi", "mangos_0.2+1-2.efi"}[i], to)
	}
	d.expect("A 0.1 running, good", "B 0.2 bad after 3 starts", "next start: 0.1, good")
	if o, err := d.apply(); err != nil || o.Verdict != Failed || d.log.Len() > 0 {
		t.Errorf("again: %+v, %v\n%s", o, err, d.log.String())
	}
	d.publish("0.3", nil)
	if o, err := d.apply(); err != nil || o.Verdict != New {
		t.Fatalf("%+v, %v\n%s", o, err, d.log.String())
	}
	d.expect("A 0.1 running, good", "B 0.3 on trial, 3 starts left", "next start: 0.3, on trial, 3 starts left; falls back to 0.1")

	// On trial nothing is applied; proved good, the older version makes room.
	d.restart("0.3", "mangos_0.3+3-0.efi", "mangos_0.3+2-1.efi")
	d.publish("0.4", nil)
	if o, err := d.apply(); err == nil || !strings.Contains(err.Error(), "did not prove good yet") || d.log.Len() > 0 {
		t.Errorf("on trial: %+v, %v\n%s", o, err, d.log.String())
	}
	d.restart("0.3", "mangos_0.3+2-1.efi", "mangos_0.3.efi")
	if o, err := d.apply(); err != nil || o.Verdict != New {
		t.Fatalf("%+v, %v\n%s", o, err, d.log.String())
	}
	d.expect("A 0.4 on trial, 3 starts left", "B 0.3 running, good", "next start: 0.4, on trial, 3 starts left; falls back to 0.3")
	if got := m.Names(); !slices.Equal(got, []string{"mangos_0.3.efi", "mangos_0.4+3-0.efi"}) {
		t.Errorf("%q", got)
	}
}

// What rollback leaves systemd-sysupdate understands: the version that was set aside is
// one that is there, and makes room for a newer one.
func TestSysupdateAfterRollback(t *testing.T) {
	d := newDevice(t, updatetest.New(t, slots("0.2", "0.1"), "mangos_0.2.efi", "mangos_0.1.efi"))
	if err := RollBack(t.Context(), d.machine.Root, false, ignore); err != nil {
		t.Fatal(err)
	}
	d.publish("0.2", nil)
	d.restart("0.1", "mangos_0.1.efi", "mangos_0.1.efi")
	if o, err := d.apply(); err != nil || o.Verdict != Failed {
		t.Errorf("%+v, %v\n%s", o, err, d.log.String())
	}
	d.publish("0.3", nil)
	if o, err := d.apply(); err != nil || o.Verdict != New {
		t.Fatalf("%+v, %v\n%s", o, err, d.log.String())
	}
	d.expect("A 0.3 on trial, 3 starts left", "B 0.1 running, good", "next start: 0.3, on trial, 3 starts left; falls back to 0.1")
}

// The image as it was installed, with a counter of one number.
func TestSysupdateOfInstalled(t *testing.T) {
	d := newDevice(t, updatetest.New(t, slots("0.2", "0.1"), "mangos-tryout_0.2.efi", "mangos-tryout_0.1+3.efi"))
	d.publish("0.3", nil)
	// No counter is a part of a version, and nothing is wrong with the transfers.
	out, err := exec.CommandContext(t.Context(), d.with.Program, "--definitions="+d.with.Definitions, "--no-pager", "list").CombinedOutput()
	if text := string(out); err != nil || strings.Contains(text, "+") || strings.Contains(text, "ignoring") || !strings.Contains(text, " 0.1 ") {
		t.Errorf("list: %v\n%s", err, text)
	}
	if o, err := d.apply(); err != nil || o.Verdict != New {
		t.Fatalf("%+v, %v\n%s", o, err, d.log.String())
	}
	d.expect("A 0.2 running, good", "B 0.3 on trial, 3 starts left", "next start: 0.3, on trial, 3 starts left; falls back to 0.2")
	if got := d.machine.Names(); !slices.Equal(got, []string{"mangos-tryout_0.2.efi", "mangos_0.3+3-0.efi"}) {
		t.Errorf("%q", got)
	}
}

// An update that was cut off does not count, and goes on later.
func TestSysupdateCutOff(t *testing.T) {
	d := newDevice(t, updatetest.New(t, slots("0.1", ""), "mangos_0.1.efi"))
	d.publish("0.2", nil)
	var efi string
	d.page.Change(func() {
		files := d.page.Releases[0].Files
		efi = string(files["mangos_0.2.efi"])
		files["mangos_0.2.efi"] = []byte("another kernel 0.2")[:len(efi)]
	})
	if o, err := d.apply(); err == nil || !strings.Contains(d.log.String(), "tampered") {
		t.Fatalf("%+v, %v\n%s", o, err, d.log.String())
	}
	if next := read(t, d.machine).Next(); next.Version != "0.1" {
		t.Errorf("next is %+v", next)
	}
	d.page.Change(func() { d.page.Releases[0].Files["mangos_0.2.efi"] = []byte(efi) })
	if o, err := d.apply(); err != nil || o.Verdict != New {
		t.Fatalf("%+v, %v\n%s", o, err, d.log.String())
	}
	d.expect("A 0.1 running, good", "B 0.2 on trial, 3 starts left", "next start: 0.2, on trial, 3 starts left; falls back to 0.1")
}
