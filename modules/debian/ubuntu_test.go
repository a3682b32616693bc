package debian_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mastercard/mangos/modules/debian/bootstrap"
	"github.com/mastercard/mangos/modules/debian/deb"
	"github.com/mastercard/mangos/modules/debian/debtest"
	"github.com/mastercard/mangos/modules/debian/fetch"
	"github.com/mastercard/mangos/modules/debian/lock"
	"github.com/mastercard/mangos/modules/debian/refresh"
	"github.com/mastercard/mangos/modules/debian/treedigest"
	"github.com/mastercard/mangos/modules/definition"
)

// TestUbuntu goes all the way with the project's Ubuntu definition: a small
// archive in Ubuntu's layout, signed by a key of the test, is locked, fetched and
// made into a root file system. Its apt and dpkg are packed from this machine.
func TestUbuntu(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("root file systems need root: run this test as root")
	}
	u := newUbuntu(t)

	l, log := u.locked(t)
	t.Run("lock", func(t *testing.T) { checkLock(t, l, log) })
	t.Run("root file system", func(t *testing.T) { u.checkRoot(t, l) })
	t.Run("unpacked", func(t *testing.T) { u.checkUnpacked(t, l) })
	t.Run("tampered index", u.checkTampered)
	t.Run("gone", func(t *testing.T) { u.checkGone(t, l) })
	t.Run("back", func(t *testing.T) { u.checkBack(t, l) })
}

func checkLock(t *testing.T, l *lock.Lock, log string) {
	want := map[string][2]string{ // name: version, suite
		"apt": {"2.8", "noble"}, "base-files": {"13", "noble"}, "libhello": {"1.0-1", "noble"},
		"hello": {"1.0-1ubuntu0.2", "noble-security"}, "tool": {"2", "noble-updates"}, "hooks": {"1", "noble"},
	}
	for _, p := range l.Packages {
		w, ok := want[p.Name]
		if !ok {
			continue
		}
		delete(want, p.Name)
		if p.Version != w[0] || p.Suite != w[1] {
			t.Errorf("%s: %s from %s, want %v", p.Name, p.Version, p.Suite, w)
		}
	}
	if len(want) > 0 {
		t.Errorf("the lock lacks %v", want)
	}
	for _, p := range l.Packages {
		if p.Name == "suggestion" || p.Name == "other" {
			t.Errorf("%s is in the lock", p.Name)
		}
	}
	if l.SourceDateEpoch != debtest.Date.Add(2*time.Hour).Unix() {
		t.Errorf("SOURCE_DATE_EPOCH %d is not the Date of the newest Release", l.SourceDateEpoch)
	}
	if got := l.Archives[0].Home; got != "http://snapshot.ubuntu.com/ubuntu/20260102T170405Z/" {
		t.Errorf("permanent home %s", got)
	}
	if strings.Join(l.Build, " ") != "hello-source=1.0-1" || strings.Join(l.Withheld, " ") != "src:hello-source=1.0-1ubuntu0.1 src:hello-source=1.0-1ubuntu0.2 tool=3" {
		t.Errorf("built %v, withheld %v", l.Build, l.Withheld)
	}
	for _, line := range []string{
		"tool 3 is in the index of noble-updates, but no server has its file", "hello-source 1.0-1ubuntu0.2",
		"\nwithheld: tool 3, because no server had its files when the lock was made: the lock has 2\n",
		"\nwithheld: src:hello-source 1.0-1ubuntu0.1, because no server had its files when the lock was made: the lock has 1.0-1\n",
	} {
		if !strings.Contains(log, line) {
			t.Errorf("the log does not say %q:\n%s", line, log)
		}
	}
}

func (u *ubuntu) checkRoot(t *testing.T, l *lock.Lock) {
	s, err := l.Select("root")
	if err != nil {
		t.Fatal(err)
	}
	s.Paths = []string{"-/usr/share/doc/*", "+/usr/share/doc/*/copyright"}
	packages := u.fetch(t, s)
	var digests []string
	var root string
	for _, variation := range []string{"", "1"} {
		t.Setenv("MANGOS_VARIATION", variation)
		root = t.TempDir()
		if err := os.Chmod(root, 0o755); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		b := bootstrap.Builder{Selection: s, Packages: packages, Root: root, Sandbox: u.sandbox, Log: &out}
		if err := b.Build(context.Background()); err != nil {
			t.Fatalf("%v\n%s", err, out.String())
		}
		lines, err := treedigest.Lines(root)
		if err != nil {
			t.Fatal(err)
		}
		digests = append(digests, treedigest.Digest(lines))
	}
	if digests[0] != digests[1] {
		t.Errorf("two root file systems of one selection differ: %v", digests)
	}
	for name, want := range map[string]string{
		"usr/bin/hello": "hello 1.0-1ubuntu0.2", "var/lib/hooks": "preinst of hooks after libhello is configured\npostinst of hooks\n",
		"usr/share/doc/hello/copyright": "free", "usr/share/doc/hello/changelog": "", "etc/machine-id": "",
		"var/log/alternatives.log": "", ".packages": "", "usr/sbin/policy-rc.d": "",
		"var/lib/policy": "101\n", "var/lib/interfaces": "    lo\n",
	} {
		if got, _ := os.ReadFile(filepath.Join(root, name)); string(got) != want {
			t.Errorf("/%s: %q, want %q", name, got, want)
		}
	}
	status, err := os.ReadFile(filepath.Join(root, "var/lib/dpkg/status"))
	if err != nil || !strings.Contains(string(status), "Package: hello\nStatus: install ok installed\n") {
		t.Errorf("dpkg's database does not have hello: %v\n%s", err, status)
	}
}

