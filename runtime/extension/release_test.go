package extension

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
)

// word returns the word of a refusal, "" for no error, "?" for another one.
func word(err error) string {
	var r *Refusal
	switch {
	case err == nil:
		return ""
	case errors.As(err, &r):
		return r.Word
	}
	return "?"
}

func TestParseFileName(t *testing.T) {
	for file, want := range map[string]ID{
		"org.confext.raw":                        {Confext, "org"},
		"probe-2.sysext.raw":                     {Sysext, "probe-2"},
		"org.raw":                                {},
		"org.confext.raw.v":                      {},
		"org.portable.raw":                       {},
		".org.confext.raw":                       {},
		"Org.confext.raw":                        {},
		"-org.confext.raw":                       {},
		"a.b.confext.raw":                        {},
		"../x.confext.raw":                       {},
		strings.Repeat("a", 32) + ".confext.raw": {},
		"":                                       {},
		"org.confext.raw\n":                      {},
		"extension-release.org.confext.raw.sysext": {},
	} {
		got, err := ParseFileName(file)
		if got != want || (want == ID{}) != (word(err) == BadName) {
			t.Errorf("%q: %v, %v", file, got, err)
		}
		if err == nil && got.FileName() != file {
			t.Errorf("%q became %q", file, got.FileName())
		}
	}
}

func TestParse(t *testing.T) {
	got, err := Parse([]byte("# comment\n\nID=mangos\nNAME=\"a b; c\"\nEMPTY=\nQ='x'\n_A1=1"))
	want := Assignments{"ID": "mangos", "NAME": "a b; c", "EMPTY": "", "Q": "x", "_A1": "1"}
	if err != nil || !maps.Equal(got, want) {
		t.Fatalf("%v, %v", got, err)
	}
	for _, bad := range []string{
		"ID", "=x", "1A=x", "A B=x", "ID=a b", "ID=\"a", "ID=a\"", "ID=\"a\"b\"", "ID=$(x)", "ID=a\\",
		"ID=\"a\\\"b\"", "ID=x\nID=y", "ID=x\x00", "ID=\tx", "ID=x\r\n", " ID=x", "ID=a'b'", "ID=\"a\nb\"",
		"ID=" + strings.Repeat("x", maxVariable+1), strings.Repeat("#\n", maxRelease), "export ID=x", "ID=é",
	} {
		if got, err := Parse([]byte(bad)); !errors.Is(err, ErrSyntax) {
			t.Errorf("%.40q gave %v, %v", bad, got, err)
		}
	}
}

// TestDescribe: what an extension says of itself, wherever it is for.
func TestDescribe(t *testing.T) {
	const text = "ID=elsewhere\nMANGOS_EXTENSION_NAME=a\nMANGOS_EXTENSION_PURPOSE=site\nMANGOS_EXTENSION_COUNTER=7\n"
	if m, err := Describe(ID{Sysext, "a"}, []byte(text)); err != nil || m != (Metadata{"a", "site", 7, "elsewhere"}) {
		t.Errorf("%v, %v", m, err)
	}
	for _, row := range []struct {
		id         ID
		text, word string
	}{
		{ID{Sysext, "b"}, text, Renamed},
		{ID{Confext, "a"}, strings.Replace(text, "site", "org", 1), BadPurpose},
		{ID{Confext, "a"}, strings.Replace(text, "COUNTER=7", "COUNTER=0", 1), BadMetadata},
		{ID{Confext, "a"}, text + "ID=another\n", BadMetadata},
	} {
		if m, err := Describe(row.id, []byte(row.text)); word(err) != row.word {
			t.Errorf("%s: %v, %v; want %s", row.id, m, err, row.word)
		}
	}
}

