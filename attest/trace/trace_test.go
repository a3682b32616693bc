package trace

import (
	"crypto"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/mastercard/mangos/attest/bundle"
	"github.com/mastercard/mangos/attest/dsse"
	"github.com/mastercard/mangos/attest/sbom"
)

// release lays out a release. It returns the folder and the key that signed.
func release(t testing.TB) (string, crypto.PublicKey) {
	t.Helper()
	w := newWorld(t)
	return w.dir, w.key.Public()
}

func TestTrace(t *testing.T) {
	w := newWorld(t)
	r := open(t, w.dir, Options{Keys: []crypto.PublicKey{w.key.Public()}})
	release, signer := w.lock.Suites[0].Release, w.archive.Fingerprint()
	commit := strings.Repeat("ab", 20)
	for asked, check := range map[string]func(*Result) bool{
		"/usr/bin/bash": func(x *Result) bool {
			return x.Component == "root" && x.SHA256 == digest("usr/bin/bash") && x.Origin == "" &&
				x.Package.Version == "5.2-2+b1" && strings.HasPrefix(x.Package.Licence, "GPL-3.0-or-later AND LicenseRef-own-") &&
				x.Source.Name == "bash" && len(x.Source.Files) == 2 && x.Source.Level == "commit" && x.Source.Commit == commit && x.Source.Proof == "git archive" &&
				x.Source.SWHID == "swh:1:dir:"+commit && x.Source.Tree == "bash.orig.tar.xz" &&
				x.Locked.Name == "bash.deb" && x.Locked.SHA256 == digest("bash.deb") && x.Locked.Release == release && x.Locked.Signed == signer &&
				x.Locked.Trust == NotChecked && x.Built[0].Signed != "" && x.Document.Listed &&
				x.Document.Checked && x.Document.Statement == "mangos_0.1.sbom"+bundle.Suffix
		},
		"root:/usr/bin/../bin//bash": func(x *Result) bool { return x.Path == "/usr/bin/bash" },
		"/usr/bin/sh": func(x *Result) bool {
			return x.Path == "/usr/bin/bash" && len(x.Links) == 1 && x.Links[0].Path == "/usr/bin/sh" && x.Links[0].Target == "bash"
		},
		"/etc/motd": func(x *Result) bool {
			return strings.Contains(x.Origin, "step tree-root") && x.Package == nil
		},
		"/usr/share/ü": func(x *Result) bool {
			return x.Package.Name == "libstdc++6" && x.Source.Level == "tree" && strings.Contains(x.Origin, "step erofs")
		},
		"/usr/lib/mangos/gate": func(x *Result) bool {
			return x.Program.Name == "gate" && len(x.Program.Modules) == 3 && x.Package == nil &&
				x.Program.SWHID == "swh:1:dir:"+programTree && !strings.Contains(x.Program.Build, "identity") &&
				strings.Contains(x.Text(), "source   swh:1:dir:"+programTree) && strings.Contains(x.Tree(), "source swh:1:dir:"+programTree)
		},
		"kernel": func(x *Result) bool {
			return x.Source.Name == "linux" && x.Source.Level == "version" && x.Source.Commit == ""
		},
		digest("usr/bin/bash"):     func(x *Result) bool { return x.Path == "/usr/bin/bash" },
		digest("bash.deb"):         func(x *Result) bool { return x.Package.Name == "bash" && x.Component == "" },
		digest("bash.orig.tar.xz"): func(x *Result) bool { return x.Source.Name == "bash" && x.Path == "bash.orig.tar.xz" },
		digest("bash.dsc"):         func(x *Result) bool { return x.Source.Name == "bash" && len(x.Built) == 0 },
		release:                    func(x *Result) bool { return x.Locked.Suite == "trixie" && x.Locked.Signed == signer },
		digest("root.erofs"):       func(x *Result) bool { return x.Component == "root" && len(x.Built) == 8 },
		"mangos_0.1.raw.zst": func(x *Result) bool {
			return x.SHA256 == digest("disk") && x.Released.Statement == "mangos_0.1.disk"+bundle.Suffix
		},
		digest("disk"): func(x *Result) bool { return x.Path == "mangos_0.1.raw.zst" && steps(x) == "disk" },
	} {
		x, err := r.Trace(asked)
		if err != nil {
			t.Errorf("%s: %v", asked, err)
			continue
		}
		if !check(x) {
			t.Errorf("%s: %+v", asked, *x)
		}
		onScreen(t, asked, x.Text())
		if tree := x.Tree(); !strings.Contains(tree, "└─ ") && len(x.Built) > 0 {
			t.Errorf("%s: no tree:\n%s", asked, tree)
		}
	}
	for _, asked := range []string{
		"/nope", "/usr/bin/bash/x", "initrd:/usr/bin/bash", "usr/bin/bash", "firmware", "", digest("nothing"),
		strings.ToUpper(digest("usr/bin/bash")), "mangos_0.2.efi",
	} {
		if x, err := r.Trace(asked); !errors.Is(err, ErrUnknown) {
			t.Errorf("%q is known: %+v, %v", asked, x, err)
		}
	}
}

