// Package extension decides which system and configuration extensions this
// machine merges: images that the kernel verified with the certificate inside
// it, whose signed metadata say that they are what their file name says, that
// the policy wants here, and that are not older than what was seen before.
//
// An extension travels so: the gate copies it from the ESP to Inbox; Admit looks
// into it and moves it to the folder that systemd-sysext or systemd-confext
// merges from; Check, before each merge, makes sure that these folders hold
// nothing that Admit did not put there.
package extension

import (
	"errors"
	"fmt"
	"strings"

	"github.com/mastercard/mangos/runtime/console"
)

// Folders and limits that the gate and the checker share.
const (
	// Source is the folder of the ESP that extensions are taken from.
	Source = "mangos/extensions"
	// Inbox is where the gate puts them, relative to the root.
	Inbox = "run/mangos/extensions"

	// MaxFiles and MaxEntries bound what is taken, and what is looked at, in
	// one folder.
	MaxFiles   = 16
	MaxEntries = 256
	// MaxSize and MaxTotal are in bytes: /run is memory.
	MaxSize  = 64 << 20
	MaxTotal = 128 << 20
)

// Class is the kind of an extension.
type Class string

// The two classes, by the names that systemd gives their files.
const (
	Confext Class = "confext"
	Sysext  Class = "sysext"
)

// ID names an extension.
type ID struct {
	Class Class
	Name  string
}

// String gives "confext org".
func (id ID) String() string { return string(id.Class) + " " + id.Name }

// FileName gives "org.confext.raw".
func (id ID) FileName() string { return id.Name + "." + string(id.Class) + ".raw" }

// maxName keeps names short enough for every place that they stand in.
const maxName = 31

// ParseFileName reads NAME.CLASS.raw, where NAME begins with a letter or digit
// and goes on with those and dashes, all of them lower case.
func ParseFileName(file string) (ID, error) {
	stem, ok := strings.CutSuffix(file, ".raw")
	name, class, dot := strings.Cut(stem, ".")
	id := ID{Class: Class(class), Name: name}
	if !ok || !dot || (id.Class != Confext && id.Class != Sysext) || !validName(name) {
		return ID{}, refuse(BadName, "its name is not NAME.confext.raw or NAME.sysext.raw with a NAME of at most %d lower-case letters, digits and dashes", maxName)
	}
	return id, nil
}

func validName(name string) bool {
	if name == "" || len(name) > maxName || name[0] == '-' {
		return false
	}
	for _, c := range name {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// A Refusal says why an extension is not used. Word is short and stable, for
// programs; Sentence is for people.
type Refusal struct {
	Word     string
	Sentence string
}

// The words of refusals.
const (
	NotAFile    = "not-a-file"
	BadName     = "name"
	TooLarge    = "too-large"
	TooMany     = "too-many"
	Unsigned    = "signature"
	BadMetadata = "metadata"
	Renamed     = "renamed"
	BadPurpose  = "purpose"
	Replayed    = "replayed"
	NoMemory    = "no-memory"
	NotApproved = "not-approved"
	Mutable     = "mutable"
)

func (r *Refusal) Error() string { return fmt.Sprintf("[%s]: %s", r.Word, r.Sentence) }

func refuse(word, format string, args ...any) *Refusal {
	return &Refusal{Word: word, Sentence: fmt.Sprintf(format, args...)}
}

// Refused gives the sentence that tells people about a refused file.
func Refused(file string, err error) string {
	var r *Refusal
	if !errors.As(err, &r) {
		r = refuse("failed", "%v", err)
	}
	return fmt.Sprintf("extension refused [%s]: %s: %s", r.Word, console.Quote(file, 80), r.Sentence)
}