func TestMetadata(t *testing.T) {
	good := Assignments{"MANGOS_EXTENSION_NAME": "a", "MANGOS_EXTENSION_PURPOSE": "site", "MANGOS_EXTENSION_COUNTER": "7"}
	if m, err := metadata(good); err != nil || m != (Metadata{Name: "a", Purpose: "site", Counter: 7}) {
		t.Fatalf("%v, %v", m, err)
	}
	for name := range good {
		less := maps.Clone(good)
		delete(less, name)
		if _, err := metadata(less); word(err) != BadMetadata {
			t.Errorf("without %s: %v", name, err)
		}
	}
	for _, n := range []string{"0", "-1", "+1", "01", "1.0", "9223372036854775808", "0x1", "1_000", " 1"} {
		bad := maps.Clone(good)
		bad["MANGOS_EXTENSION_COUNTER"] = n
		if _, err := metadata(bad); word(err) != BadMetadata {
			t.Errorf("counter %q: %v", n, err)
		}
	}
}

func TestCompatible(t *testing.T) {
	host := Assignments{"ID": "mangos", "VERSION_ID": "7", "CONFEXT_LEVEL": "1"}
	for _, c := range []struct {
		release string
		want    string
	}{
		{"ID=_any", ""},
		{"ID=mangos\nCONFEXT_LEVEL=1", ""},
		{"ID=mangos\nCONFEXT_LEVEL=2\nVERSION_ID=7", BadMetadata},
		{"ID=mangos\nVERSION_ID=7", ""},
		{"ID=mangos\nVERSION_ID=6", BadMetadata},
		{"ID=mangos\nSYSEXT_LEVEL=1", BadMetadata},
		{"ID=debian\nVERSION_ID=7", BadMetadata},
		{"VERSION_ID=7", BadMetadata},
	} {
		release, err := Parse([]byte(c.release))
		if err != nil {
			t.Fatal(err)
		}
		if got := word(compatible(Confext, release, host)); got != c.want {
			t.Errorf("%q: %q, want %q", c.release, got, c.want)
		}
	}
}

