// Package probe is what the harness and the program in the guest say to each other over
// the virtio port: the harness sends a [Request] a line, the guest answers with one
// [Reply] a line, after one unasked reply with the ID 0 when it is ready.
//
// The program mostly tells: what it reports is fixed, and what it reads is public on a
// machine of this system. What it tries is fixed too, and a machine of this system refuses
// it. So an extension that carries it gives no power over a machine to whoever gets hold of
// it.
package probe

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// Op is what the harness asks for.
type Op string

const (
	// Report asks for Facts, once the start of the system has come to its end.
	Report Op = "report"
	// Read asks for the content of Path, at most MaxRead bytes.
	Read Op = "read"
	// Digest asks for the SHA-256 of the file Path: all of it is read, past the page cache.
	Digest Op = "digest"
	// List asks for the names in the folder Path.
	List Op = "list"
	// OpenSigned opens the root's partitions once more with veritysetup, and closes them.
	OpenSigned Op = "open-signed"
	// OpenUnsigned does the same without the signature of the root hash.
	OpenUnsigned Op = "open-unsigned"
	// Plant puts what lies in Plants where systemd merges extensions from, past the gate, and
	// has them merged anew.
	Plant Op = "plant"
	// PowerOff asks for an orderly end.
	PowerOff Op = "power-off"
)

// Plants is the folder of the test extension that holds, by their names there, what Plant
// puts into the places that are its keys' values.
const Plants = "/usr/lib/mangos-test/plants"

// Planted is where each of the plants goes: a folder in the place of an image, an image
// without a signature, of both classes, and files that would be merged writable.
var Planted = map[string]string{
	"planted-folder":           "/var/lib/confexts/planted-folder",
	"planted-image.raw":        "/run/confexts/planted-image.raw",
	"planted-mutable":          "/var/lib/extensions.mutable/etc",
	"planted-sysext-folder":    "/var/lib/extensions/planted-sysext-folder",
	"planted-sysext-image.raw": "/run/extensions/planted-sysext-image.raw",
}

// MaxRead is how much of a file is sent, in bytes.
const MaxRead = 256 << 10

// MaxLine bounds a line of either side, in bytes.
const MaxLine = 4 << 20

// ErrMalformed says that a line is not of this protocol.
var ErrMalformed = errors.New("malformed message")

// Request is a question of the harness.
type Request struct {
	ID   uint64 `json:"id"` // chosen by the harness, not 0
	Op   Op     `json:"op"`
	Path string `json:"path,omitempty"` // absolute
}

// Reply is the guest's answer to the request with the same ID.
type Reply struct {
	ID      uint64   `json:"id"`
	Error   string   `json:"error,omitempty"`
	Content []byte   `json:"content,omitempty"` // Read
	Digest  string   `json:"digest,omitempty"`  // Digest: hex
	Names   []string `json:"names,omitempty"`   // List
	Facts   *Facts   `json:"facts,omitempty"`   // Report
}

// Facts is the state of a running machine. A field that could not be read is empty, and
// Errors says why under the field's name.
type Facts struct {
	Errors map[string]string `json:"errors,omitempty"`

	CommandLine  string            `json:"commandLine"`  // /proc/cmdline
	MachineID    string            `json:"machineId"`    // /etc/machine-id
	Virtual      string            `json:"virtual"`      // what systemd-detect-virt says
	SecureBoot   []byte            `json:"secureBoot"`   // the variable's value
	SetupMode    []byte            `json:"setupMode"`    // the variable's value
	Lockdown     string            `json:"lockdown"`     // such as "none [integrity] confidentiality"
	PCR          map[string]string `json:"pcr"`          // "0" to "23", SHA-256, lower-case hex
	FirmwareLog  []byte            `json:"firmwareLog"`  // the TCG event log
	SystemLog    string            `json:"systemLog"`    // systemd's measurements, JSON text sequence
	Mounts       string            `json:"mounts"`       // /proc/self/mountinfo
	Swaps        string            `json:"swaps"`        // /proc/swaps
	Keys         string            `json:"keys"`         // /proc/keys
	Modules      string            `json:"modules"`      // /proc/modules, or "none" where the kernel has no modules
	Parameters   map[string]string `json:"parameters"`   // kernel parameters, by their path
	Devices      []Device          `json:"devices"`      // device-mapper
	State        string            `json:"state"`        // systemctl is-system-running
	Failed       []string          `json:"failed"`       // failed units
	Jobs         []string          `json:"jobs"`         // jobs of the manager that wait
	Packages     []string          `json:"packages"`     // dpkg -l: name and version of each installed package
	Writes       map[string]string `json:"writes"`       // folder to the error of making a file there; empty: it was made
	Credentials  []string          `json:"credentials"`  // names of system credentials that were imported
	Processes    []Process         `json:"processes"`    // all but kernel threads
	RootPassword string            `json:"rootPassword"` // "locked", "empty", "set" or "none"
}

// Device is a device-mapper device.
type Device struct {
	Name   string `json:"name"`
	UUID   string `json:"uuid"`
	Table  string `json:"table"`  // one target a line: type and parameters
	Status string `json:"status"` // likewise, with what the target says of its state
}

// Process is a running program.
type Process struct {
	PID     int    `json:"pid"`
	Program string `json:"program"` // the path of the executable
}

// ParseRequest reads a line of the harness.
func ParseRequest(line []byte) (Request, error) {
	var r Request
	if err := decode(line, &r); err != nil {
		return Request{}, fmt.Errorf("parse request: %w", err)
	}
	if r.ID == 0 {
		return Request{}, fmt.Errorf("parse request: %w: no id", ErrMalformed)
	}
	return r, nil
}

// ParseReply reads a line of the guest.
func ParseReply(line []byte) (Reply, error) {
	var r Reply
	if err := decode(line, &r); err != nil {
		return Reply{}, fmt.Errorf("parse reply: %w", err)
	}
	return r, nil
}

func decode(line []byte, v any) error {
	if len(line) > MaxLine {
		return fmt.Errorf("%w: %d bytes", ErrMalformed, len(line))
	}
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if d.More() {
		return fmt.Errorf("%w: more than one value", ErrMalformed)
	}
	return nil
}
