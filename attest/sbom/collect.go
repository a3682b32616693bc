package sbom

import (
	"context"
	"crypto/md5" //nolint:gosec // dpkg lists files by it, nothing rests on it
	"debug/buildinfo"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"runtime"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/mastercard/mangos/format/dpkg"
	"github.com/mastercard/mangos/modules/debian/copyright"
	"github.com/mastercard/mangos/modules/image/fstree"
)

// Tree is a component's file system, put together, and where its parts are from.
type Tree struct {
	*fstree.Tree
	// Database is where dpkg's database lies; nil: in the tree.
	Database dpkg.Files
	// Base is the folder with the packages' files. What is in it and of no
	// package was made by what Configured says.
	Base, Configured string
	// Overlays maps the folders laid over it to what they are.
	Overlays map[string]string
	// Programs is an overlay that holds Go programs and nothing else.
	Programs string
	// Made says who made what is from no folder.
	Made string
}

// What the collector itself finds; before it or after it stands who did it.
const (
	nobody       = "in no package: "
	replaced     = "not as the package brought it: "
	alternatives = "; set by update-alternatives"
	databaseFile = "dpkg's database, "
	named        = "; named in "
	linked       = "; its target is of "
)

// Collect lists the files of a tree in a component, with its packages and their
// copyright files. It reads every file once.
func (t *Tree) Collect(ctx context.Context, c *Component) error {
	where := t.Database
	if where == nil {
		where = treeFiles{t.Tree}
	}
	database, err := dpkg.Read(where)
	if err != nil {
		return fmt.Errorf("collect %s: %w", c.Name, err)
	}
	o := owners{Tree: t, database: database}
	if database != nil {
		if o.sums, err = database.Sums(where); err != nil {
			return fmt.Errorf("collect %s: %w", c.Name, err)
		}
		if o.scripts, err = readScripts(where, database.Dir); err != nil {
			return fmt.Errorf("collect %s: %w", c.Name, err)
		}
	}
	c.Packages = database.Packages()
	if err := t.copyright(c); err != nil {
		return fmt.Errorf("collect %s: %w", c.Name, err)
	}
	var sources []*fstree.Entry
	for _, name := range t.Paths() {
		e := t.Get(name)
		if e.IsDir() {
			continue
		}
		if !e.IsRegular() && !e.IsSymlink() {
			return fmt.Errorf("collect %s: /%s is neither a file nor a symbolic link: %w", c.Name, name, ErrFile)
		}
		c.Files = append(c.Files, File{Path: name, Link: e.IsSymlink(), Target: e.Target})
		sources = append(sources, e)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i := range c.Files {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := o.file(&c.Files[i], sources[i]); err != nil {
				return fmt.Errorf("/%s: %w", c.Files[i].Path, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("collect %s: %w", c.Name, err)
	}
	return nil
}

// owners finds out whose a file is and where it is from.
type owners struct {
	*Tree
	database *dpkg.Database
	sums     map[string]string // absolute path to MD5
	scripts  []script
}

// file completes what is known of a file.
func (o *owners) file(f *File, e *fstree.Entry) error {
	known := o.sums["/"+f.Path]
	sum, err := digests(f, e, known != "")
	if err != nil {
		return err
	}
	owner, owned := o.database.Owner("/" + f.Path)
	if owned {
		f.Package = owner.Name
	}
	prefix := nobody
	if owned {
		prefix = replaced
	}
	switch overlay, over := o.Overlays[e.Origin]; {
	case o.Programs != "" && e.Origin == o.Programs && e.IsRegular():
		f.Package = ""
		f.Program, err = buildinfo.ReadFile(e.Source)
		return err
	case over:
		f.Origin = prefix + overlay
	case e.Origin == "":
		f.Origin = prefix + o.Made
	case e.Origin != o.Base:
		return fmt.Errorf("from the folder %s, of which nothing is known: %w", e.Origin, ErrFile)
	case dpkg.Contains("/" + f.Path):
		f.Origin = databaseFile + o.Configured
	case owned && known != "" && known != sum:
		f.Origin = replaced + o.Configured
	case !owned:
		f.Origin = nobody + o.Configured + o.hint(f)
	}
	return nil
}

// hint adds what can be said of a file that came about while packages were
// configured.
func (o *owners) hint(f *File) string {
	target := f.Target
	if f.Link && !path.IsAbs(target) {
		target = path.Join("/", path.Dir(f.Path), target)
	}
	if path.Dir(f.Path) == "etc/alternatives" || path.Dir(target) == "/etc/alternatives" {
		return alternatives
	}
	text := o.mentions(f.Path)
	if p, ok := o.database.Owner(target); ok && f.Link {
		text += linked + p.Name
	}
	return text
}

// digests hashes a file's content, or a link's target. It returns the MD5 where
// it is asked for.
func digests(f *File, e *fstree.Entry, withMD5 bool) (string, error) {
	d, three := newDigester(), md5.New() //nolint:gosec // see the imports
	w := io.Writer(d)
	if withMD5 {
		w = io.MultiWriter(d, three)
	}
	if e.IsSymlink() {
		io.WriteString(w, e.Target)
	} else if err := content(w, e); err != nil {
		return "", err
	}
	f.Digests = d.digests()
	return hex.EncodeToString(three.Sum(nil)), nil
}

// content writes what a regular file holds.
func content(w io.Writer, e *fstree.Entry) error {
	if e.Source == "" {
		_, err := w.Write(e.Data)
		return err
	}
	in, err := os.Open(e.Source)
	if err != nil {
		return err
	}
	defer in.Close()
	n, err := io.CopyBuffer(w, struct{ io.Reader }{in}, make([]byte, 256<<10))
	if err == nil && n != e.Size {
		err = fmt.Errorf("it changed while it was read: %w", ErrFile)
	}
	return err
}

// copyright reads the copyright files of a component's packages.
func (t *Tree) copyright(c *Component) error {
	if c.Copyright == nil {
		c.Copyright = map[string][]byte{}
	}
	return c.readCopyright(treeFiles{t.Tree}.Readlink, func(name string) ([]byte, error) {
		text, err := t.ReadFile(name, copyright.MaxSize)
		if errors.Is(err, fstree.ErrTree) {
			return nil, nil
		}
		return text, err
	})
}

// treeFiles lets dpkg's database be read from a tree.
type treeFiles struct{ *fstree.Tree }

// ReadFile implements [dpkg.Files].
func (t treeFiles) ReadFile(name string, limit int64) ([]byte, error) {
	if e := t.Get(name); e == nil || !e.IsRegular() {
		return nil, os.ErrNotExist
	}
	return t.Tree.ReadFile(name, limit)
}

// List implements [dpkg.Files].
func (t treeFiles) List(dir string) (names []string, err error) {
	for _, name := range t.Paths() {
		if path.Dir(name) == dir {
			names = append(names, path.Base(name))
		}
	}
	return names, nil
}

// Readlink implements [dpkg.Files].
func (t treeFiles) Readlink(name string) (string, error) {
	if e := t.Get(name); e != nil {
		return e.Target, nil
	}
	return "", nil
}

// script is a maintainer script.
type script struct{ name, text string }

// maxScript bounds a maintainer script, in bytes.
const maxScript = 4 << 20

func readScripts(files dpkg.Files, database string) ([]script, error) {
	info := database + "/info"
	names, err := files.List(info)
	if err != nil {
		return nil, err
	}
	var scripts []script
	for _, name := range names {
		switch path.Ext(name) {
		case ".preinst", ".postinst", ".config", ".triggers":
			text, err := files.ReadFile(info+"/"+name, maxScript)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			scripts = append(scripts, script{name, string(text)})
		}
	}
	return scripts, nil
}

// mentions names the maintainer scripts in which a path stands, or, if it stands
// in none, its folder. It is a fact about the scripts, and a hint for the reader.
func (o *owners) mentions(name string) string {
	for _, p := range []string{"/" + name, "/" + path.Dir(name)} {
		if strings.Count(p, "/") < 2 || p != "/"+name && strings.Count(p, "/") < 3 {
			continue
		}
		var list []string
		for _, s := range o.scripts {
			if stands(s.text, p) {
				list = append(list, s.name)
			}
		}
		if len(list) > 0 && len(list) <= 8 {
			return named + strings.Join(list, ", ")
		}
	}
	return ""
}

// stands reports whether a path stands in a text, not as a part of a longer name.
func stands(text, p string) bool {
	for {
		i := strings.Index(text, p)
		if i < 0 {
			return false
		}
		before, after := " ", " "
		if i > 0 {
			before = text[i-1 : i]
		}
		if text = text[i+len(p):]; text != "" {
			after = text[:1]
		}
		const word = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
		if !strings.Contains(word+"/", before) && !strings.Contains(word, after) {
			return true
		}
	}
}
