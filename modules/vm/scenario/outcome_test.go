package scenario

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mastercard/mangos/modules/vm/probe"
)

// outcome collects which rows fail.
type outcome struct {
	t      *testing.T
	rows   []string
	failed []string
}

func (o *outcome) expect(row string, ok bool, format string, args ...any) {
	if s := fmt.Sprintf(format, args...); strings.Contains(s, "%!") {
		o.t.Errorf("row %s: %s", row, s)
	}
	o.rows = append(o.rows, row)
	if !ok && !slices.Contains(o.failed, row) {
		o.failed = append(o.failed, row)
	}
}

// What a machine shows that goes on where it should have stopped.
var (
	gateRefused = []string{"mangos: refused [pcr-12]: something was added"}
	started     = []string{"EFI stub: UEFI Secure Boot is enabled.", "Linux version 6.12", "mangos: gate passed", "Mounted sysroot.mount", "Welcome to mangos"}
)

// Each attack's row passes when the machine stops as it must, and fails when it stops in
// another way, for another reason or not at all.
func TestAttacks(t *testing.T) {
	stop := func(r *Run, e expect) { expectStop("row", r, "pcr-12", e) }
	foreignRoot := func(r *Run, e expect) { expectUnverified(r, unknownKey, e) }
	otherRoot := func(r *Run, e expect) { expectUnverified(r, keyRejected, e) }
	corrupt := func(r *Run, e expect) { expectCorrupt(r, ": data block 12 is corrupted", e) }
	missing := func(r *Run, e expect) {
		expectUnverified(r, regexp.MustCompile(`refused \[(no|bad)-verity-signature\]`), e)
	}
	deny := func(r *Run, e expect) { expectDenied("row", r, e) }
	panicked := []string{"device-mapper: verity: 254:2: data block 12 is corrupted", "Kernel panic - not syncing: dm-verity device corrupted"}
	foreign := []string{"device-mapper: table: 254:0: verity: Root hash verification failed (-ENOKEY)"}
	rejected := []string{"device-mapper: table: 254:0: verity: Root hash verification failed (-EKEYREJECTED)"}
	for name, c := range map[string]struct {
		judge  func(*Run, expect)
		ending Ending
		lines  []string
		passes bool
	}{
		"gate stops":                    {stop, PowerOff, gateRefused, true},
		"gate passes":                   {stop, Ready, started, false},
		"gate says so but goes on":      {stop, PowerOff, slices.Concat(gateRefused, started), false},
		"gate refuses something else":   {stop, PowerOff, []string{"mangos: refused [no-tpm]"}, false},
		"gate reboots":                  {stop, Reset, gateRefused, false},
		"nothing happens":               {stop, Deadline, gateRefused, false},
		"root corrupt":                  {corrupt, Panic, panicked, true},
		"hash tree corrupt":             {corrupt, Panic, []string{"device-mapper: verity: 254:2: metadata block 12 is corrupted", panicked[1]}, false},
		"another block corrupt":         {corrupt, Panic, []string{"device-mapper: verity: 254:2: data block 1 is corrupted", panicked[1]}, false},
		"another panic":                 {corrupt, Panic, []string{"VFS: Unable to mount root fs"}, false},
		"corruption ignored":            {corrupt, Ready, panicked, false},
		"corruption ends in a shell":    {corrupt, Shell, panicked, false},
		"foreign signature":             {foreignRoot, Reset, foreign, true},
		"foreign signature, rejected":   {foreignRoot, Reset, rejected, false},
		"signature of other bytes":      {otherRoot, Reset, rejected, true},
		"signature of others, foreign":  {otherRoot, Reset, foreign, false},
		"bad signature, root mounted":   {foreignRoot, PowerOff, slices.Concat(foreign, started), false},
		"bad signature, shell":          {foreignRoot, Shell, foreign, false},
		"bad signature, system started": {foreignRoot, Ready, started, false},
		"stopped without a word":        {foreignRoot, PowerOff, nil, false},
		"no signature":                  {missing, PowerOff, []string{"mangos: refused [no-verity-signature]: none"}, true},
		"no signature, not noticed":     {missing, Ready, started, false},
		"program denied":                {deny, Denied, []string{"Access Denied"}, true},
		"program ran":                   {deny, Ready, started, false},
		"denied, another one ran":       {deny, Denied, started, false},
	} {
		o := &outcome{t: t}
		c.judge(&Run{Ending: c.ending, Lines: c.lines}, o.expect)
		if passes := len(o.failed) == 0; passes != c.passes || len(o.rows) == 0 {
			t.Errorf("%s: passes %v, want %v", name, passes, c.passes)
		}
	}
}

// An extension's row fails when it was merged, and when nobody said why it was not.
func TestPack(t *testing.T) {
	p := pack{{"good", "good.confext.raw", "", "good", ""}, {"bad", "bad.confext.raw", "", "bad", "signature"}}
	refused := []string{"mangos: extension refused [signature]: bad.confext.raw: no"}
	for name, c := range map[string]struct {
		marks, lines, want []string
	}{
		"as it must be":      {[]string{"good"}, refused, nil},
		"bad one merged":     {[]string{"bad", "good"}, refused, []string{"bad"}},
		"silent":             {[]string{"good"}, nil, []string{"bad"}},
		"another reason":     {[]string{"good"}, []string{"extension refused [name]: bad.confext.raw"}, []string{"bad"}},
		"good one not taken": {nil, refused, []string{"good"}},
	} {
		o := &outcome{t: t}
		p.judge(&Run{Lines: c.lines}, c.marks, o.expect)
		if !slices.Equal(o.failed, c.want) {
			t.Errorf("%s: %q fail, want %q", name, o.failed, c.want)
		}
	}
}

