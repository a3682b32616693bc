package update

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/mastercard/mangos/runtime/version"
)

// An Entry is a version that the boot loader can start: a unified kernel image,
// named PRODUCT_VERSION[+LEFT[-DONE]].efi. The counter is systemd-boot's.
type Entry struct {
	// Product is the image's name, with "-tryout" behind it where that is one.
	Product string `json:"-"`
	Version string `json:"-"`
	// Left is how many starts the version has to prove good; 0 when it is bad, -1
	// when it proved good.
	Left int `json:"left"`
	// Done is how many starts were counted.
	Done int `json:"done"`
	// File is the name that it was read from.
	File string `json:"file"`
}

var (
	entryFile = regexp.MustCompile(`^([a-z][a-z0-9-]*)_([a-z0-9][a-z0-9.~^-]*)$`)
	// counter is what systemd-boot takes for one. Its numbers are small.
	counter = regexp.MustCompile(`^([0-9]{1,4})(?:-([0-9]{1,4}))?$`)
)

// good is Left where there is no counter.
const good = -1

// ParseEntry reads the name of a file. ok is false for one that is not of our form.
func ParseEntry(file string) (e Entry, ok bool) {
	name, isEFI := strings.CutSuffix(file, ".efi")
	if !isEFI {
		return Entry{}, false
	}
	name, count, counted := strings.Cut(name, "+")
	e = Entry{Left: good, File: file}
	if counted {
		m := counter.FindStringSubmatch(count)
		if m == nil {
			return Entry{}, false
		}
		e.Left, _ = strconv.Atoi(m[1])
		e.Done, _ = strconv.Atoi(m[2]) // none is zero
	}
	m := entryFile.FindStringSubmatch(name)
	if m == nil {
		return Entry{}, false
	}
	e.Product, e.Version = m[1], m[2]
	return e, true
}

// id is what the boot loader calls the entry: its file's name without the counter.
func (e Entry) id() string { return e.Product + "_" + e.Version + ".efi" }

// bad is the file's name when the version counts as bad after that many starts. The
// second number stands there even when it is 0: systemd-sysupdate's patterns of
// names want both, or would take the counter for a part of the version.
func (e Entry) bad(done int) string {
	return fmt.Sprintf("%s_%s+0-%d.efi", e.Product, e.Version, done)
}

// Good says whether the version proved good.
func (e Entry) Good() bool { return e.Left == good }

// Bad says whether the boot loader takes it only when there is nothing else.
func (e Entry) Bad() bool { return e.Left == 0 }

// String says how the version does.
func (e Entry) String() string {
	switch {
	case e.Good():
		return "good"
	case e.Left > 0:
		return fmt.Sprintf("on trial, %s left", starts(e.Left))
	case e.Done > 0:
		return fmt.Sprintf("bad after %s", starts(e.Done))
	}
	return "set aside"
}

func starts(n int) string {
	if n == 1 {
		return "1 start"
	}
	return fmt.Sprintf("%d starts", n)
}

// sortEntries brings entries into systemd-boot's order, the one that it starts
// first: bad ones last, then the newest version, then the more tries left.
func sortEntries(all []Entry) {
	slices.SortStableFunc(all, func(a, b Entry) int {
		return cmp.Or(
			compareBool(a.Bad(), b.Bad()),
			-version.Compare(a.Version, b.Version),
			-version.Compare(a.id(), b.id()),
			-cmp.Compare(a.Left, b.Left),
			cmp.Compare(a.Done, b.Done),
		)
	})
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}
