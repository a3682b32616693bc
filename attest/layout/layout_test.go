package layout

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/in-toto/in-toto-golang/in_toto"

	"github.com/mastercard/mangos/attest/pipeline"
	"github.com/mastercard/mangos/attest/record"
)

const (
	sumA = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	sumB = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

func key(n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
}

func example() (*pipeline.Pipeline, []*record.Record) {
	p, err := pipeline.Parse([]byte(`{"steps":[
		{"name":"source","what":"","products":[{"pattern":"source/lock","required":true},{"pattern":"source/*"}]},
		{"name":"build","what":"","materials":[{"pattern":"source/lock","from":"source","required":true},{"pattern":"source/*","from":"source"},{"pattern":"keys/*","from":"organisation"}],
		 "products":[{"pattern":"image","required":true}]}]}`))
	if err != nil {
		panic(err)
	}
	return p, []*record.Record{
		{Format: record.Format, Step: "source", Products: []record.Item{{Name: "source/lock", SHA256: sumA}, {Name: "source/other", SHA256: sumB}}},
		{Format: record.Format, Step: "build", Command: []string{"make"}, Materials: []record.Item{{Name: "source/lock", SHA256: sumA}, {Name: "keys/verity.crt", SHA256: sumB}}, Products: []record.Item{{Name: "image", SHA256: sumB}}},
	}
}

// release writes layout and links, after change has had its way with them.
type release struct {
	layout in_toto.Layout
	links  []in_toto.Link
	owner  ed25519.PrivateKey
	signer []ed25519.PrivateKey // of every link
	dir    string
	trust  Trust
}

func newRelease(t *testing.T) *release {
	t.Helper()
	p, records := example()
	l, err := New(p, []crypto.PublicKey{key(1).Public()}, 1, time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	r := &release{
		layout: l, owner: key(9), signer: []ed25519.PrivateKey{key(1)}, dir: t.TempDir(),
		trust: Trust{Owners: []crypto.PublicKey{key(9).Public()}, Threshold: 1, At: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC), Pipeline: p, Functionaries: []crypto.PublicKey{key(1).Public(), key(2).Public()}},
	}
	for _, rec := range records {
		r.links = append(r.links, NewLink(rec))
	}
	return r
}

func (r *release) write(t *testing.T) {
	t.Helper()
	data, err := Sign(r.layout, r.owner)
	if err != nil {
		t.Fatal(err)
	}
	r.put(t, FileName, data)
	for _, link := range r.links {
		for _, k := range r.signer {
			name, data, err := SignLink(link, k)
			if err != nil {
				t.Fatal(err)
			}
			r.put(t, name, data)
		}
	}
}

// files reads what was written.
func (r *release) files(t *testing.T) map[string][]byte {
	t.Helper()
	entries, err := os.ReadDir(r.dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, e := range entries {
		if files[e.Name()], err = os.ReadFile(filepath.Join(r.dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

func (r *release) put(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, name), data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestVerify(t *testing.T) {
	r := newRelease(t)
	r.write(t)
	got, err := Verify(r.files(t), r.trust)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Links) != 2 || len(got.Files) != 3 || len(got.Votes["build"]) != 1 {
		t.Errorf("%+v", got)
	}
}

// TestLibrary: in-toto-golang, all by itself, verifies what we write.
func TestLibrary(t *testing.T) {
	r := newRelease(t)
	r.write(t)
	if err := library(t, r); err != nil {
		t.Error(err)
	}
}

func library(t *testing.T, r *release) error {
	t.Helper()
	m, err := in_toto.LoadMetadata(filepath.Join(r.dir, FileName))
	if err != nil {
		return err
	}
	owner, err := Key(r.owner.Public())
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir()) // inspections would write here
	_, err = in_toto.InTotoVerify(m, map[string]in_toto.Key{owner.KeyID: owner}, r.dir, "", nil, nil, false)
	return err
}

// twoIDs gives key(1) a second id by other hash algorithms, as an attacker
// would to vote twice; the id is the one that follows from the content.
func twoIDs(t *testing.T, l *in_toto.Layout) {
	t.Helper()
	k, err := Key(key(1).Public())
	if err != nil {
		t.Fatal(err)
	}
	k.KeyIDHashAlgorithms = []string{"sha512"}
	if k.KeyID, err = keyID(k); err != nil {
		t.Fatal(err)
	}
	l.Keys[k.KeyID] = k
	for i := range l.Steps {
		l.Steps[i].PubKeys = append(l.Steps[i].PubKeys, k.KeyID)
		l.Steps[i].Threshold = 2
	}
}

// TestRefusals: what must be refused, most of which the library accepts.
func TestRefusals(t *testing.T) {
	two := func(t *testing.T, r *release) { // two functionaries, both needed
		p, _ := example()
		var err error
		r.layout, err = New(p, []crypto.PublicKey{key(1).Public(), key(2).Public()}, 2, time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC))
		if err != nil {
			t.Fatal(err)
		}
	}
	cases := []struct {
		name          string
		before, after func(t *testing.T, r *release) // the files are written
		want          error
	}{
		{"two of two", func(t *testing.T, r *release) { two(t, r); r.signer = append(r.signer, key(2)) }, nil, nil},
		{"one of two", two, nil, ErrThreshold},
		{"same key under a forged id", func(t *testing.T, r *release) {
			k, _ := Key(key(1).Public())
			k.KeyID = strings.Repeat("0", 64)
			r.layout.Keys[k.KeyID] = k
		}, nil, ErrRules},
		{"same key under two ids", func(t *testing.T, r *release) { twoIDs(t, &r.layout) }, nil, ErrRules},
		{"threshold 0", func(t *testing.T, r *release) { r.layout.Steps[0].Threshold = 0 }, nil, ErrRules},
		{"threshold above keys", func(t *testing.T, r *release) { r.layout.Steps[0].Threshold = 2 }, nil, ErrRules},
		{"expired", func(t *testing.T, r *release) { r.trust.At = time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC) }, nil, ErrExpired},
		{"another owner", func(t *testing.T, r *release) { r.owner = key(8) }, nil, ErrSignature},
		{"owner threshold 0", func(t *testing.T, r *release) { r.trust.Threshold = 0 }, nil, errAny},
		{"no final DISALLOW", func(t *testing.T, r *release) {
			s := &r.layout.Steps[1]
			s.ExpectedMaterials = s.ExpectedMaterials[:len(s.ExpectedMaterials)-1]
		}, nil, ErrRules},
		{"no rules", func(t *testing.T, r *release) { r.layout.Steps[1].ExpectedProducts = [][]string{} }, nil, ErrRules},
		{"an empty rule", func(t *testing.T, r *release) {
			r.layout.Steps[1].ExpectedProducts = [][]string{{}, {"DISALLOW", "*"}}
		}, nil, ErrRules},
		{"REQUIRE too late", func(t *testing.T, r *release) {
			r.layout.Steps[1].ExpectedProducts = [][]string{{"CREATE", "image"}, {"REQUIRE", "image"}, {"DISALLOW", "*"}}
		}, nil, ErrRules},
		{"MATCH from nowhere", func(t *testing.T, r *release) {
			r.layout.Steps[1].ExpectedProducts = [][]string{{"MATCH", "*", "WITH", "PRODUCTS", "FROM", "no"}, {"DISALLOW", "*"}}
		}, nil, ErrRules},
		{"ALLOW * in materials", func(t *testing.T, r *release) {
			r.layout.Steps[1].ExpectedMaterials = [][]string{{"ALLOW", "*"}, {"DISALLOW", "*"}}
		}, nil, ErrPipeline},
		{"ALLOW * in products", func(t *testing.T, r *release) {
			r.layout.Steps[1].ExpectedProducts = [][]string{{"REQUIRE", "image"}, {"ALLOW", "*"}, {"DISALLOW", "*"}}
		}, nil, ErrPipeline},
		{"DELETE * in materials", func(t *testing.T, r *release) {
			s := &r.layout.Steps[1]
			s.ExpectedMaterials = slices.Insert(s.ExpectedMaterials, 1, []string{"DELETE", "*"})
		}, nil, ErrPipeline},
		{"a REQUIRE less", func(t *testing.T, r *release) {
			s := &r.layout.Steps[1]
			s.ExpectedMaterials = s.ExpectedMaterials[1:]
		}, nil, ErrPipeline},
		{"a rule in lower case", func(t *testing.T, r *release) { r.layout.Steps[1].ExpectedProducts[0][0] = "require" }, nil, ErrPipeline},
		{"a step less", func(t *testing.T, r *release) { r.layout.Steps = r.layout.Steps[:1] }, nil, ErrPipeline},
		{"no pipeline", func(t *testing.T, r *release) { r.trust.Pipeline = nil }, nil, ErrPipeline},
		{"inspection", func(t *testing.T, r *release) {
			r.layout.Inspect = []in_toto.Inspection{{Type: "inspection", Run: []string{"true"}, SupplyChainItem: in_toto.SupplyChainItem{Name: "x"}}}
		}, nil, ErrRules},
		{"link of another step", nil, func(t *testing.T, r *release) {
			from, to := LinkName("source", idOf(t)), LinkName("build", idOf(t))
			data, err := os.ReadFile(filepath.Join(r.dir, from))
			if err != nil {
				t.Fatal(err)
			}
			r.put(t, to, data)
		}, ErrName},
		{"link of another release", func(t *testing.T, r *release) { r.links[1].Materials["source/lock"] = in_toto.HashObj{"sha256": sumB} }, nil, ErrArtifacts},
		{"input of nobody", func(t *testing.T, r *release) { r.links[1].Materials["x"] = in_toto.HashObj{"sha256": sumB} }, nil, ErrArtifacts},
		{"product of nobody", func(t *testing.T, r *release) { r.links[1].Products["x"] = in_toto.HashObj{"sha256": sumB} }, nil, ErrArtifacts},
		{"product missing", func(t *testing.T, r *release) { r.links[1].Products = map[string]in_toto.HashObj{} }, nil, ErrArtifacts},
		{"two digests", func(t *testing.T, r *release) { r.links[1].Products["image"]["gitBlob"] = strings.Repeat("0", 40) }, nil, ErrFormat},
		{"link missing", nil, func(t *testing.T, r *release) { os.Remove(filepath.Join(r.dir, LinkName("build", idOf(t)))) }, ErrThreshold},
		{"link by a stranger", func(t *testing.T, r *release) { r.signer = []ed25519.PrivateKey{key(3)} }, nil, ErrSignature},
		{"a stranger in the layout", func(t *testing.T, r *release) {
			p, _ := example()
			var err error
			if r.layout, err = New(p, []crypto.PublicKey{key(1).Public(), key(3).Public()}, 1, time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC)); err != nil {
				t.Fatal(err)
			}
			r.signer = []ed25519.PrivateKey{key(3)}
		}, nil, ErrStranger},
		{"no functionaries", func(t *testing.T, r *release) { r.trust.Functionaries = nil }, nil, ErrStranger},
		{"third dissents", func(t *testing.T, r *release) { two(t, r); r.signer = append(r.signer, key(2)) }, func(t *testing.T, r *release) {
			r.links[1].Products["image"] = in_toto.HashObj{"sha256": sumA}
			name, data, err := SignLink(r.links[1], key(2))
			if err != nil {
				t.Fatal(err)
			}
			r.put(t, name, data)
		}, ErrDissent},
		{"third had another command", func(t *testing.T, r *release) { two(t, r); r.signer = append(r.signer, key(2)) }, func(t *testing.T, r *release) {
			r.links[1].Command = append([]string{"env"}, r.links[1].Command...)
			name, data, err := SignLink(r.links[1], key(2))
			if err != nil {
				t.Fatal(err)
			}
			r.put(t, name, data)
		}, ErrDissent},
		{"byproducts", func(_ *testing.T, r *release) { r.links[1].ByProducts = map[string]any{"stdout": "x"} }, nil, ErrFormat},
		{"environment", func(_ *testing.T, r *release) { r.links[1].Environment = map[string]any{"PATH": "x"} }, nil, ErrFormat},
		{"duplicate key", nil, func(t *testing.T, r *release) { edit(t, r, `"threshold": 1`, `"threshold": 1, "threshold": 1`) }, ErrFormat},
		{"key in another case", nil, func(t *testing.T, r *release) { edit(t, r, `"threshold": 1`, `"Threshold": 1`) }, ErrFormat},
		{"unknown key", nil, func(t *testing.T, r *release) { edit(t, r, `"threshold": 1`, `"threshold": 1, "more": 1`) }, ErrFormat},
		{"changed layout", nil, func(t *testing.T, r *release) { edit(t, r, `"REQUIRE"`, `"ALLOW"`) }, ErrSignature},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := newRelease(t)
			if c.before != nil {
				c.before(t, r)
			}
			r.write(t)
			if c.after != nil {
				c.after(t, r)
			}
			_, err := Verify(r.files(t), r.trust)
			anything := errors.Is(c.want, errAny)
			if anything && err == nil || !anything && !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

var errAny = errors.New("any error")

func idOf(t *testing.T) string {
	t.Helper()
	k, err := Key(key(1).Public())
	if err != nil {
		t.Fatal(err)
	}
	return k.KeyID
}

// edit changes the first occurrence of a text in the written layout.
func edit(t *testing.T, r *release, from, to string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(r.dir, FileName))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(data, []byte(from)) {
		t.Fatalf("the layout has no %q", from)
	}
	r.put(t, FileName, bytes.Replace(data, []byte(from), []byte(to), 1))
}

// TestLibraryAccepts shows that the library alone would let these pass, which
// is why our rules exist; when it stops doing so, the rule is theirs too.
func TestLibraryAccepts(t *testing.T) {
	r := newRelease(t)
	k, err := Key(key(1).Public())
	if err != nil {
		t.Fatal(err)
	}
	k.KeyID = strings.Repeat("0", 64)
	r.layout.Keys[k.KeyID] = k
	for i := range r.layout.Steps {
		r.layout.Steps[i].PubKeys = append(r.layout.Steps[i].PubKeys, k.KeyID)
		r.layout.Steps[i].Threshold = 2
	}
	r.write(t)
	for _, link := range r.links { // the same signature under the second id
		data, err := os.ReadFile(filepath.Join(r.dir, LinkName(link.Name, idOf(t))))
		if err != nil {
			t.Fatal(err)
		}
		var m metablock[json.RawMessage]
		if err := json.Unmarshal(data, &m); err != nil {
			t.Fatal(err)
		}
		m.Signatures[0].KeyID = k.KeyID
		data, err = json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		r.put(t, LinkName(link.Name, k.KeyID), data)
	}
	if err := library(t, r); err != nil {
		t.Errorf("the library refuses one key under two ids: %v", err)
	}
	if _, err := Verify(r.files(t), r.trust); !errors.Is(err, ErrRules) {
		t.Errorf("we: %v, want ErrRules", err)
	}
}

func FuzzParse(f *testing.F) {
	p, records := example()
	l, err := New(p, []crypto.PublicKey{key(1).Public()}, 1, time.Unix(2e9, 0))
	if err != nil {
		f.Fatal(err)
	}
	data, err := Sign(l, key(9))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	_, data, err = SignLink(NewLink(records[1]), key(1))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		parseLink(data)
		if m, err := parse[in_toto.Layout](data); err == nil {
			check(&m.Signed)
		}
	})
}
