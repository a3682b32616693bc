package scenario

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"github.com/mastercard/mangos/format/verity"
	"github.com/mastercard/mangos/modules/vm/disk"
	"github.com/mastercard/mangos/modules/vm/probe"
)

// initProgram is PID 1; unreadFile is large, and nothing reads it while the system starts.
const (
	initProgram = "/usr/lib/systemd/systemd"
	unreadFile  = "/usr/sbin/mke2fs"
)

// corrupted is what the kernel says when it meets a block that does not match its hash.
const corrupted = "dm-verity device corrupted"

// flip flips a byte of a disk, and knows what the kernel will say of it.
type flip struct {
	find func(*disk.Image) (int64, error)
	// complaint names the block: of the data, or of the hash tree, which the kernel calls
	// metadata.
	complaint string
}

func (f *flip) vary(_ context.Context, img *disk.Image) error {
	at, err := f.find(img)
	if err != nil {
		return err
	}
	n, isHash, err := img.Block(at)
	if err != nil {
		return err
	}
	kind := "data"
	if isHash {
		kind = "metadata"
	}
	f.complaint = fmt.Sprintf(": %s block %d is corrupted", kind, n)
	return img.Flip(at)
}

// flipped is a scenario in which a byte of the disk is flipped that a start reads.
func flipped(name, about string, find func(*disk.Image) (int64, error)) *Scenario {
	return &Scenario{
		Name: name, About: about, Rows: []string{"panics"}, Minutes: 1,
		run: func(ctx context.Context, t *Trial) error {
			f := &flip{find: find}
			return t.with(ctx, boot{vary: f.vary}, func(r *Run) error {
				r.until(ctx)
				expectCorrupt(r, f.complaint, t.Expect)
				return nil
			})
		},
	}
}

// expectCorrupt wants the kernel to have stopped over the one block that does not match.
func expectCorrupt(r *Run, complaint string, expect expect) {
	expect("panics", r.Ending == Panic, "%s, but should: %s", r, Panic)
	for _, want := range []string{complaint, corrupted} {
		expect("panics", r.says(want), "the kernel did not say %q: %s", want, r.tail())
	}
}

var (
	corruptInit = flipped("corrupt-init", "a byte of PID 1 is flipped",
		func(img *disk.Image) (int64, error) { return img.Data(initProgram) })

	corruptHash = flipped("corrupt-hash", "a byte of the hash of a block of PID 1 is flipped",
		func(img *disk.Image) (int64, error) {
			at, err := img.Data(initProgram)
			if err != nil {
				return 0, err
			}
			return img.Hash(at)
		})
)

var corruptFile = &Scenario{
	Name:    "corrupt-file",
	About:   "a byte of a file is flipped that is not read while the system starts; then it is read",
	Rows:    []string{"starts", "panics"},
	Minutes: 1.5,
	run: func(ctx context.Context, t *Trial) error {
		f := &flip{find: func(img *disk.Image) (int64, error) { return img.Data(unreadFile) }}
		return t.with(ctx, boot{vary: f.vary}, func(r *Run) error {
			r.until(ctx)
			if !t.ExpectEnding("starts", r, Ready) {
				return nil
			}
			reply, err := r.ask(ctx, probe.Digest, unreadFile)
			if !errors.Is(err, ErrEnded) {
				t.Expect("panics", false, "reading the file gave %q, %v", reply.Digest, err)
				return nil
			}
			expectCorrupt(r, f.complaint, t.Expect)
			return nil
		})
	},
}

// What the kernel says of a root hash whose signature is by a key that it does not have, and
// of one whose signature is by a key that it has, but of other bytes.
var (
	unknownKey  = regexp.MustCompile(`Root hash verification failed \(-(ENOKEY|126)\)`)
	keyRejected = regexp.MustCompile(`Root hash verification failed \(-(EKEYREJECTED|129)\)`)
)

// signed is a scenario in which the root's signature is replaced.
func signed(name, about string, expected *regexp.Regexp, change func(context.Context, *Lab, *verity.Signature) (*verity.Signature, error)) *Scenario {
	return &Scenario{
		Name: name, About: about, Rows: []string{"refused"}, Minutes: 1,
		run: func(ctx context.Context, t *Trial) error {
			b := boot{deadline: stopDeadline, vary: func(ctx context.Context, img *disk.Image) error {
				old, err := img.Signature()
				if err != nil {
					return err
				}
				s, err := change(ctx, t.Lab, old)
				if err != nil {
					return err
				}
				return img.SetSignature(s)
			}}
			return t.with(ctx, b, func(r *Run) error {
				r.until(ctx)
				expectUnverified(r, expected, t.Expect)
				return nil
			})
		},
	}
}

// expectUnverified wants a machine to have stopped, saying what is expected of it, before it
// had a root.
func expectUnverified(r *Run, expected *regexp.Regexp, expect expect) {
	expect("refused", r.Ending == PowerOff || r.Ending == Reset, "%s, but should be switched off or reset: %s", r, r.tail())
	expect("refused", r.find(expected) != "", "no line of the console matches %s: %s", expected, r.tail())
	expect("refused", !r.says("Mounted sysroot.mount") && !r.says("Welcome to"), "the root was mounted: %s", r.tail())
}

var (
	signatureForeign = signed("signature-foreign", "the root hash is signed with another key", unknownKey,
		func(ctx context.Context, l *Lab, old *verity.Signature) (*verity.Signature, error) {
			return l.rogue.SignRoot(ctx, old.Root)
		})

	signatureMissing = signed("signature-missing", "the signature partition is empty",
		regexp.MustCompile(`mangos: refused \[(no|bad)-verity-signature\]`),
		func(context.Context, *Lab, *verity.Signature) (*verity.Signature, error) { return nil, nil })

	signatureOther = signed("signature-of-other", "the signature is the organisation's, but of other bytes", keyRejected,
		func(ctx context.Context, l *Lab, old *verity.Signature) (*verity.Signature, error) {
			s, err := l.own().SignRoot(ctx, verity.RootHash{1})
			if err == nil {
				s.Root = old.Root
			}
			return s, err
		})
)
