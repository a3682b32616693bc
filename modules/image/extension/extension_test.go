package extension

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/mastercard/mangos/modules/image/imagetest"
)

const meta = "etc/extension-release.d/extension-release.org"

func options(t *testing.T, files map[string]string) Options {
	return Options{Tree: imagetest.Lay(t, files), Class: Confext, Name: "org", Purpose: "org", Counter: 3, ID: "mangos", Epoch: 1}
}

func TestMetadata(t *testing.T) {
	want := "ID=mangos\nCONFEXT_LEVEL=1\nMANGOS_EXTENSION_NAME=org\nMANGOS_EXTENSION_PURPOSE=org\nMANGOS_EXTENSION_COUNTER=3\n"
	for name, c := range map[string]struct {
		given string
		want  string
	}{
		"none given":     {"", want},
		"a part given":   {"# mine\nID=\"mangos\"\nEXTRA=1\n", "ID=\"mangos\"\nEXTRA=1\nCONFEXT_LEVEL=1\nMANGOS_EXTENSION_NAME=org\nMANGOS_EXTENSION_PURPOSE=org\nMANGOS_EXTENSION_COUNTER=3\n"},
		"the same given": {want, want},
	} {
		files := map[string]string{"etc/motd": "hello"}
		if c.given != "" {
			files[meta] = c.given
		}
		tree, err := options(t, files).tree()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, err := tree.ReadFile(meta, 1000); err != nil || string(got) != c.want {
			t.Errorf("%s: %q, %v, want %q", name, got, err, c.want)
		}
	}
}

func TestReload(t *testing.T) {
	o := options(t, map[string]string{"etc/motd": "x"})
	o.Reload = true
	tree, err := o.tree()
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := tree.ReadFile(meta, 1000); !strings.Contains(string(got), "\nEXTENSION_RELOAD_MANAGER=1\n") {
		t.Errorf("%s", got)
	}
}

func TestRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		files  map[string]string
		change func(*Options)
	}{
		"another name in the metadata":    {files: map[string]string{meta: "MANGOS_EXTENSION_NAME=site\n"}},
		"another purpose":                 {files: map[string]string{meta: "MANGOS_EXTENSION_PURPOSE=debug\n"}},
		"another counter":                 {files: map[string]string{meta: "MANGOS_EXTENSION_COUNTER=9\n"}},
		"another system":                  {files: map[string]string{meta: "ID=debian\n"}},
		"a name given twice":              {files: map[string]string{meta: "ID=mangos\nID=mangos\n"}},
		"metadata that is none":           {files: map[string]string{meta: "hello\n"}},
		"metadata of another extension":   {files: map[string]string{"etc/extension-release.d/extension-release.x": "ID=mangos\n"}},
		"a program in a confext":          {files: map[string]string{"usr/bin/x": "x"}},
		"a file at the top":               {files: map[string]string{"x": "x"}},
		"configuration in a sysext":       {change: func(o *Options) { o.Class = Sysext }},
		"no class":                        {change: func(o *Options) { o.Class = "portable" }},
		"no counter":                      {change: func(o *Options) { o.Counter = 0 }},
		"the largest counter":             {change: func(o *Options) { o.Counter = math.MaxInt64 }},
		"a name that is a path":           {change: func(o *Options) { o.Name = "../x" }},
		"a name in upper case":            {change: func(o *Options) { o.Name = "Org" }},
		"a name that is too long":         {change: func(o *Options) { o.Name = strings.Repeat("x", 32) }},
		"a purpose with a line end in it": {change: func(o *Options) { o.Purpose = "org\nX=1" }},
	} {
		files := map[string]string{"etc/motd": "x"}
		for k, v := range c.files {
			files[k] = v
		}
		o := options(t, files)
		if c.change != nil {
			c.change(&o)
		}
		if _, err := o.tree(); !errors.Is(err, ErrExtension) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParseRelease(f *testing.F) {
	f.Add("ID=mangos\nNAME=\"x y\"\n# comment\n")
	f.Fuzz(func(t *testing.T, text string) {
		values := map[string]string{}
		lines, err := parseRelease(text, values)
		if err == nil && len(lines) != len(values) {
			t.Errorf("%d lines, %d values", len(lines), len(values))
		}
	})
}
