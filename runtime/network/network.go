// Package network configures the network of a machine that is being installed,
// by files for systemd-networkd.
package network

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// ErrConfig: a setting is not what it should be.
var ErrConfig = errors.New("unusable network setting")

// Config is the network of the first wired interface that has a cable. The zero
// value is DHCP, and no proxy.
type Config struct {
	// Address with the length of the network's prefix; none stands for DHCP.
	Address netip.Prefix
	Gateway netip.Addr
	DNS     []netip.Addr
	// VLAN is the number of the VLAN, 1 to 4094, or 0 for none.
	VLAN int
	// Proxy is the address of an HTTP proxy, nil for none.
	Proxy *url.URL
}

// Parse reads settings as a person types them; empty ones are not set. Errors
// wrap ErrConfig and name the setting.
func Parse(address, gateway, dns, vlan, proxy string) (c Config, err error) {
	if address != "" {
		if c.Address, err = netip.ParsePrefix(address); err != nil {
			return c, fmt.Errorf("address %.40q: %w, want ADDRESS/LENGTH, as 192.0.2.7/24", address, ErrConfig)
		}
	}
	if gateway != "" {
		if c.Gateway, err = netip.ParseAddr(gateway); err != nil || c.Gateway.Zone() != "" {
			return c, fmt.Errorf("gateway %.40q: %w, want an address", gateway, ErrConfig)
		}
	}
	for _, word := range strings.FieldsFunc(dns, func(r rune) bool { return r == ' ' || r == ',' }) {
		a, err := netip.ParseAddr(word)
		if err != nil || a.Zone() != "" {
			return c, fmt.Errorf("name server %.40q: %w, want an address", word, ErrConfig)
		}
		c.DNS = append(c.DNS, a)
	}
	if vlan != "" {
		if c.VLAN, err = strconv.Atoi(vlan); err != nil || c.VLAN < 1 || c.VLAN > 4094 {
			return c, fmt.Errorf("VLAN %.40q: %w, want a number from 1 to 4094", vlan, ErrConfig)
		}
	}
	if proxy != "" {
		c.Proxy, err = url.Parse(proxy)
		if err != nil || c.Proxy.Scheme != "http" && c.Proxy.Scheme != "https" || c.Proxy.Host == "" {
			return c, fmt.Errorf("proxy %.60q: %w, want http://HOST:PORT", proxy, ErrConfig)
		}
	}
	if !c.Address.IsValid() && c.Gateway.IsValid() {
		return c, fmt.Errorf("gateway: %w without an address: either both, or DHCP", ErrConfig)
	}
	return c, nil
}

// folder is where systemd-networkd looks for what is to last until the next boot.
const folder = "run/systemd/network"

const (
	wired = "[Match]\nName=en* eth*\n\n"
	vlan  = "mangos-vlan"
)

// files returns the configuration, by file name. They come before the image's
// own, which asks for DHCP.
func (c Config) files() map[string]string {
	if !c.Address.IsValid() && c.VLAN == 0 && len(c.DNS) == 0 {
		return nil
	}
	var n strings.Builder
	n.WriteString("[Network]\n")
	if !c.Address.IsValid() {
		n.WriteString("DHCP=yes\n")
	} else {
		fmt.Fprintf(&n, "Address=%s\n", c.Address)
	}
	if c.Gateway.IsValid() {
		fmt.Fprintf(&n, "Gateway=%s\n", c.Gateway)
	}
	for _, a := range c.DNS {
		fmt.Fprintf(&n, "DNS=%s\n", a)
	}
	if c.VLAN == 0 {
		return map[string]string{"10-installer.network": wired + n.String()}
	}
	return map[string]string{
		"10-installer.netdev":       fmt.Sprintf("[NetDev]\nName=%s\nKind=vlan\n\n[VLAN]\nId=%d\n", vlan, c.VLAN),
		"10-installer.network":      wired + "[Network]\nVLAN=" + vlan + "\nLinkLocalAddressing=no\n",
		"11-installer-vlan.network": "[Match]\nName=" + vlan + "\n\n" + n.String(),
	}
}

// Apply configures the machine whose tree is at root ("/" on a machine).
func (c Config) Apply(root string) error {
	files := c.files()
	if files == nil {
		return nil
	}
	dir := filepath.Join(root, folder)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("configure network: %w", err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return fmt.Errorf("configure network: %w", err)
		}
	}
	if out, err := exec.Command("networkctl", "reload").CombinedOutput(); err != nil {
		return fmt.Errorf("configure network: networkctl: %w: %.200q", err, out)
	}
	return nil
}