// onScreen holds a text against the size of a screen.
func onScreen(t *testing.T, asked, text string) {
	t.Helper()
	rows := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(rows) > 25 {
		t.Errorf("%s: %d lines", asked, len(rows))
	}
	for _, row := range rows {
		if utf8.RuneCountInString(row) > 80 {
			t.Errorf("%s: %d columns: %s", asked, utf8.RuneCountInString(row), row)
		}
	}
}

// TestScreen: too much of everything still fits on a screen, and what matters most
// is on it.
func TestScreen(t *testing.T) {
	long := strings.Repeat("word ", 100)
	r := &Result{
		Asked: "/" + strings.Repeat("x", 300), Component: "root", Title: "root", Path: "/x", SHA256: digest("x"), Origin: long,
		Links: []Link{{"/a", "/b", "p", ""}, {"/b", "/c", "p", ""}}, Elsewhere: []string{"initrd:/x", "boot:/x", "kernel:/x"},
		Package: &Package{Name: "p", Version: "1", PURL: "pkg:deb/p", Licence: long},
		Source: &Source{Name: "p", Version: "1", Commit: "c", Proof: "proof", DebianCommit: "d", SWHID: "swh:1:dir:x", Tree: "p.tar", Declared: []string{"one", "two"},
			Files: []SourceFile{{"a", "1"}, {"b", "2"}, {"c", "3"}, {"d", "4"}, {"e", "5"}}},
		Locked: &Locked{Name: "p.deb", SHA256: digest("deb"), Suite: "s", Signed: "F1, F2", Trust: InPolicy},
		Built:  []Built{{Step: "erofs", Builder: builder, Bundle: "erofs.sigstore.json"}},
	}
	text := r.Text()
	onScreen(t, "much", text)
	for _, want := range []string{"signed by F1, checked", "signed by F2, checked", "by https://builder.example.com/", "see --json", "upstream commit c proven", "Debian's (dgit) commit d", digest("deb")} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not on the screen:\n%s", want, text)
		}
	}
}

// TestLock: what the bill of materials says of a package is held against the lock.
func TestLock(t *testing.T) {
	w := newWorld(t)
	dir, l := w.dir, w.lock
	trace := func() (*Result, error) {
		text, err := l.Encode()
		if err != nil {
			t.Fatal(err)
		}
		write(t, dir, "mangos_0.1.lock.json", string(text))
		return open(t, dir, Options{}).Trace("/usr/bin/bash")
	}
	x, err := trace()
	if err != nil || x.Locked.Lock != "mangos_0.1.lock.json" {
		t.Fatalf("%+v, %v", x, err)
	}
	for name, change := range map[string]func(){
		"another digest":  func() { l.Packages[0].SHA256 = digest("x") },
		"another version": func() { l.Packages[0].Version = "6" },
		"another Release": func() { l.Suites[0].Release = digest("x") },
		"other signers":   func() { l.Suites[0].Signers = []string{"F1", "F2"} },
		"no such package": func() { l.Packages[0].Name = "dash" },
		"another source":  func() { l.Sources[0].Files[0].SHA256 = digest("x") },
		"a file less":     func() { l.Sources[0].Files = l.Sources[0].Files[:1] },
	} {
		p, s, files := l.Packages[0], l.Suites[0], slices.Clone(l.Sources[0].Files)
		change()
		if _, err := trace(); !errors.Is(err, errLock) {
			t.Errorf("%s: %v", name, err)
		}
		l.Packages[0], l.Suites[0], l.Sources[0].Files = p, s, files
	}
}

