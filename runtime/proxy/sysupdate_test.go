//go:build oracle

package proxy

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mastercard/mangos/runtime/proxy/proxytest"
)

// device is a folder that systemd-sysupdate keeps up to date, through a proxy.
type device struct {
	t                         *testing.T
	program                   string
	keyring, transfers, files string
}

// transfers of a release's files in the design's order, the kernel image last.
// Version 1.0 is the one that runs.
var transfers = []struct{ name, source, target, more string }{
	{"10-verity-sig", "mangos_@v.root-x86-64-verity-sig.@u.raw", "mangos_@v.verity-sig.@u.raw", ""},
	{"20-verity", "mangos_@v.root-x86-64-verity.@u.raw.xz", "mangos_@v.verity.@u.raw", ""},
	{"30-root", "mangos_@v.root-x86-64.@u.raw.xz", "mangos_@v.root.@u.raw", ""},
	{"40-kernel", "mangos_@v.efi", "mangos_@v+@l-@d.efi mangos_@v.efi", "TriesLeft=3\nTriesDone=0\nMode=0444\n"},
}

// newDevice needs root: the key is laid where systemd looks for it, in a mount
// namespace of each call.
func newDevice(t *testing.T, x *proxy) *device {
	t.Helper()
	d := &device{t: t, program: "/usr/lib/systemd/systemd-sysupdate", transfers: t.TempDir(), files: t.TempDir()}
	if os.Getuid() != 0 {
		t.Skip("only root can lay a key where systemd looks for it")
	}
	if version, err := exec.Command(d.program, "--version").Output(); err != nil {
		t.Skipf("systemd-sysupdate is not here: %v", err)
	} else {
		first, _, _ := strings.Cut(string(version), "\n")
		t.Log(first)
	}
	d.keyring = proxytest.Keyring(t)
	for _, f := range transfers {
		write(t, filepath.Join(d.transfers, f.name+".transfer"), fmt.Sprintf(`[Transfer]
ProtectVersion=1.0
MinVersion=1.0
Verify=yes

[Source]
Type=url-file
Path=%s/mangos
MatchPattern=%s

[Target]
Type=regular-file
Path=%s
MatchPattern=%s
InstancesMax=2
%s`, x.http.URL, f.source, d.files, f.target, f.more))
	}
	return d
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// call calls systemd-sysupdate.
func (d *device) call(verb ...string) (string, error) {
	d.t.Helper()
	const script = `mount -t tmpfs -o mode=755 tmpfs /etc/systemd && cp "$0" /etc/systemd/import-pubring.gpg && exec "$@"`
	args := append([]string{"--mount", "sh", "-c", script, d.keyring, d.program, "--definitions=" + d.transfers, "--no-pager"}, verb...)
	cmd := exec.CommandContext(d.t.Context(), "unshare", args...)
	cmd.Env = []string{"PATH=/usr/bin:/usr/sbin:/bin:/sbin", "LC_ALL=C", "TMPDIR=" + d.t.TempDir()}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// update wants systemd-sysupdate to update.
func (d *device) update() {
	d.t.Helper()
	if out, err := d.call("update"); err != nil {
		d.t.Fatalf("systemd-sysupdate update: %v\n%s", err, out)
	}
}

// refuse wants systemd-sysupdate to refuse, with this said by it or by what it calls,
// and to leave what is there.
func (d *device) refuse(want string) {
	d.t.Helper()
	before := d.have()
	out, err := d.call("update")
	if err == nil || !strings.Contains(out, want) {
		d.t.Fatalf("systemd-sysupdate update: %v, want it to say %q\n%s", err, want, out)
	}
	if after := d.have(); !maps.Equal(before, after) {
		d.t.Errorf("it refuses, and leaves %v, not %v", slices.Sorted(maps.Keys(after)), slices.Sorted(maps.Keys(before)))
	}
}

// have reads the files that are there, without those that are not done.
func (d *device) have() map[string]string {
	d.t.Helper()
	entries, err := os.ReadDir(d.files)
	if err != nil {
		d.t.Fatal(err)
	}
	files := map[string]string{}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".#") {
			continue // systemd's temporary files
		}
		content, err := os.ReadFile(filepath.Join(d.files, e.Name()))
		if err != nil {
			d.t.Fatal(err)
		}
		files[e.Name()] = string(content)
	}
	return files
}

// The identifier of a partition as a release's files are named, and as systemd writes it.
const (
	uuid  = "4f68bce3-e8cd-4db1-96e7-fbcaf984b709"
	plain = "4f68bce3e8cd4db196e7fbcaf984b709"
)

// wanted are the files that a release puts onto the device.
func wanted(versions ...string) map[string]string {
	files := map[string]string{}
	for _, v := range versions {
		files["mangos_"+v+".verity-sig."+plain+".raw"] = "signature " + v
		files["mangos_"+v+".verity."+plain+".raw"] = "hash tree " + v
		files["mangos_"+v+".root."+plain+".raw"] = proxytest.Noise + v
		files["mangos_"+v+"+3-0.efi"] = "kernel " + v
	}
	return files
}

