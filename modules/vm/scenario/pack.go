package scenario

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mastercard/mangos/format/gpt"
	"github.com/mastercard/mangos/modules/vm/disk"
	"github.com/mastercard/mangos/modules/vm/probe"
)

// exhibit is something in the folder of extensions, and what must become of it.
type exhibit struct {
	row  string
	file string // its name there
	path string // the file or folder that is put there
	mark string // what it would put into markFolder
	word string // the reason of its refusal, between brackets on the console; empty: it applies
}

// pack is a set of extensions, one of them good, that go onto the ESP together.
type pack []exhibit

// makePack makes the extensions of the second start. The first one has shown the counter 7
// of "sample" to the TPM.
func (t *Trial) makePack(ctx context.Context) (pack, error) {
	dir := filepath.Join(t.Lab.Work, t.Scenario.Name+".pack")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	for _, m := range []mark{
		{name: "good", purpose: "site", counter: 1},
		{name: "unsigned", purpose: "site", counter: 1},
		{name: "foreign", purpose: "site", counter: 1, keys: t.Lab.rogue},
		{name: "corrupt", purpose: "site", counter: 1},
		{name: "renamed", purpose: "site", counter: 1},
		{name: "sample", purpose: "site", counter: 6},
		{name: "tools", purpose: "debug", counter: 1},
		{name: "boss", purpose: "org", counter: 1},
		{name: "org", purpose: "org", counter: 1},
	} {
		m.mark, m.content = m.name, m.name
		if err := t.Lab.markExtension(ctx, in(m.name), m); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(
		t.Lab.foreignSysext(ctx, in("foreign-sysext")),
		changed(in("unsigned"), func(img *disk.Image) error { return img.SetSignature(nil) }),
		changed(in("corrupt"), corruptMark("corrupt")),
		writeConfext(in("folder"), "folder"),
		writeTree(in("mutable"), "mutable", []byte("mutable"), 0o644)); err != nil {
		return nil, err
	}
	return pack{
		{"extension-good", "good.confext.raw", in("good"), "good", ""},
		{"extension-unsigned", "unsigned.confext.raw", in("unsigned"), "unsigned", "signature"},
		{"extension-foreign", "foreign.confext.raw", in("foreign"), "foreign", "signature"},
		{"extension-corrupt", "corrupt.confext.raw", in("corrupt"), "corrupt", "signature"},
		{"extension-folder", "folder.confext.raw", in("folder"), "folder", "not-a-file"},
		{"extension-mutable", "etc.mutable", in("mutable"), "mutable", "name"},
		{"extension-renamed", "alias.confext.raw", in("renamed"), "renamed", "renamed"},
		{"extension-replayed", "sample.confext.raw", in("sample"), "sample", "replayed"},
		{"extension-debug", "tools.confext.raw", in("tools"), "tools", "purpose"},
		{"extension-org-purpose", "boss.confext.raw", in("boss"), "boss", "purpose"},
		{"extension-org", "org.confext.raw", in("org"), "org", ""},
		{"sysext-foreign", "foreign.sysext.raw", in("foreign-sysext"), "foreign-sysext", "signature"},
	}, nil
}

// corruptMark flips a byte in the file that the extension name would apply. The image's
// root partition is an erofs like the system's.
func corruptMark(name string) func(*disk.Image) error {
	return func(img *disk.Image) error {
		at, err := img.Data(markFolder + "/" + name)
		if errors.Is(err, disk.ErrNotFound) {
			// A short file lies within its inode's block, as all else does here.
			p, e := img.Partition(gpt.TypeRoot)
			if e != nil {
				return e
			}
			at, err = p.Start+p.Size-1, nil
		}
		if err != nil {
			return err
		}
		return img.Flip(at)
	}
}

func changed(path string, change func(*disk.Image) error) (err error) {
	img, err := disk.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, img.Close()) }()
	return change(img)
}

// put copies the pack onto the ESP.
func (p pack) put(ctx context.Context, img *disk.Image) error {
	esp, err := img.ESP()
	if err != nil {
		return err
	}
	for _, e := range p {
		if err := esp.Put(ctx, e.path, extensions+"/"+e.file); err != nil {
			return err
		}
	}
	return nil
}

// check looks at what was applied, and at the reasons that the console gives for the rest.
func (p pack) check(ctx context.Context, t *Trial, r *Run) error {
	marks, err := r.marks(ctx)
	if err != nil {
		return err
	}
	p.judge(r, marks, t.Expect)
	return nil
}

// foreignSysext makes a system extension that is signed with the rogue key.
func (l *Lab) foreignSysext(ctx context.Context, out string) error {
	tree := out + ".tree"
	if err := writeTree(tree, sysextMarkFolder[1:]+"/foreign-sysext", nil, 0o644); err != nil {
		return err
	}
	return l.extension(ctx, out, "sysext", "foreign", "site", 1, l.rogue, tree)
}

// judge wants the marks of the good extensions and of no other.
func (p pack) judge(r *Run, marks []string, expect expect) {
	for _, e := range p {
		applied := slices.Contains(marks, e.mark)
		if e.word == "" {
			expect(e.row, applied, "it was not applied, there are %q", marks)
			continue
		}
		expect(e.row, !applied, "it was applied")
		expect(e.row, r.refused(e.word, e.file), "the console has no line with %q and %q", refusal(e.word), e.file)
	}
}

// checkPlanted has extensions put where systemd merges from, past the gate, and wants the
// checker to have set them aside before the merge that follows.
func (t *Trial) checkPlanted(ctx context.Context, r *Run) error {
	if _, err := r.ask(ctx, probe.Plant, ""); err != nil {
		return err
	}
	marks, err := r.marks(ctx)
	if err != nil {
		return err
	}
	judgePlanted(r, marks, t.Expect)
	return nil
}

func judgePlanted(r *Run, marks []string, expect expect) {
	for row, word := range map[string]string{
		"planted-folder": "not-a-file", "planted-image": "not-approved", "planted-mutable": "mutable",
		"planted-sysext-folder": "not-a-file", "planted-sysext-image": "not-approved",
	} {
		expect(row, !slices.Contains(marks, row), "it was merged: %q", marks)
		expect(row, slices.Contains(marks, "good") && slices.Contains(marks, probeMark), "nothing of its class was merged: %q", marks)
		expect(row, r.refused(word, plantedPath(row)), "the console has no line with %q and %q: %s", refusal(word), plantedPath(row), r.tail())
	}
}

// plantedPath is the place of a row's plant, as the checker names it.
func plantedPath(row string) string {
	for name, place := range probe.Planted {
		if strings.HasPrefix(name, row) {
			return strings.TrimSuffix(strings.TrimPrefix(place, "/"), "/etc")
		}
	}
	return ""
}

func refusal(word string) string { return "refused [" + word + "]" }

// refused tells whether a line of the console refuses file for the reason word.
func (r *Run) refused(word, file string) bool {
	return slices.ContainsFunc(r.Lines, func(line string) bool {
		return strings.Contains(line, "extension "+refusal(word)) && strings.Contains(line, file)
	})
}

// tail returns the last lines of the console, for a message.
func (r *Run) tail() string {
	const n = 12
	return fmt.Sprintf("the console ends with %q", r.Lines[max(0, len(r.Lines)-n):])
}