func (u *ubuntu) checkUnpacked(t *testing.T, l *lock.Lock) {
	s, err := l.Select("initrd")
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Packages) != 1 || s.Packages[0].Name != "hello" {
		t.Errorf("selected %+v, want hello alone: hooks and libhello are excluded", s.Packages)
	}
	root, packages := t.TempDir(), u.fetch(t, s)
	if _, err := deb.Unpack([]string{filepath.Join(packages, filepath.Base(s.Packages[0].Path))}, root, deb.Filter{}); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(filepath.Join(root, "usr/bin/hello")); string(got) != "hello 1.0-1ubuntu0.2" {
		t.Errorf("unpacked %q", got)
	}
}

// checkTampered changes an index after it was signed.
func (u *ubuntu) checkTampered(t *testing.T) {
	const index = "dists/noble/universe/binary-amd64/Packages.xz"
	good := u.archive[index]
	defer func() { u.archive[index] = good }()
	changed := bytes.Clone(good)
	changed[len(changed)/2] ^= 1
	u.archive[index] = changed
	u.cache = t.TempDir()
	_, err := u.make()
	if !errors.Is(err, fetch.ErrMismatch) || !strings.Contains(err.Error(), "universe/binary-amd64/Packages") {
		t.Errorf("got %v, want a mismatch that names the index", err)
	}
}

// checkGone takes a locked file off the mirror: the lock cannot be used any more, and
// one made anew can, with what the mirror still has.
func (u *ubuntu) checkGone(t *testing.T, l *lock.Lock) {
	s, err := l.Select("initrd")
	if err != nil {
		t.Fatal(err)
	}
	path := s.Packages[0].Path
	good := u.archive[path]
	defer func() { u.archive[path] = good }()
	delete(u.archive, path)
	f := u.fetcher()
	f.Cache = t.TempDir()
	f.Homes = fetch.Mirrors{"ubuntu": {"http://127.0.0.1:1/"}}
	err = f.Into(context.Background(), files(s), t.TempDir())
	if !errors.Is(err, fetch.ErrGone) || !strings.Contains(err.Error(), "hello 1.0-1ubuntu0.2") {
		t.Errorf("got %v, want ErrGone that names the package", err)
	}

	text, log := u.lock(t)
	if !strings.Contains(log, "hello 1.0-1ubuntu0.2 is in the index of noble-security, but no server has its file") {
		t.Errorf("the log does not say what the mirror withholds:\n%s", log)
	}
	fresh, err := lock.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if s, err = fresh.Select("initrd"); err != nil {
		t.Fatal(err)
	}
	if s.Packages[0].Version != "1.0-1ubuntu0.1" {
		t.Errorf("the fresh lock has hello %s, want the next older one", s.Packages[0].Version)
	}
	f.Cache = t.TempDir()
	if err := f.Into(context.Background(), files(s), t.TempDir()); err != nil {
		t.Errorf("fetch what the fresh lock names: %v", err)
	}
}

