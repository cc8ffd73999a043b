// Package outbound connects to the hosts that tenants name, as far as the operator allows. A tenant chooses databases,
// buckets and accounting systems; what is decided here is decided on the address that is dialled, after names were
// resolved, so that no name can lead anywhere else a moment later.
package outbound

import (
	"fmt"
	"net/netip"
	"strings"
)

// AnyHost is the entry that allows every host but those that are refused by default.
const AnyHost = "*"

// Policy says which hosts may be reached. The zero value, and nil, allow every host but those that are refused by default.
type Policy struct {
	names    []string       // lower case; "*.example.com" is ".example.com"
	prefixes []netip.Prefix // networks and single addresses
	listed   bool           // only names and prefixes are allowed
	never    []netip.AddrPort
}

// special are networks that a tenant has no business in. They are refused unless an entry names a network within them:
// 127.0.0.0/8 and 127.0.0.1 open loopback, 0.0.0.0/0 does not.
var special = []struct {
	prefix netip.Prefix
	kind   string
}{
	{netip.MustParsePrefix("0.0.0.0/8"), "an unspecified"},
	{netip.MustParsePrefix("127.0.0.0/8"), "a loopback"},
	{netip.MustParsePrefix("169.254.0.0/16"), "a link-local"}, // with most clouds' metadata service
	{netip.MustParsePrefix("100.100.100.200/32"), "a metadata service's"},
	{netip.MustParsePrefix("168.63.129.16/32"), "a metadata service's"},
	{netip.MustParsePrefix("192.0.0.0/24"), "a metadata service's"},
	{netip.MustParsePrefix("224.0.0.0/4"), "a multicast"},
	{netip.MustParsePrefix("240.0.0.0/4"), "a reserved"},
	{netip.MustParsePrefix("::/96"), "a loopback or unspecified"},
	{netip.MustParsePrefix("64:ff9b:1::/48"), "a translated"}, // where in it the IPv4 address is, each network says for itself (RFC 8215)
	{netip.MustParsePrefix("2001::/32"), "a tunnelled"},       // Teredo, RFC 4380
	{netip.MustParsePrefix("fe80::/10"), "a link-local"},
	{netip.MustParsePrefix("fd00:ec2::/32"), "a metadata service's"},
	{netip.MustParsePrefix("fd20:ce::/32"), "a metadata service's"},
	{netip.MustParsePrefix("ff00::/8"), "a multicast"},
}

// carriers are networks whose addresses carry one of IPv4, beginning at a byte, which is what they lead to.
var carriers = []struct {
	prefix netip.Prefix
	at     int
}{
	{netip.MustParsePrefix("64:ff9b::/96"), 12},    // NAT64, RFC 6052, section 2.1
	{netip.MustParsePrefix("::ffff:0:0:0/96"), 12}, // SIIT, RFC 2765, section 2.1
	{netip.MustParsePrefix("2002::/16"), 2},        // 6to4, RFC 3056, section 2
}

// New makes a Policy of entries: "*", a host name, "*.example.com" for every name below it, an address, or a network such
// as 10.0.0.0/8. No entries are those of AnyHost. What is in never is refused whatever the entries say.
func New(entries []string, never ...netip.AddrPort) (*Policy, error) {
	p := &Policy{never: never, listed: len(entries) > 0}
	for _, entry := range entries {
		entry = strings.TrimSuffix(strings.ToLower(strings.TrimSpace(entry)), ".")
		prefix, isPrefix := parsePrefix(entry)
		switch {
		case isPrefix:
			p.prefixes = append(p.prefixes, prefix)
		case entry == AnyHost:
			p.listed = false
		case strings.HasPrefix(entry, "*.") && isName(entry[2:]):
			p.names = append(p.names, entry[1:])
		case isName(entry):
			p.names = append(p.names, entry)
		default:
			return nil, fmt.Errorf(`%q is no host name, no "*." before one, no address and no network such as 10.0.0.0/8`, entry)
		}
	}
	return p, nil
}

func parsePrefix(entry string) (netip.Prefix, bool) {
	if prefix, err := netip.ParsePrefix(entry); err == nil {
		return prefix.Masked(), true
	}
	if address, err := netip.ParseAddr(entry); err == nil {
		address = address.Unmap().WithZone("")
		return netip.PrefixFrom(address, address.BitLen()), true
	}
	return netip.Prefix{}, false
}

// isName is generous: what the resolver does not take leads nowhere.
func isName(text string) bool {
	return text != "" && !strings.HasPrefix(text, ".") && !strings.ContainsAny(text, "*/:@?#[]% \t\"'")
}

// allowsName reports whether a host may be reached by its name, wherever that leads within reason.
func (p *Policy) allowsName(host string) bool {
	if p == nil || !p.listed {
		return true
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	for _, name := range p.names {
		if host == name || strings.HasPrefix(name, ".") && strings.HasSuffix(host, name) && host != name[1:] {
			return true
		}
	}
	return false
}

// refuses says why an address may not be dialled; empty where it may. named is true where the host may be reached by its
// name.
func (p *Policy) refuses(target netip.AddrPort, named bool) string {
	address := target.Addr().Unmap().WithZone("")
	if p == nil {
		p = &Policy{}
	}
	for _, server := range p.never {
		if server.Addr().Unmap() == address && server.Port() == target.Port() {
			return "it is the Kubernetes API server"
		}
	}
	for _, network := range special {
		if network.prefix.Contains(address) {
			if p.opens(network.prefix, address) {
				return ""
			}
			return "it leads to " + network.kind + " address"
		}
	}
	for _, carrier := range carriers {
		if carrier.prefix.Contains(address) {
			bytes := address.As16()
			return p.refuses(netip.AddrPortFrom(netip.AddrFrom4([4]byte(bytes[carrier.at:])), target.Port()), named)
		}
	}
	if named || p.contains(address) {
		return ""
	}
	return "it is not among --allowed-hosts"
}

func (p *Policy) contains(address netip.Addr) bool {
	for _, prefix := range p.prefixes {
		if prefix.Contains(address) {
			return true
		}
	}
	return false
}

// opens reports whether an entry names a network within a special one that has the address.
func (p *Policy) opens(special netip.Prefix, address netip.Addr) bool {
	for _, prefix := range p.prefixes {
		if prefix.Bits() >= special.Bits() && special.Contains(prefix.Addr()) && prefix.Contains(address) {
			return true
		}
	}
	return false
}
