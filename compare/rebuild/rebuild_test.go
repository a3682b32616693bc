package rebuild

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mastercard/mangos/compare/checklist"
	"github.com/mastercard/mangos/modules/sandbox/trace"
)

func lay(t testing.TB, dir string, files map[string]string) string {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func items(t testing.TB, name, place string) []trace.Item {
	t.Helper()
	list, err := trace.Items(t.Context(), name, place)
	if err != nil {
		t.Fatal(err)
	}
	for i := range list {
		list[i].Path = "/elsewhere" + list[i].Name
	}
	return list
}

// good is a second build of two steps, with nothing wrong.
func good(t testing.TB) *Rebuild {
	files := map[string]string{"set/root": "root", "set/tree": "tree"}
	r := &Rebuild{First: lay(t, t.TempDir(), files), Second: lay(t, t.TempDir(), files), Given: []string{"/packages"}, Since: time.Now()}
	now := r.Since.Add(time.Second)
	usual := trace.World{Hostname: "mangos", User: "0:0", Time: now, Zone: "UTC", Locale: "C.UTF-8", Umask: "0022", Processors: 2, Folder: "/", Home: "/root"}
	seen := trace.World{Hostname: "other", User: "1:1", Login: "me", Time: now.Add(9999 * time.Hour), Zone: "X", Locale: "C", Umask: "0002", Processors: 1, Folder: "/", Home: "/home"}
	packages := lay(t, t.TempDir(), map[string]string{"a.deb": "a"})
	r.Steps = []trace.Step{
		{Command: []string{"/usr/bin/image", "root"}, Started: now, Ended: now.Add(time.Second), Usual: usual, Seen: seen,
			Inputs: items(t, "/packages", packages), Results: items(t, "/out", r.Second+"/set/root")},
		{Command: []string{"/usr/bin/image", "verity"}, Started: now, Ended: now, Usual: usual, Seen: seen,
			Inputs: items(t, "/in/root", r.Second+"/set/root"), Results: items(t, "/out", r.Second+"/set/tree")},
	}
	return r
}

func check(t testing.TB, r *Rebuild) (list *checklist.List, text string) {
	t.Helper()
	list, err := r.Check(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := list.Write(&out); err != nil {
		t.Fatal(err)
	}
	return list, out.String()
}

func TestGood(t *testing.T) {
	list, text := check(t, good(t))
	if passed, _ := list.Counts(); !list.OK() || passed != 1+len(properties)+2+2+2*2 {
		t.Errorf("%s", text)
	}
}

// TestFaults puts one fault into a good second build; exactly that is reported.
func TestFaults(t *testing.T) {
	for name, c := range map[string]struct {
		fault func(r *Rebuild)
		says  []string
	}{
		"did not run": {func(r *Rebuild) { r.Steps = nil }, []string{
			"steps: the second build did not run", "set/root: not made by the second build", "set/tree: not made"}},
		"ran for another check": {func(r *Rebuild) { r.Since = r.Since.Add(time.Minute) }, []string{
			"steps: not of this build, for which was asked at"}},
		"one step from a cache": {func(r *Rebuild) { r.Steps = r.Steps[1:] }, []string{
			"inputs of image verity: /in/root: not made by the second build", "set/root: not made"}},
		"an input from a cache": {func(r *Rebuild) { r.Steps[1].Inputs[0].SHA256 = strings.Repeat("0", 64) }, []string{
			"inputs of image verity: /in/root: not made"}},
		"a file instead of a tree": {func(r *Rebuild) { r.Steps[0].Results[0].Kind = trace.Tree }, []string{
			"inputs of image verity: /in/root: not made", "set/root: not made"}},
		"an input that is not given": {func(r *Rebuild) { r.Given = []string{"/pack"} }, []string{
			"inputs of image root: /packages/a.deb: not made"}},
		"no known input": {func(r *Rebuild) { r.Steps[0].Inputs = nil }, []string{"inputs of image root: none is known"}},
		"a byte": {func(r *Rebuild) { lay(t, r.Second, map[string]string{"set/tree": "tre3"}) }, []string{
			"set/tree: differs: sha256 dc9c5edb", "set/tree: not made"}},
		"a file is missing":      {func(r *Rebuild) { os.Remove(r.Second + "/set/tree") }, []string{"set/tree: the second build did not make it"}},
		"a file too many":        {func(r *Rebuild) { os.Remove(r.First + "/set/tree") }, []string{"set/tree: only the second build made it"}},
		"nothing":                {func(r *Rebuild) { os.RemoveAll(r.First + "/set"); os.RemoveAll(r.Second + "/set") }, []string{"files: the first build has none"}},
		"the same host name":     {func(r *Rebuild) { r.Steps[1].Seen.Hostname = "mangos" }, []string{`host name: as usual in image verity ("mangos")`}},
		"the same user":          {func(r *Rebuild) { r.Steps[1].Seen.User = "0:0" }, []string{"user: as usual in image verity"}},
		"the same login name":    {func(r *Rebuild) { r.Steps[1].Seen.Login = "" }, []string{"login name: as usual in image verity"}},
		"the same time":          {func(r *Rebuild) { r.Steps[1].Seen.Time = r.Steps[1].Usual.Time.Add(time.Hour) }, []string{"time: as usual in image verity"}},
		"the same time zone":     {func(r *Rebuild) { r.Steps[1].Seen.Zone = "UTC" }, []string{"time zone: as usual in image verity"}},
		"the same locale":        {func(r *Rebuild) { r.Steps[1].Seen.Locale = "C.UTF-8" }, []string{"locale: as usual in image verity"}},
		"the same umask":         {func(r *Rebuild) { r.Steps[1].Seen.Umask = "0022" }, []string{"umask: as usual in image verity"}},
		"the same processors":    {func(r *Rebuild) { r.Steps[1].Seen.Processors = 2 }, []string{`processors: as usual in image verity ("2")`}},
		"the same cache":         {func(r *Rebuild) { r.Steps[1].Seen.Home = "/root" }, []string{"cache and home: as usual in image verity"}},
		"the same checkout path": {func(r *Rebuild) { r.Steps[0].Results[0].Path = "/out" }, []string{`checkout path: as usual in image root ("/out")`}},
	} {
		r := good(t)
		c.fault(r)
		list, text := check(t, r)
		if _, failed := list.Counts(); failed != len(c.says) {
			t.Errorf("%s: wanted %d failed rows:\n%s", name, len(c.says), text)
		}
		for _, says := range c.says {
			if !strings.Contains(text, "FAIL "+says) {
				t.Errorf("%s: no row %q in\n%s", name, says, text)
			}
		}
	}
}

// TestNest: a step that makes sandboxes may be root, and must not be in the usual
// world otherwise.
func TestNest(t *testing.T) {
	r := good(t)
	r.Steps[0].Nest, r.Steps[0].Seen.User = true, "0:0"
	if list, text := check(t, r); !list.OK() || !strings.Contains(text, "in 1 steps; as usual in image root") {
		t.Errorf("%s", text)
	}
	r.Steps[1].Nest, r.Steps[1].Seen.User = true, "0:0"
	if _, text := check(t, r); !strings.Contains(text, "FAIL user: as usual in every step") {
		t.Errorf("%s", text)
	}
	r.Steps[0].Seen.Umask = "0022"
	if _, text := check(t, r); !strings.Contains(text, "FAIL umask: as usual in image root") {
		t.Errorf("%s", text)
	}
}

// TestPath: a difference inside of an image is reported with its path there.
func TestPath(t *testing.T) {
	r := good(t)
	for place, content := range map[string]string{r.First: "PATH=/a\n", r.Second: "PATH=/b\n"} {
		tree := lay(t, t.TempDir(), map[string]string{"etc/same": "same", "etc/profile": content})
		image := filepath.Join(place, "set/root")
		if err := os.Remove(image); err != nil {
			t.Fatal(err)
		}
		mkfs := exec.Command("mkfs.erofs", "--quiet", "-T1700000000", "--all-root", "-U11111111-1111-1111-1111-111111111111", image, tree)
		if _, err := exec.LookPath("mkfs.erofs"); err != nil {
			t.Skip("needs the program mkfs.erofs")
		}
		if out, err := mkfs.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	if _, text := check(t, r); !strings.Contains(text, "FAIL set/root: differs") || !strings.Contains(text, "etc/profile") || strings.Contains(text, "etc/same") {
		t.Errorf("%s", text)
	}
}

// TestOtherFiles: what is no regular file is refused, not passed over.
func TestOtherFiles(t *testing.T) {
	r := good(t)
	if err := os.Symlink("root", r.Second+"/set/link"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "set/link is no regular file") {
		t.Errorf("got %v", err)
	}
}

// TestTree: a folder NAME.tree is one thing, whose links and modes count.
func TestTree(t *testing.T) {
	with := func(change func(second string)) string {
		r := good(t)
		for _, place := range []string{r.First, r.Second} {
			lay(t, filepath.Join(place, "tools.tree"), map[string]string{"bin/a": "a", "bin/b": "b"})
			if err := os.Symlink("a", filepath.Join(place, "tools.tree/bin/c")); err != nil {
				t.Fatal(err)
			}
		}
		change(filepath.Join(r.Second, "tools.tree"))
		r.Steps[0].Results = append(r.Steps[0].Results, items(t, "/out/tools.tree", r.Second+"/tools.tree")...)
		_, text := check(t, r)
		return text
	}
	if text := with(func(string) {}); strings.Contains(text, "FAIL") || !strings.Contains(text, "tools.tree: the same, 4 entries") ||
		!strings.Contains(text, "tools.tree: made by `image root`") {
		t.Errorf("%s", text)
	}
	for name, change := range map[string]func(string) error{
		"bin/a": func(tree string) error { return os.Chmod(tree+"/bin/a", 0o755) },
		"bin/b": func(tree string) error { return os.WriteFile(tree+"/bin/b", []byte("x"), 0o644) },
		"bin/c": func(tree string) error { return os.Remove(tree + "/bin/c") },
		"bin/d": func(tree string) error { return os.Symlink("a", tree+"/bin/d") },
	} {
		text := with(func(tree string) {
			if err := change(tree); err != nil {
				t.Fatal(err)
			}
		})
		if !strings.Contains(text, "FAIL tools.tree: differs") || !strings.Contains(text, "  "+name+"\n") {
			t.Errorf("%s:\n%s", name, text)
		}
	}
	// From a cache: no step of the second build made it.
	r := good(t)
	for _, place := range []string{r.First, r.Second} {
		lay(t, filepath.Join(place, "tools.tree"), map[string]string{"bin/a": "a"})
	}
	if _, text := check(t, r); !strings.Contains(text, "FAIL tools.tree: not made by the second build") {
		t.Errorf("%s", text)
	}
}