func TestKeys(t *testing.T) {
	dir, _ := release(t)
	other, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, dir, Options{Keys: []crypto.PublicKey{other}}).Trace("/etc/motd"); !errors.Is(err, dsse.ErrSignature) {
		t.Errorf("a statement by another key: %v", err)
	}
	x, err := open(t, dir, Options{}).Trace("/etc/motd")
	if err != nil || x.Built[0].Signed != "" || !strings.Contains(x.Text(), "signatures not checked") {
		t.Errorf("no key: %+v, %v", x, err)
	}
	if err := os.Remove(filepath.Join(dir, "SHA256SUMS")); err != nil {
		t.Fatal(err)
	}
	names, _ := filepath.Glob(filepath.Join(dir, "*"+bundle.Suffix))
	for _, name := range names {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	x, err = open(t, dir, Options{}).Trace("/etc/motd")
	if err != nil || !strings.Contains(x.Text(), "by whom is not known") || !strings.Contains(x.Text(), "SHA256SUMS does not list") {
		t.Errorf("no statements: %v\n%s", err, x.Text())
	}
}

// TestPolicy: whose a key is, the policy says, and says it of keys that signed alone.
func TestPolicy(t *testing.T) {
	w := newWorld(t)
	key := w.key.Public()
	other, _, err := ed25519.GenerateKey(nil)
	must(t, err)
	trust := func(organisations []string, keys ...crypto.PublicKey) Options {
		o, p := w.checked(), *w.policy
		p.Statements.Keys, p.Statements.Organisations = keys, organisations
		o.Policy = &p
		return o
	}
	and := func(o Options, key crypto.PublicKey) Options {
		o.Keys = []crypto.PublicKey{key}
		return o
	}
	for name, row := range map[string]struct {
		o            Options
		trust        Trust
		organisation string
		signed       bool
		says         string
	}{
		"neither":                     {Options{}, NotChecked, "", false, "signatures not checked; --policy FILE tells whose they are"},
		"a key":                       {and(Options{}, key), NotChecked, "", true, "whose it is was not checked (--policy)"},
		"a policy":                    {trust([]string{"Other", "Example Bank"}, other, key), InPolicy, "Example Bank", true, "signed   by Example Bank (key "},
		"a policy of no names":        {trust(nil, key), InPolicy, "", true, "which the policy trusts and does not name"},
		"another's policy":            {trust([]string{"Other"}, other), NotInPolicy, "", false, "by no key of the policy: not in the policy"},
		"both":                        {and(trust([]string{"Example Bank"}, key), key), InPolicy, "Example Bank", true, "by Example Bank (key "},
		"a key, and another's policy": {and(trust([]string{"Other"}, other), key), NotInPolicy, "", true, ", not in the policy"},
	} {
		x, err := open(t, w.dir, row.o).Trace("/usr/bin/bash")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, b := range x.Built {
			if b.Trust != row.trust || b.Organisation != row.organisation || (b.Signed != "") != row.signed {
				t.Errorf("%s: %+v", name, b)
			}
		}
		if len(x.Built) == 0 || x.Untrusted() != (row.trust == NotInPolicy) || !strings.Contains(x.Text(), row.says) || !strings.Contains(x.Tree(), "signed") {
			t.Errorf("%s: untrusted %v\n%s%s", name, x.Untrusted(), x.Text(), x.Tree())
		}
		onScreen(t, name, x.Text())
	}
}