func TestPlanted(t *testing.T) {
	refused := []string{
		"extension refused [not-a-file]: var/lib/confexts/planted-folder: x",
		"extension refused [not-approved]: run/confexts/planted-image.raw: x",
		"extension refused [mutable]: var/lib/extensions.mutable: x",
		"extension refused [not-a-file]: var/lib/extensions/planted-sysext-folder: x",
		"extension refused [not-approved]: run/extensions/planted-sysext-image.raw: x",
	}
	rows := []string{"planted-folder", "planted-image", "planted-mutable", "planted-sysext-folder", "planted-sysext-image"}
	merged := []string{"good", probeMark}
	for name, c := range map[string]struct {
		marks, lines, want []string
	}{
		"as it must be":  {merged, refused, nil},
		"all merged":     {slices.Concat(rows, merged), refused, rows},
		"silent":         {merged, nil, rows},
		"nothing merged": {nil, refused, rows},
		"no sysext":      {merged[:1], refused, rows},
		"folder merged":  {append([]string{"planted-folder"}, merged...), refused, rows[:1]},
	} {
		o := &outcome{t: t}
		judgePlanted(&Run{Lines: c.lines}, c.marks, o.expect)
		slices.Sort(o.failed)
		if !slices.Equal(o.failed, c.want) {
			t.Errorf("%s: %q fail, want %q", name, o.failed, c.want)
		}
	}
}

func TestPlaintext(t *testing.T) {
	const none = "Filename\tType\tSize"
	volatile := "1 2 0:1 / /var rw - tmpfs tmpfs rw\n"
	for name, c := range map[string]struct {
		units         []string
		mounts, swaps string
		want          []string
	}{
		"nothing made":       {[]string{"var.mount"}, volatile, none, nil},
		"disk not refused":   {[]string{"boot.automount", "var.mount"}, volatile, none, []string{"plaintext-var"}},
		"encrypted":          {nil, "1 2 0:1 / /var rw - ext4 /dev/mapper/var rw\n", none, nil},
		"/var mounted":       {nil, "1 2 0:1 / /var rw - erofs /dev/vda5 rw\n", none, []string{"plaintext-var"}},
		"/var/tmp mounted":   {nil, volatile + "1 2 0:1 / /var/tmp rw - erofs /dev/vda6 rw\n", none, []string{"plaintext-tmp"}},
		"a unit for it":      {[]string{"var-tmp.mount"}, volatile, none, []string{"plaintext-tmp"}},
		"a unit for swap":    {[]string{"dev-vda7.swap"}, volatile, none, []string{"plaintext-swap"}},
		"swap without units": {nil, volatile, none + "\n/dev/vda7 partition 1", []string{"plaintext-swap"}},
	} {
		o := &outcome{t: t}
		checkPlaintext(&probe.Facts{Mounts: c.mounts, Swaps: c.swaps}, c.units, o.expect)
		if !slices.Equal(o.failed, c.want) {
			t.Errorf("%s: %q fail, want %q", name, o.failed, c.want)
		}
	}
}

func TestConfext(t *testing.T) {
	for mounts, want := range map[string][]string{
		"1 2 0:1 / /etc ro,nosuid,nodev,noexec - overlay overlay ro\n": nil,
		"1 2 0:1 / /etc ro,nosuid,nodev - overlay overlay ro\n":        {"extension"},
		"1 2 0:1 / /etc rw,noexec - overlay overlay rw\n":              {"extension"},
		"1 2 0:1 / / ro - erofs root ro\n":                             {"extension"},
	} {
		o := &outcome{t: t}
		checkConfext(&probe.Facts{Mounts: mounts}, o.expect)
		if !slices.Equal(o.failed, want) {
			t.Errorf("%q: %q fail, want %q", mounts, o.failed, want)
		}
	}
}

func TestCredentials(t *testing.T) {
	both := []string{"fw-cfg-credentials", "smbios-credentials"}
	for name, c := range map[string]struct {
		facts probe.Facts
		lines []string
		want  []string
	}{
		"none":     {probe.Facts{}, nil, nil},
		"unit ran": {probe.Facts{}, []string{credentialMark + " by SMBIOS"}, both[1:]},
		"tmpfiles": {probe.Facts{}, []string{credentialMark + " by fw_cfg"}, both[:1]},
		"imported": {probe.Facts{Credentials: []string{"x"}}, nil, both},
		"no sight": {probe.Facts{Errors: map[string]string{"credentials": "denied"}}, nil, both},
	} {
		o := &outcome{t: t}
		checkCredentials(&c.facts, &Run{Lines: c.lines}, o.expect)
		slices.Sort(o.failed)
		if !slices.Equal(o.failed, c.want) {
			t.Errorf("%s: %q fail, want %q", name, o.failed, c.want)
		}
	}
}