// checkBack makes locks that would go back behind present ones, under the same Releases.
func (u *ubuntu) checkBack(t *testing.T, l *lock.Lock) {
	s, err := l.Select("initrd")
	if err != nil {
		t.Fatal(err)
	}
	newer, other := *l, *l
	newer.Build = []string{"hello-source=1.0-1ubuntu0.1"}
	other.Distribution, other.Build = "other", newer.Build
	defer func() { u.present, u.acceptOlder = nil, false }()
	u.present = []*lock.Lock{l, &other}
	u.lock(t) // the same is not older, and another distribution has versions of its own
	refused := func(want string) {
		t.Helper()
		_, err := u.make()
		if !errors.Is(err, refresh.ErrBack) || !strings.Contains(err.Error(), ": "+want+": ") || !strings.Contains(err.Error(), "--accept-older") {
			t.Errorf("got %v, want a refusal that names %s", err, want)
		}
	}
	const source = "src:hello-source 1.0-1, locked is 1.0-1ubuntu0.1"
	u.present = []*lock.Lock{&newer, l} // the newest counts
	refused(source)

	good := u.archive[s.Packages[0].Path]
	defer func() { u.archive[s.Packages[0].Path] = good }()
	delete(u.archive, s.Packages[0].Path)
	const pkg = "hello 1.0-1ubuntu0.1, locked is 1.0-1ubuntu0.2"
	refused(pkg + "; " + source)
	u.acceptOlder = true
	if _, log := u.lock(t); !strings.Contains(log, "older, and accepted: "+pkg+"\n") || !strings.Contains(log, "older, and accepted: "+source+"\n") {
		t.Errorf("older versions were accepted, and nothing said:\n%s", log)
	}
}

// ubuntu is a world with Ubuntu's one archive.
type ubuntu struct {
	*world
	archive debtest.Archive
}

func newUbuntu(t *testing.T) *ubuntu {
	key := debtest.NewKey(t, 0)
	w := newWorld(t, "ubuntu", map[string]*debtest.Key{"ubuntu": key})
	u := &ubuntu{world: w, archive: w.archives["ubuntu"]}
	u.publish(t, key)
	u.dist.Sets = map[string]definition.Set{
		"root":   {Base: definition.BaseEssential, Packages: []string{"apt", "hello", "tool"}},
		"initrd": {Base: definition.BaseNone, Packages: []string{"hello"}, Exclude: []string{"hooks", "libhello"}},
	}
	u.dist.Sources = definition.Sources{Packages: []string{"hello-source"}}
	return u
}

// publish fills the archive: suites noble, noble-updates and noble-security with
// the components main, restricted and universe, packages compressed with zstd.
func (u *ubuntu) publish(t *testing.T, key *debtest.Key) {
	pkg := func(name, version, fields string, files ...debtest.File) debtest.Package {
		return debtest.Package{Name: name, Version: version, Architecture: "amd64", Fields: fields, Files: files, Compression: ".zst"}
	}
	hello := func(version string) debtest.Package {
		return pkg("hello", version, "Source: hello-source\nDepends: libhello (>= 1), hooks\nRecommends: suggestion\n",
			debtest.Regular("usr/bin/hello", "hello "+version), debtest.Regular("usr/share/doc/hello/copyright", "free"),
			debtest.Regular("usr/share/doc/hello/changelog", "old"))
	}
	hooks := pkg("hooks", "1", "Pre-Depends: libhello\n")
	hooks.Scripts = map[string]string{
		"preinst": "#!/bin/sh\nset -e\ngrep -q configured /var/lib/libhello\n" +
			"echo preinst of hooks after libhello is configured >/var/lib/hooks\n",
		"postinst": "#!/bin/sh\nset -e\necho postinst of hooks >>/var/lib/hooks\n" +
			"date >/var/log/alternatives.log\ndate >/etc/machine-id\n" +
			"/usr/sbin/policy-rc.d || echo $? >/var/lib/policy\n" +
			"grep : /proc/net/dev | cut -d : -f 1 >/var/lib/interfaces\n",
	}
	libhello := pkg("libhello", "1.0-1", "Source: hello-source\n")
	libhello.Scripts = map[string]string{"postinst": "#!/bin/sh\nset -e\necho configured >/var/lib/libhello\n"}

	add := func(component string, packages ...debtest.Package) string {
		var text strings.Builder
		for _, p := range packages {
			text.WriteString(u.archive.AddPackage(t, p, component))
		}
		return text.String()
	}
	source, tools := u.archive.AddSource, machineTools(t)
	noble := map[string]string{
		"main": add("main", baseFiles(), tools, machineApt(t, tools), libhello, hooks),
		"universe": add("universe", hello("1.0-1"), pkg("tool", "1", ""), pkg("suggestion", "1", ""),
			pkg("other", "1", "")),
		"restricted": "",
	}
	updates := map[string]string{
		"main": "", "restricted": "",
		"universe": add("universe", hello("1.0-1ubuntu0.1"), pkg("tool", "2", ""), pkg("tool", "3", "")),
	}
	security := map[string]string{"main": "", "restricted": "", "universe": add("universe", hello("1.0-1ubuntu0.2"))}
	sources := source("base-files", "13", "main") + source("machine-tools", "1", "main") + source("apt", "2.8", "main") +
		source("hello-source", "1.0-1", "main") + source("hooks", "1", "main")
	updated := source("tool", "2", "universe") + source("tool", "3", "universe") + source("hello-source", "1.0-1ubuntu0.1", "universe")
	secured := source("hello-source", "1.0-1ubuntu0.2", "universe")
	// As mirrors have it: in the index, but not in the pool.
	delete(u.archive, "pool/universe/t/tool/tool_3_amd64.deb")
	delete(u.archive, "pool/universe/h/hello-source/hello-source_1.0-1ubuntu0.2.tar.xz")
	delete(u.archive, "pool/universe/h/hello-source/hello-source_1.0-1ubuntu0.1.dsc")

	for i, s := range []struct {
		name              string
		packages, sources map[string]string
	}{
		{"noble", noble, map[string]string{"main": sources, "restricted": "", "universe": source("tool", "1", "universe")}},
		{"noble-updates", updates, map[string]string{"main": "", "restricted": "", "universe": updated}},
		{"noble-security", security, map[string]string{"main": "", "restricted": "", "universe": secured}},
	} {
		date := debtest.Date.Add(time.Duration(i) * time.Hour)
		u.archive.Publish(t, debtest.Suite{
			Name: s.name, Packages: s.packages, Sources: s.sources, Compression: ".xz", Architecture: "amd64", ByHash: i > 0,
			Head: fmt.Sprintf("Origin: Ubuntu\nLabel: Ubuntu\nSuite: %s\nVersion: 24.04\nCodename: noble\nDate: %s\n"+
				"Architectures: amd64 arm64\nComponents: main restricted universe\n", s.name, date.Format("Mon, 02 Jan 2006 15:04:05 UTC")),
		}, date.Add(time.Minute), key)
	}
}