// whole is a release with the files that an update fetches, and one that it does not.
func whole(t *testing.T, version string) proxytest.Release {
	t.Helper()
	w := wanted(version)
	name := "mangos_" + version + ".root-x86-64"
	return proxytest.Publish(t, "v"+version, map[string]string{
		name + "-verity-sig." + uuid + ".raw": w["mangos_"+version+".verity-sig."+plain+".raw"],
		name + "-verity." + uuid + ".raw.xz":  proxytest.Compressed(t, w["mangos_"+version+".verity."+plain+".raw"]),
		name + "." + uuid + ".raw.xz":         proxytest.Compressed(t, w["mangos_"+version+".root."+plain+".raw"]),
		"mangos_" + version + ".efi":          w["mangos_"+version+"+3-0.efi"],
		"mangos_" + version + ".spdx.json":    "{}",
	})
}

func (d *device) expect(versions ...string) {
	d.t.Helper()
	if have := d.have(); !maps.Equal(have, wanted(versions...)) {
		d.t.Errorf("there are %v, want those of %v", slices.Sorted(maps.Keys(have)), versions)
	}
}

// The real systemd-sysupdate, the proxy, and a page with all of GitHub's quirks.
func TestSysupdate(t *testing.T) {
	p := proxytest.NewPage(t)
	p.Releases = []proxytest.Release{whole(t, "1.0")}
	x := newProxy(t, p, nil) // without the key: it is systemd that judges
	d := newDevice(t, x)
	d.update()
	d.expect("1.0")

	// Pages of releases; the newest is not the first. The storage hangs up in the root.
	p.Change(func() {
		p.Releases = []proxytest.Release{proxytest.Publish(t, "v0.3", nil), proxytest.Publish(t, "v0.4", nil), p.Releases[0], proxytest.Publish(t, "v0.2", nil), whole(t, "1.1")}
		p.Cut = 500000
	})
	d.update()
	d.expect("1.0") // not visible yet
	x.clock.move(time.Hour)
	if out, err := d.call("check-new"); err != nil || !strings.HasSuffix(out, "\n1.1\n") {
		t.Errorf("check-new: %q, %v", out, err)
	}
	d.update()
	d.expect("1.0", "1.1")
	p.Change(func() {
		if p.Cut != 0 {
			t.Error("the storage did not hang up")
		}
	})

	// An outage: what was known last is all there is, and no error.
	p.Change(func() { p.Releases, p.Down = []proxytest.Release{whole(t, "1.2")}, true })
	x.clock.move(time.Hour)
	d.update()
	d.expect("1.0", "1.1")
	p.Change(func() { p.Down = false })
	x.clock.move(time.Hour)
	d.update()
	d.expect("1.0", "1.2") // 1.0 runs, so it was 1.1 that made room
}

// What is not the organisation's release is refused by systemd, whatever passes it on.
func TestSysupdateRefuses(t *testing.T) {
	good := whole(t, "1.0")
	for name, c := range map[string]struct {
		release func() proxytest.Release
		want    string
	}{
		"not signed": {func() proxytest.Release {
			r := whole(t, "1.1")
			r.Files["SHA256SUMS.gpg"] = []byte{}
			return r
		}, "cannot verify"},
		"signature of another": {func() proxytest.Release {
			r := whole(t, "1.1")
			r.Files["SHA256SUMS.gpg"] = good.Files["SHA256SUMS.gpg"]
			return r
		}, "Signature verification failed"},
		"another file": {func() proxytest.Release {
			r := whole(t, "1.1")
			r.Files["mangos_1.1.efi"] = []byte("kernel 1.x")
			return r
		}, "tampered with"},
		"a file is gone": {func() proxytest.Release {
			r := whole(t, "1.1")
			delete(r.Files, "mangos_1.1.efi")
			return r
		}, "404"},
	} {
		t.Run(name, func(t *testing.T) {
			p := proxytest.NewPage(t)
			p.Releases = []proxytest.Release{good}
			x := newProxy(t, p, nil)
			d := newDevice(t, x)
			d.update()
			p.Change(func() { p.Releases = []proxytest.Release{c.release()} })
			x.clock.move(time.Hour)
			d.refuse(c.want)
			if d.have()["mangos_1.0+3-0.efi"] != "kernel 1.0" {
				t.Errorf("%v", d.have())
			}
		})
	}
}

// What the proxy refuses by itself, or cannot give, systemd-sysupdate reports with the
// status, and does later.
func TestSysupdateHearsStatus(t *testing.T) {
	p := proxytest.NewPage(t)
	p.Releases = []proxytest.Release{whole(t, "1.1")}
	key := withKey(t)
	x := newProxy(t, p, func(c *RepositoryConfig) { key(c); c.MinimumVersion = "1.2" })
	d := newDevice(t, x)
	d.refuse("403")
	p.Change(func() {
		p.Limit = func(w http.ResponseWriter) {
			w.Header().Set("Retry-After", "300")
			w.WriteHeader(http.StatusTooManyRequests)
		}
	})
	x.clock.move(time.Hour)
	d.refuse("503")
	p.Change(func() { p.Limit, p.Releases = nil, []proxytest.Release{whole(t, "1.2")} })
	x.clock.move(time.Hour)
	d.update()
	d.expect("1.2")
}