func TestPolicy(t *testing.T) {
	p, err := ParsePolicy([]byte("PURPOSES=\"org site\"\nREQUIRED=\"confext/org sysext/agent\"\n"))
	if err != nil || len(p.Required) != 2 || p.Required[1] != (ID{Sysext, "agent"}) {
		t.Fatalf("%v, %v", p, err)
	}
	for _, bad := range []string{"PURPOSE=x", "REQUIRED=org", "REQUIRED=confext/Org", "REQUIRED=other/org", "REQUIRED=confext/a/b", "x"} {
		if _, err := ParsePolicy([]byte(bad)); !errors.Is(err, ErrSyntax) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	for _, c := range []struct {
		id   ID
		m    Metadata
		want string
	}{
		{ID{Confext, "org"}, Metadata{Name: "org", Purpose: "org", Counter: 1}, ""},
		{ID{Confext, "a"}, Metadata{Name: "a", Purpose: "site", Counter: 1}, ""},
		{ID{Sysext, "a"}, Metadata{Name: "a", Purpose: "site", Counter: 1}, ""},
		{ID{Confext, "a"}, Metadata{Name: "b", Purpose: "site", Counter: 1}, Renamed},
		{ID{Confext, "org"}, Metadata{Name: "debug", Purpose: "debug", Counter: 1}, Renamed},
		{ID{Confext, "debug"}, Metadata{Name: "debug", Purpose: "debug", Counter: 1}, BadPurpose},
		{ID{Confext, "org"}, Metadata{Name: "org", Purpose: "site", Counter: 1}, BadPurpose},
		{ID{Sysext, "org"}, Metadata{Name: "org", Purpose: "org", Counter: 1}, BadPurpose},
		{ID{Confext, "a"}, Metadata{Name: "a", Purpose: "org", Counter: 1}, BadPurpose},
	} {
		if got := word(p.allows(c.id, c.m)); got != c.want {
			t.Errorf("%v, %v: %q, want %q", c.id, c.m, got, c.want)
		}
	}
}

func TestCounters(t *testing.T) {
	c := &Counters{}
	org := ID{Confext, "org"}
	for _, step := range []struct {
		to      uint64
		changed bool
		seen    uint64
	}{{3, true, 3}, {3, false, 3}, {2, false, 3}, {1 << 62, true, 1 << 62}} {
		changed, err := c.raise(org, step.to)
		if err != nil || changed != step.changed || c.Seen(org) != step.seen {
			t.Fatalf("raise to %d: %v, %v, seen %d", step.to, changed, err, c.Seen(org))
		}
	}
	if c.Seen(ID{Sysext, "org"}) != 0 {
		t.Error("the classes are not kept apart")
	}
	again, err := parseCounters(c.encode())
	if err != nil || *again != *c {
		t.Fatalf("%v, %v", again, err)
	}
	for i := 1; i < tableEntries; i++ {
		if _, err := c.raise(ID{Confext, strings.Repeat("x", i)}, 1); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.raise(ID{Confext, "another"}, 1); !errors.Is(err, ErrFull) {
		t.Errorf("a full table: %v", err)
	}
	if _, err := c.raise(org, 1<<62+1); err != nil {
		t.Errorf("a full table refuses a name it knows: %v", err)
	}
}

func TestCountersDamaged(t *testing.T) {
	c := &Counters{}
	if _, err := c.raise(ID{Confext, "org"}, 5); err != nil {
		t.Fatal(err)
	}
	raw := c.encode()
	for i := range raw {
		raw[i] ^= 1
		if _, err := parseCounters(raw); !errors.Is(err, ErrCounters) {
			t.Fatalf("byte %d flipped: %v", i, err)
		}
		raw[i] ^= 1
	}
	for _, bad := range [][]byte{{}, raw[1:], append(raw, 0), make([]byte, tableSize)} {
		if _, err := parseCounters(bad); !errors.Is(err, ErrCounters) {
			t.Fatalf("%d bytes: %v", len(bad), err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("ID=mangos\nNAME=\"a b\"\n# x\n"))
	f.Add([]byte("MANGOS_EXTENSION_NAME=a\nMANGOS_EXTENSION_PURPOSE=site\nMANGOS_EXTENSION_COUNTER=1\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		all, err := Parse(text)
		if err != nil {
			return
		}
		for name, value := range all {
			if !validVariable(name) || strings.ContainsAny(value, "\n\x00\\$`\"'") || len(value) > maxVariable {
				t.Fatalf("accepted %q=%q", name, value)
			}
		}
		if m, err := metadata(all); err == nil && (m.Counter == 0 || m.Name == "") {
			t.Fatalf("accepted %v", m)
		}
	})
}

func FuzzFileName(f *testing.F) {
	f.Add("org.confext.raw")
	f.Fuzz(func(t *testing.T, file string) {
		if id, err := ParseFileName(file); err == nil && (id.FileName() != file || strings.ContainsAny(file, "/ \x00")) {
			t.Fatalf("accepted %q as %v", file, id)
		}
	})
}

func FuzzCounters(f *testing.F) {
	f.Add((&Counters{}).encode())
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := parseCounters(raw)
		if err == nil && raw != nil && string(c.encode()) != string(raw) {
			t.Fatal("a table does not survive being read")
		}
	})
}

func FuzzParsePolicy(f *testing.F) {
	f.Add([]byte("PURPOSES=\"org site\"\nREQUIRED=confext/org\n"))
	f.Add([]byte("REQUIRED=confext/../x\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := ParsePolicy(text)
		if err != nil {
			if !errors.Is(err, ErrSyntax) {
				t.Fatal(err)
			}
			return
		}
		for _, id := range p.Required {
			if again, err := ParseFileName(id.FileName()); err != nil || again != id {
				t.Fatalf("requires %q, %v", id, err)
			}
		}
		if slices.Contains(p.Purposes, "") {
			t.Fatalf("takes extensions without a purpose: %q", p.Purposes)
		}
	})
}
