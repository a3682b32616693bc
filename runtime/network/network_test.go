package network

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	c, err := Parse("192.0.2.7/24", "192.0.2.1", "192.0.2.2, 2001:db8::1", "12", "http://proxy:3128")
	if err != nil || c.Address.String() != "192.0.2.7/24" || len(c.DNS) != 2 || c.VLAN != 12 || c.Proxy.Host != "proxy:3128" {
		t.Errorf("%+v, %v", c, err)
	}
	if c, err := Parse("", "", "", "", ""); err != nil || c.files() != nil {
		t.Errorf("nothing set: %+v, %v", c, err)
	}
	for _, bad := range [][5]string{
		{"192.0.2.7"}, {"192.0.2.7/33"}, {"", "192.0.2.1"}, {"192.0.2.7/24", "x"}, {"192.0.2.7/24", "fe80::1%eth0"}, {"", "", "a"},
		{"", "", "", "0"}, {"", "", "", "4095"}, {"", "", "", "x"}, {"", "", "", "", "proxy:3128"}, {"", "", "", "", "ftp://x"},
		{"192.0.2.7/24\n[Match]"}, {"", "", "", "", "http://"},
	} {
		if c, err := Parse(bad[0], bad[1], bad[2], bad[3], bad[4]); !errors.Is(err, ErrConfig) {
			t.Errorf("%q: %+v, %v", bad, c, err)
		}
	}
}

func TestApply(t *testing.T) {
	root, bin := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "networkctl"), []byte("#!/bin/sh\necho $@ >"+bin+"/called\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	c, err := Parse("192.0.2.7/24", "192.0.2.1", "192.0.2.2", "12", "")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Apply(root); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"10-installer.netdev": "Id=12", "10-installer.network": "VLAN=mangos-vlan", "11-installer-vlan.network": "Address=192.0.2.7/24\nGateway=192.0.2.1\nDNS=192.0.2.2\n",
	} {
		text, err := os.ReadFile(filepath.Join(root, folder, name))
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
	if called, err := os.ReadFile(filepath.Join(bin, "called")); err != nil || string(called) != "reload\n" {
		t.Errorf("networkctl was called with %q, %v", called, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("192.0.2.7/24", "192.0.2.1", "192.0.2.2", "12", "http://proxy")
	f.Fuzz(func(t *testing.T, address, gateway, dns, vlan, proxy string) {
		c, err := Parse(address, gateway, dns, vlan, proxy)
		if err != nil {
			return
		}
		for name, text := range c.files() {
			if strings.Count(text, "[Match]") > 1 || strings.Contains(text, "\x00") {
				t.Fatalf("%s: %q", name, text)
			}
		}
	})
}