// TestVouched: with keys or a policy a trusted statement must have the bill of materials
// as a product; that all statements are gone, or that none is of this one, is no way out.
func TestVouched(t *testing.T) {
	statements := func(dir string) []string {
		names, err := filepath.Glob(filepath.Join(dir, "*"+bundle.Suffix))
		if err != nil || len(names) == 0 {
			t.Fatalf("statements: %v, %v", names, err)
		}
		return names
	}
	for name, row := range map[string]struct {
		change  func(t *testing.T, dir string)
		vouched bool
	}{
		"as it was made": {func(*testing.T, string) {}, true},
		"no statement at all": {func(t *testing.T, dir string) {
			for _, name := range statements(dir) {
				if err := os.Remove(name); err != nil {
					t.Fatal(err)
				}
			}
		}, false},
		"no statement of the step that made it": {func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, "mangos_0.1.sbom"+bundle.Suffix)); err != nil {
				t.Fatal(err)
			}
		}, false},
		"edited, and no step is named": {func(t *testing.T, dir string) {
			text, err := os.ReadFile(filepath.Join(dir, document))
			if err != nil {
				t.Fatal(err)
			}
			edited := strings.Replace(string(text), "in no package: made by step tree-root", "in no package", 1)
			if edited == string(text) {
				t.Fatal("nothing was edited")
			}
			write(t, dir, document, edited)
		}, false},
	} {
		w := newWorld(t)
		row.change(t, w.dir)
		for given, o := range map[string]Options{"neither": {}, "a key": {Keys: []crypto.PublicKey{w.key.Public()}}, "a policy": w.checked()} {
			x, err := open(t, w.dir, o).Trace("/etc/motd")
			if err != nil {
				t.Errorf("%s, %s: %v", name, given, err)
				continue
			}
			want := !row.vouched && given != "neither"
			says := strings.Contains(x.Text(), "no trusted statement has this "+document) && strings.Contains(x.Tree(), "no trusted statement has this "+document)
			if x.Untrusted() != want || says != want {
				t.Errorf("%s, %s: untrusted %v\n%s%s", name, given, x.Untrusted(), x.Text(), x.Tree())
			}
		}
	}
}

// TestHostile: documents that contradict themselves are refused, and what stands
// in them makes no line of its own.
func TestHostile(t *testing.T) {
	good, _ := release(t)
	text, err := os.ReadFile(filepath.Join(good, document))
	if err != nil {
		t.Fatal(err)
	}
	line := func(part string) string {
		for l := range strings.Lines(string(text)) {
			if strings.Contains(l, part) {
				return l
			}
		}
		t.Fatalf("no line with %s", part)
		return ""
	}
	contains := line(`"spdxElementId":"SPDXRef-root-deb-bash","relatedSpdxElement":"SPDXRef-root-file-`)
	for name, change := range map[string][2]string{
		"a path twice":          {line(`"fileName":"./usr/bin/bash"`), line(`"fileName":"./usr/bin/bash"`) + line(`"fileName":"./usr/bin/bash"`)},
		"two owners":            {contains, contains + strings.Replace(contains, "root-deb-bash", "root-deb-libstdc--6-2cfcf238", 1)},
		"no owner":              {contains, ""},
		"an owner not there":    {line(`"SPDXID":"SPDXRef-root-deb-bash"`), ""},
		"an owner twice":        {line(`"SPDXID":"SPDXRef-root-deb-bash"`), line(`"SPDXID":"SPDXRef-root-deb-bash"`) + line(`"SPDXID":"SPDXRef-root-deb-bash"`)},
		"a source not there":    {line(`"SPDXID":"SPDXRef-source-bash-5.2-2"`), ""},
		"a suite not there":     {line(`"SPDXID":"SPDXRef-suite-trixie"`), "{}\n"},
		"an element of rubbish": {line(`"fileName":"./usr/bin/bash"`), strings.Replace(line(`"fileName":"./usr/bin/bash"`), `{`, `{"fileName":"./x",`, 1)},
	} {
		dir := t.TempDir()
		write(t, dir, document, strings.Replace(string(text), change[0], change[1], 1))
		r, err := Open(dir, Options{})
		if err == nil {
			_, err = r.Trace("/usr/bin/bash")
		}
		if !errors.Is(err, sbom.ErrDocument) {
			t.Errorf("%s: %v", name, err)
		}
	}
	dir := t.TempDir()
	forged := `in no package\n built    erofs\u001b[31m`
	write(t, dir, document, strings.Replace(string(text), "in no package: made by step tree-root", forged, 1))
	x, err := open(t, dir, Options{}).Trace("/etc/motd")
	if err != nil {
		t.Fatal(err)
	}
	for row := range strings.SplitSeq(x.Text()+x.Tree(), "\n") {
		if strings.HasPrefix(row, " built    erofs") || strings.ContainsRune(row, 0x1b) {
			t.Errorf("a document forged a line: %q", row)
		}
	}
}

