package scenario

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/mastercard/mangos/modules/vm/machine"
	"github.com/mastercard/mangos/modules/vm/probe"
)

// credentialMark is what only an attacker's credentials bring to the console.
const credentialMark = "mangos-evil-credential" //nolint:gosec // no credential of anything

// evilUnit is a unit, as a credential, that shows itself on the console.
func evilUnit(from string) string {
	return "[Unit]\nDescription=" + credentialMark + " by " + from + "\n[Service]\nType=oneshot\nExecStart=/usr/bin/cat /etc/os-release\nStandardOutput=tty\nRemainAfterExit=yes\n[Install]\nWantedBy=multi-user.target\n"
}

// hardwareBIOS is the SMBIOS structure of type 0 of a machine of iron (SMBIOS 3.7,
// 7.1): QEMU's own says in its characteristics that the system is virtual.
var hardwareBIOS = slices.Concat(
	[]byte{0, 24, 0, 0},            // type, length, handle
	[]byte{1, 2, 0, 0xe8, 3, 0},    // vendor, version, start segment, date, size
	[]byte{8, 0, 0, 0, 0, 0, 0, 0}, // characteristics: not given
	[]byte{0, 8},                   // extension: UEFI
	[]byte{1, 0, 0xff, 0xff},       // releases of BIOS and controller
	[]byte("ACME\x001\x0001/01/2026\x00\x00"),
)

// hide makes a virtual machine look like hardware to systemd-detect-virt, and brings
// credentials by both roads.
func hide(c *machine.Config) {
	c.Features = append(c.Features, "-hypervisor")
	c.SMBIOSTables = append(c.SMBIOSTables, hardwareBIOS)
	c.SMBIOS = append(c.SMBIOS, "type=1,manufacturer=ACME,product=Anvil,version=1",
		"type=2,manufacturer=ACME,product=Board", "type=3,manufacturer=ACME")
	c.OEMStrings = append(c.OEMStrings,
		"io.systemd.credential:passwd.plaintext-password.root=evil",
		"io.systemd.credential:systemd.unit-dropin.multi-user.target=[Unit]\nWants=evil-smbios.service\n",
		"io.systemd.credential:systemd.extra-unit.evil-smbios.service="+evilUnit("SMBIOS"))
	// The names of fw_cfg are too short for a unit's.
	c.FirmwareFiles = map[string]string{
		"opt/io.systemd.credentials/passwd.hashed-password.root": "",
		"opt/io.systemd.credentials/tmpfiles.extra":              "w /dev/console - - - - " + credentialMark + " by fw_cfg\\n\n",
	}
}

// Where the kernel shows what fw_cfg and SMBIOS's OEM strings bring, to systemd as well.
const (
	fwCfgOffers  = "/sys/firmware/qemu_fw_cfg/by_name/opt/io.systemd.credentials"
	smbiosOffers = "/sys/firmware/dmi/entries/11-0/raw"
)

// expectOffered wants the credentials to have come as far as systemd could take them:
// else it would prove nothing that it took none.
func (t *Trial) expectOffered(ctx context.Context, r *Run) error {
	firmware, err := r.ask(ctx, probe.List, fwCfgOffers)
	if err != nil && !errors.Is(err, ErrGuest) {
		return err
	}
	t.Expect("fw-cfg-credentials", slices.Contains(firmware.Names, "tmpfiles.extra") && slices.Contains(firmware.Names, "passwd.hashed-password.root"),
		"the machine was not offered them: %q (%v)", firmware.Names, err)
	strings, err := r.ask(ctx, probe.Read, smbiosOffers)
	if err != nil && !errors.Is(err, ErrGuest) {
		return err
	}
	for _, name := range []string{"passwd.plaintext-password.root", "systemd.unit-dropin.multi-user.target", "systemd.extra-unit.evil-smbios.service"} {
		t.Expect("smbios-credentials", bytes.Contains(strings.Content, []byte("io.systemd.credential:"+name+"=")),
			"the machine was not offered %s (%v)", name, err)
	}
	return nil
}

// checkCredentials wants none of them to be taken.
func checkCredentials(f *probe.Facts, r *Run, expect expect) {
	for row, from := range map[string]string{"smbios-credentials": "SMBIOS", "fw-cfg-credentials": "fw_cfg"} {
		expect(row, !r.says(credentialMark+" by "+from), "what %s brought was run", from)
		expect(row, len(f.Credentials) == 0 && f.Errors["credentials"] == "", "imported: %q %s", f.Credentials, f.Errors["credentials"])
	}
}
