package configuration_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mastercard/mangos/modules/kernel/configuration"
)

const fragment = `# What it is for.
CONFIG_A=y
CONFIG_SIZE=4096

CONFIG_TEXT="a \"b\" c"
# CONFIG_MODULES is not set
`

func TestCheckNamesWhatIsLost(t *testing.T) {
	options, err := configuration.Read(strings.NewReader(fragment), "a.config")
	if err != nil {
		t.Fatal(err)
	}
	kept := "CONFIG_A=y\nCONFIG_SIZE=4096\nCONFIG_TEXT=\"a \\\"b\\\" c\"\nCONFIG_MORE=y\n"
	if err := configuration.Check(options, strings.NewReader(kept)); err != nil {
		t.Error(err)
	}
	for what, change := range map[string][2]string{
		"a.config:2: CONFIG_A=y: the configuration has # CONFIG_A is not set":           {"CONFIG_A=y\n", ""},
		"a.config:3: CONFIG_SIZE=4096: the configuration has CONFIG_SIZE=8":             {"4096", "8"},
		`a.config:5: CONFIG_TEXT="a \"b\" c": the configuration has CONFIG_TEXT="a"`:    {`"a \"b\" c"`, `"a"`},
		"a.config:6: # CONFIG_MODULES is not set: the configuration has CONFIG_MODULES": {"CONFIG_MORE", "CONFIG_MODULES"},
		"CONFIG_MORE=m: a module": {"MORE=y", "MORE=m"},
	} {
		err := configuration.Check(options, strings.NewReader(strings.Replace(kept, change[0], change[1], 1)))
		if !errors.Is(err, configuration.ErrLost) || !strings.Contains(err.Error(), what) {
			t.Errorf("got %v, want %s", err, what)
		}
	}
}

func TestBadFragments(t *testing.T) {
	for _, text := range []string{"CONFIG_A=m", "CONFIG_A", "A=y", " CONFIG_A=y", "CONFIG_A=y # why", "#CONFIG_A is not set",
		"# CONFIG_A is not set ", `CONFIG_A="x`, "CONFIG_A=y\rCONFIG_B=y", strings.Repeat("#", 5<<20)} {
		if _, err := configuration.Read(strings.NewReader(text), "f"); !errors.Is(err, configuration.ErrInvalid) {
			t.Errorf("%.40q: %v", text, err)
		}
	}
}

func TestAnOptionStandsOnce(t *testing.T) {
	folder := t.TempDir()
	if _, err := configuration.ReadFolder(folder); !errors.Is(err, configuration.ErrInvalid) {
		t.Errorf("empty folder: %v", err)
	}
	for name, text := range map[string]string{"a.config": "CONFIG_A=y\n", "b.config": "\n# CONFIG_A is not set\n"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	_, err := configuration.ReadFolder(folder)
	if !errors.Is(err, configuration.ErrInvalid) || !strings.Contains(err.Error(), "a.config:1 and in b.config:2") {
		t.Errorf("twice: %v", err)
	}
}

// The project's own fragments: what the boot policy rests on is asked for.
func TestOurFragments(t *testing.T) {
	options, err := configuration.ReadFolder("../config")
	if err != nil {
		t.Fatal(err)
	}
	have := make(map[string]string)
	for _, o := range options {
		have[o.Name] = o.Value
	}
	for name, value := range map[string]string{
		"CONFIG_MODULES":                       "n",
		"CONFIG_DM_VERITY_VERIFY_ROOTHASH_SIG": "y",
		"CONFIG_SECONDARY_TRUSTED_KEYRING":     "n",
		"CONFIG_INTEGRITY_PLATFORM_KEYRING":    "n",
		"CONFIG_SYSTEM_EXTRA_CERTIFICATE_SIZE": "4096",
		"CONFIG_SYSTEM_TRUSTED_KEYS":           `""`,
		"CONFIG_CMDLINE_BOOL":                  "n",
		"CONFIG_BOOT_CONFIG":                   "n",
		"CONFIG_LOCK_DOWN_IN_EFI_SECURE_BOOT":  "y",
		"CONFIG_FW_LOADER_USER_HELPER":         "n",
		"CONFIG_KEXEC_FILE":                    "n",
	} {
		if have[name] != value {
			t.Errorf("%s is %q, want %q", name, have[name], value)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(fragment)
	f.Fuzz(func(t *testing.T, text string) {
		options, err := configuration.Read(strings.NewReader(text), "f")
		if err != nil {
			return
		}
		var config strings.Builder
		seen := make(map[string]bool)
		for _, o := range options {
			if seen[o.Name] {
				return
			}
			seen[o.Name] = true
			config.WriteString(o.String() + "\n")
		}
		if err := configuration.Check(options, strings.NewReader(config.String())); err != nil {
			t.Fatal(err)
		}
	})
}