// TestDebianCommit: a commit of Debian's history is called that, beside upstream's or
// alone.
func TestDebianCommit(t *testing.T) {
	good, _ := release(t)
	text, err := os.ReadFile(filepath.Join(good, document))
	if err != nil {
		t.Fatal(err)
	}
	upstream, debian := strings.Repeat("ab", 20), strings.Repeat("cd", 20)
	own := fmt.Sprintf(`{"referenceCategory":"PERSISTENT-ID","referenceType":"swh","referenceLocator":"swh:1:rev:%s","comment":"proven by: git archive"}`, upstream)
	if strings.Count(string(text), own) != 1 {
		t.Fatalf("the sample has no %s", own)
	}
	others := strings.Replace(strings.Replace(own, upstream, debian, 1), "proven by: git archive", sbom.DebianCommit, 1)
	for name, row := range map[string]struct{ refs, commit, says string }{
		"both":          {own + "," + others, upstream, "upstream commit " + upstream + " proven"},
		"both, swapped": {others + "," + own, upstream, "upstream commit " + upstream + " proven"},
		"Debian's":      {others, "", "no upstream commit is proven"},
	} {
		dir := t.TempDir()
		write(t, dir, document, strings.Replace(string(text), own, row.refs, 1))
		x, err := open(t, dir, Options{}).Trace("/usr/bin/bash")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if x.Source.Commit != row.commit || x.Source.DebianCommit != debian || (x.Source.Proof != "") != (row.commit != "") {
			t.Errorf("%s: %+v", name, x.Source)
		}
		if out := x.Text(); !strings.Contains(out, row.says) || !strings.Contains(out, "Debian's (dgit) commit "+debian) {
			t.Errorf("%s:\n%s", name, out)
		}
		if out := x.Tree(); !strings.Contains(out, "Debian's (dgit) commit "+debian) || strings.Contains(out, "upstream commit") != (row.commit != "") {
			t.Errorf("%s:\n%s", name, out)
		}
		onScreen(t, name, x.Text())
	}
}

func TestNoRelease(t *testing.T) {
	if _, err := Open(t.TempDir(), Options{}); !errors.Is(err, ErrRelease) {
		t.Errorf("an empty folder: %v", err)
	}
	dir, _ := release(t)
	write(t, dir, "other"+Suffix, "{}")
	if _, err := Open(dir, Options{}); !errors.Is(err, ErrRelease) {
		t.Errorf("two bills of materials: %v", err)
	}
	dir = t.TempDir()
	for _, text := range []string{"", "{}", "{\n}\n", `{"spdxVersion":"SPDX-2.2"}`, "x", "{\n,\n\"files\":[\n"} {
		write(t, dir, document, text)
		if _, err := Open(dir, Options{}); !errors.Is(err, sbom.ErrDocument) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestLinks: a circle of links, and links that lead nowhere.
func TestLinks(t *testing.T) {
	good, _ := release(t)
	text, err := os.ReadFile(filepath.Join(good, document))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write(t, dir, document, strings.Replace(string(text), "symbolic link to bash", "symbolic link to sh", 1))
	r := open(t, dir, Options{})
	if _, err := r.Trace("/usr/bin/sh"); !errors.Is(err, ErrUnknown) {
		t.Errorf("a circle: %v", err)
	}
	write(t, dir, document, strings.Replace(string(text), "symbolic link to bash", "symbolic link to /dev/null", 1))
	x, err := open(t, dir, Options{}).Trace("/usr/bin/sh")
	if err != nil || x.Path != "/usr/bin/sh" || !slices.Contains(x.Links, Link{Path: "/usr/bin/sh", Target: "/dev/null"}) {
		t.Errorf("a link out of the image: %+v, %v", x, err)
	}
}

func FuzzOpen(f *testing.F) {
	text, err := os.ReadFile(filepath.Join("..", "sbom", "testdata", "small.spdx.json"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		write(t, dir, document, string(data))
		r, err := Open(dir, Options{})
		if err != nil {
			return
		}
		for _, asked := range []string{"/usr/bin/sh", "kernel", digest("bash.deb"), digest("Release")} {
			if x, err := r.Trace(asked); err == nil {
				x.Text()
				x.Tree()
			}
		}
	})
}