func baseFiles() debtest.Package {
	dirs := []string{"dev", "etc", "proc", "run", "sys", "tmp", "usr", "usr/bin", "usr/lib", "usr/lib64", "usr/sbin", "var", "var/lib", "var/log"}
	p := debtest.Package{Name: "base-files", Version: "13", Architecture: "amd64", Fields: "Essential: yes\n", Compression: ".zst"}
	for _, d := range dirs {
		p.Files = append(p.Files, debtest.Dir(d))
	}
	for _, link := range []string{"bin", "lib", "lib64", "sbin"} {
		p.Files = append(p.Files, debtest.Symlink(link, "usr/"+link))
	}
	return p
}

// machineTools packs this machine's dpkg and what it and the scripts call.
func machineTools(t *testing.T) debtest.Package {
	p := debtest.Package{Name: "machine-tools", Version: "1", Architecture: "amd64", Fields: "Essential: yes\n", Compression: ".zst"}
	var programs []string
	for _, name := range []string{
		"dpkg", "dpkg-deb", "dpkg-split", "dpkg-query", "tar", "sh", "rm", "diff", "ldconfig", "start-stop-daemon", "grep", "date", "cat", "cut",
	} {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Fatalf("the test packs this machine's dpkg: %v", err)
		}
		programs = append(programs, path)
	}
	p.Files = append(pack(t, nil, programs...), debtest.Dir("var/lib/dpkg"))
	return p
}

// machineApt packs this machine's apt.
func machineApt(t *testing.T, tools debtest.Package) debtest.Package {
	p := debtest.Package{Name: "apt", Version: "2.8", Architecture: "amd64", Fields: "Depends: machine-tools\n", Compression: ".zst"}
	have := map[string]bool{}
	for _, f := range tools.Files {
		have["/"+f.Path] = true
	}
	methods, err := filepath.Glob("/usr/lib/apt/methods/*")
	if err != nil || len(methods) == 0 {
		t.Fatalf("the test packs this machine's apt, and finds no /usr/lib/apt/methods: %v", err)
	}
	tables, err := filepath.Glob("/usr/share/dpkg/*table")
	if err != nil {
		t.Fatal(err)
	}
	p.Files = pack(t, have, append(append(methods, tables...), "/usr/bin/apt-get")...)
	return p
}

// pack returns programs and the libraries that they load, each at its real path,
// without those in have.
func pack(t *testing.T, have map[string]bool, programs ...string) []debtest.File {
	t.Helper()
	paths := map[string]bool{}
	var files []debtest.File
	add := func(name string) {
		at := name
		if strings.HasPrefix(at, "/lib") || strings.HasPrefix(at, "/bin/") || strings.HasPrefix(at, "/sbin/") {
			at = "/usr" + at
		}
		if paths[at] || have[at] {
			return
		}
		paths[at] = true
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, debtest.Program(strings.TrimPrefix(at, "/"), string(content)))
	}
	for _, program := range programs {
		add(program)
		out, err := exec.Command("ldd", program).Output()
		if err != nil {
			continue // a script, or static
		}
		for _, word := range strings.Fields(string(out)) {
			if strings.HasPrefix(word, "/") {
				add(word)
			}
		}
	}
	return files
}
