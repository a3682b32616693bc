package verify_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// TestDescriptors: a statement says more of a subject or a dependency than there is to
// hold it against, or something else; whoever signs statements says so.
func TestDescriptors(t *testing.T) {
	const subject, dependency = "subject", "resolvedDependencies"
	const more, uri = "which nothing is held against", "its uri is "
	set := func(member string, value any) func(d map[string]any) {
		return func(d map[string]any) { d[member] = value }
	}
	digest := func(algorithm, value string) func(d map[string]any) {
		return func(d map[string]any) { d["digest"].(map[string]any)[algorithm] = value }
	}
	o := newOriginal(t)
	first := o.firsts()
	for _, row := range []struct {
		name             string
		step, side, item string // item begins its name
		change           func(d map[string]any)
		check, detail    string
	}{
		{"the package URL of another Go module", "programs", dependency, "go/", set("uri", "pkg:golang/example.org/other@v1.0.0"), "statements", uri + `"pkg:golang/example.org/other@v1.0.0", and should be "pkg:golang/`},
		{"another package URL of a Go module that was fetched", "modules", subject, "go/", set("uri", "pkg:golang/example.org/other@v1.0.0"), "statements", uri + `"pkg:golang/example.org/other@v1.0.0", and should be "pkg:golang/`},
		{"a Go module without a package URL", "programs", dependency, "go/", func(d map[string]any) { delete(d, "uri") }, "statements", uri + `"", and should be "pkg:golang/`},
		{"a Go module by half a name", "programs", dependency, "go/", func(d map[string]any) { d["name"] = strings.TrimSuffix(d["name"].(string), ".zip") }, "statements", "is no archive of a Go module"},
		{"a URI of a file that is no package", "erofs", dependency, "root.tree", set("uri", "pkg:deb/debian/x@1"), "statements", uri + `"pkg:deb/debian/x@1", and should be ""`},
		{"a URI of a product that is no package", "erofs", subject, "root.erofs", set("uri", "https://example.com/root.erofs"), "statements", uri + `"https://example.com/root.erofs", and should be ""`},
		{"an unknown scheme", "erofs", dependency, "root.tree", set("uri", "x:y"), "statements", uri + `"x:y", and should be ""`},
		{"an unknown scheme of a package", "tree-root", dependency, "locked/", set("uri", "x:y"), "statements", uri + `"x:y", and should be one of pkg:deb/`},
		{"another package URL of a package", "tree-root", dependency, "locked/", set("uri", "pkg:deb/debian/x@1"), "lock", "(pkg:deb/debian/x@1), the lock says …(pkg:deb/"},
		{"another digest of a product", "erofs", subject, "root.erofs", digest("sha512", zeros+zeros), "statements", "it has the digests sha256, sha512, and only sha256 is held against anything"},
		{"another digest of a dependency", "erofs", dependency, "root.tree", digest("gitCommit", zeros), "statements", "it has the digests gitCommit, sha256, and only sha256 is held against anything"},
		{"the content of a dependency", "erofs", dependency, "root.tree", set("content", "eA=="), "statements", "it has a content of 1 bytes, " + more},
		{"the place of a dependency", "erofs", dependency, "root.tree", set("downloadLocation", "https://example.com/x"), "statements", `it has the downloadLocation "https://example.com/x", ` + more},
		{"the type of a product", "erofs", subject, "root.erofs", set("mediaType", "text/plain"), "statements", `it has the mediaType "text/plain", ` + more},
		{"an annotation of another kind", "erofs", dependency, "root.tree", set("annotations", map[string]any{"x": "y"}), "statements", "it has annotations, " + more},
		{"an annotation beside a known one", "tree-root", dependency, "program/", set("annotations", map[string]any{"use": "tool", "x": "y"}), "statements", "it has annotations, " + more},
		{"another use", "tree-root", dependency, "program/", set("annotations", map[string]any{"use": 1}), "statements", `its use is "1", and "tool" is all that is known`},
		{"a tool that is not said to be one", "tree-root", dependency, "program/", func(d map[string]any) { delete(d, "annotations") }, "statements", "it is a tool, and not said to be one"},
		{"what became part of it, as a tool", "erofs", dependency, "root.tree", set("annotations", map[string]any{"use": "tool"}), "statements", "it is said to be a tool, and is none"},
		{"a product as a tool", "programs", subject, "program/", set("annotations", map[string]any{"use": "tool"}), "statements", "it is said to be a tool, and is none"},
	} {
		if !first(row.check) {
			continue
		}
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			c := o.copy(t)
			name := c.redescribe(row.step, row.side, row.item, row.change)
			c.seal()
			want := name + "…" + row.detail
			if row.check == "statements" {
				want = row.step + ".sigstore.json: …" + want
			}
			if got := failed(t, c.run()); !says(got[row.check], want) {
				t.Errorf("the check %s should say %q; failed: %q", row.check, want, got)
			}
		})
	}
}

// redescribe changes what a step's statement says of the first subject or dependency
// whose name begins so, signs it, and returns the name.
func (c *copied) redescribe(step, side, item string, change func(d map[string]any)) string {
	c.t.Helper()
	d := json.NewDecoder(bytes.NewReader(c.payload(step)))
	d.UseNumber()
	var statement map[string]any
	if err := d.Decode(&statement); err != nil {
		c.t.Fatal(err)
	}
	holder := statement
	if side != "subject" {
		holder = statement["predicate"].(map[string]any)["buildDefinition"].(map[string]any)
	}
	list, _ := holder[side].([]any)
	for _, one := range list {
		d := one.(map[string]any)
		if !strings.HasPrefix(d["name"].(string), item) {
			continue
		}
		change(d)
		payload, err := json.Marshal(statement)
		if err != nil {
			c.t.Fatal(err)
		}
		c.state(step, payload, c.key())
		return d["name"].(string)
	}
	c.t.Fatalf("the step %s has no %s %s…", step, side, item)
	return ""
}
