package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/xt"
	"github.com/vishvananda/netlink"
)

// networkCards wants a device for each network card of the machine.
func networkCards() error {
	interfaces, err := net.Interfaces()
	if err != nil {
		return err
	}
	var drivers []string
	for _, i := range interfaces {
		target, err := os.Readlink("/sys/class/net/" + i.Name + "/device/driver")
		if err == nil {
			drivers = append(drivers, filepath.Base(target))
		}
	}
	for _, want := range []string{"virtio_net", "e1000", "e1000e", "igb", "vmxnet3"} {
		if !slices.Contains(drivers, want) {
			return fmt.Errorf("no card driven by %s, but %q", want, drivers)
		}
	}
	return nil
}

// virtualDevices makes a virtual device of each kind that containers, bonds and tunnels need.
func virtualDevices() error {
	named := func(name string, parent int) netlink.LinkAttrs {
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.ParentIndex = name, parent
		return attrs
	}
	if err := netlink.LinkAdd(&netlink.Dummy{LinkAttrs: named("dummy", 0)}); err != nil {
		return fmt.Errorf("make dummy device: %w", err)
	}
	parent, err := netlink.LinkByName("dummy")
	if err != nil {
		return err
	}
	on := parent.Attrs().Index
	bond := netlink.NewLinkBond(named("bond", 0))
	bond.Mode = netlink.BOND_MODE_802_3AD
	for _, link := range []netlink.Link{
		&netlink.Bridge{LinkAttrs: named("bridge", 0)},
		&netlink.Vlan{LinkAttrs: named("vlan", on), VlanId: 7},
		bond,
		&netlink.Veth{LinkAttrs: named("veth", 0), PeerName: "veth-peer"},
		&netlink.Macvlan{LinkAttrs: named("macvlan", on), Mode: netlink.MACVLAN_MODE_BRIDGE},
		&netlink.Vxlan{LinkAttrs: named("vxlan", 0), VxlanId: 7, Port: 4789},
		&netlink.Vrf{LinkAttrs: named("vrf", 0), Table: 7},
		&netlink.Wireguard{LinkAttrs: named("wireguard", 0)},
	} {
		if err := netlink.LinkAdd(link); err != nil {
			return fmt.Errorf("make %s device: %w", link.Type(), err)
		}
	}
	return nil
}

// nftablesRules adds a table with what a host of containers asks of nftables: masquerading by
// nftables itself, and a match of xtables, as iptables-nft writes them for Docker.
func nftablesRules() error {
	c, err := nftables.New()
	if err != nil {
		return err
	}
	table := c.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: "probe"})
	chain := c.AddChain(&nftables.Chain{
		Table: table, Name: "postrouting", Type: nftables.ChainTypeNAT,
		Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource,
	})
	local := xt.AddrType{Source: uint16(xt.AddrTypeLocal)}
	for _, expressions := range [][]expr.Any{
		{&expr.Ct{Register: 1, Key: expr.CtKeySTATE}, &expr.Counter{}, &expr.Masq{}},
		{&expr.Match{Name: "addrtype", Rev: 0, Info: &local}, &expr.Counter{}},
	} {
		c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: expressions})
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("add rules: %w", err)
	}
	rules, err := c.GetRules(table, chain)
	if err != nil {
		return err
	}
	if len(rules) != 2 {
		return fmt.Errorf("%d rules are there, want 2", len(rules))
	}
	return nil
}
