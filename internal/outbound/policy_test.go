package outbound

import (
	"net/netip"
	"testing"
)

func TestWhichHostsAreAllowed(t *testing.T) {
	t.Parallel()
	server := netip.MustParseAddrPort("10.96.0.1:443")
	tests := []struct {
		name    string
		entries []string
		host    string // as named
		target  string // that it was resolved to
		allowed bool
	}{
		{"any public host by default", nil, "db.example.com", "203.0.113.7:5432", true},
		{"a private host by default", nil, "10.1.2.3", "10.1.2.3:5432", true},
		{"loopback is refused by default", nil, "localhost", "127.0.0.1:5432", false},
		{"loopback in IPv6", nil, "localhost", "[::1]:5432", false},
		{"loopback written as IPv6", nil, "::ffff:127.0.0.1", "[::ffff:127.0.0.1]:5432", false},
		{"loopback through NAT64", nil, "64:ff9b::7f00:1", "[64:ff9b::7f00:1]:5432", false},
		{"a public host through NAT64", nil, "db.example.com", "[64:ff9b::cb00:7107]:5432", true},
		{"loopback through 6to4", nil, "2002:7f00:1::1", "[2002:7f00:1::1]:5432", false},
		{"a metadata service through 6to4", nil, "metadata.example.com", "[2002:a9fe:a9fe::]:80", false},
		{"a metadata service through SIIT", nil, "metadata.example.com", "[::ffff:0:a9fe:a9fe]:80", false},
		{"a metadata service through a private NAT64", nil, "metadata.example.com", "[64:ff9b:1::a9fe:a9fe]:80", false},
		{"a private NAT64 that is listed", []string{"64:ff9b:1::/96"}, "db.example.com", "[64:ff9b:1::cb00:7107]:5432", true},
		{"a metadata service through Teredo", nil, "metadata.example.com", "[2001:0:a9fe:a9fe::1]:80", false},
		{"a metadata service written as compatible with IPv4", nil, "::169.254.169.254", "[::a9fe:a9fe]:80", false},
		{"the API server through NAT64", nil, "64:ff9b::a60:1", "[64:ff9b::a60:1]:443", false},
		{"the API server written as IPv6", nil, "::ffff:10.96.0.1", "[::ffff:10.96.0.1]:443", false},
		{"an unlisted host through 6to4", []string{"203.0.113.0/24"}, "2002:c633:6407::1", "[2002:c633:6407::1]:5432", false},
		{"a metadata service of containers", nil, "169.254.170.2", "169.254.170.2:80", false},
		{"another name in other letters", []string{"db.example.com"}, "dЬ.example.com", "203.0.113.7:5432", false},
		{"a listed name with a name before it", []string{"db.example.com"}, "db.example.com.evil.example", "203.0.113.7:5432", false},
		{"a listed name with two dots behind it", []string{"db.example.com"}, "db.example.com..", "203.0.113.7:5432", false},
		{"the unspecified address", nil, "0.0.0.0", "0.0.0.0:5432", false},
		{"the unspecified address in IPv6", nil, "::", "[::]:5432", false},
		{"a metadata service", nil, "metadata.example.com", "169.254.169.254:80", false},
		{"another metadata service", nil, "100.100.100.200", "100.100.100.200:80", false},
		{"a metadata service in IPv6", nil, "fd00:ec2::254", "[fd00:ec2::254]:80", false},
		{"link-local with a zone", nil, "fe80::1%eth0", "[fe80::1%eth0]:80", false},
		{"multicast", nil, "224.0.0.1", "224.0.0.1:80", false},
		{"the API server", nil, "kubernetes.default.svc", "10.96.0.1:443", false},
		{"the API server though its network is allowed", []string{"10.0.0.0/8"}, "10.96.0.1", "10.96.0.1:443", false},
		{"a neighbour of the API server", nil, "10.96.0.2", "10.96.0.2:443", true},
		{"a listed name", []string{"db.example.com"}, "DB.example.com.", "203.0.113.7:5432", true},
		{"a name that is not listed", []string{"db.example.com"}, "evil.example.com", "203.0.113.7:5432", false},
		{"a listed name that leads to loopback", []string{"db.example.com"}, "db.example.com", "127.0.0.1:5432", false},
		{"a listed name that leads to a metadata service", []string{"db.example.com"}, "db.example.com", "169.254.169.254:80", false},
		{"below a wildcard", []string{"*.example.com"}, "a.b.example.com", "203.0.113.7:5432", true},
		{"the name of the wildcard itself", []string{"*.example.com"}, "example.com", "203.0.113.7:5432", false},
		{"a name that only ends like it", []string{"*.example.com"}, "evilexample.com", "203.0.113.7:5432", false},
		{"an address of a listed name is not listed itself", []string{"db.example.com"}, "203.0.113.7", "203.0.113.7:5432", false},
		{"an address in a listed network", []string{"203.0.113.0/24"}, "203.0.113.7", "203.0.113.7:5432", true},
		{"a name that leads into a listed network", []string{"203.0.113.0/24"}, "any.example.org", "203.0.113.7:5432", true},
		{"a name that leads out of a listed network", []string{"203.0.113.0/24"}, "any.example.org", "198.51.100.7:5432", false},
		{"loopback where it is listed", []string{"127.0.0.0/8"}, "localhost", "127.0.0.1:5432", true},
		{"one address of loopback", []string{"127.0.0.1"}, "127.0.0.1", "127.0.0.1:5432", true},
		{"another address of loopback", []string{"127.0.0.1"}, "127.0.0.2", "127.0.0.2:5432", false},
		{"every network does not open loopback", []string{"0.0.0.0/0"}, "127.0.0.1", "127.0.0.1:5432", false},
		{"any host, and loopback", []string{"*", "127.0.0.0/8"}, "127.0.0.1", "127.0.0.1:5432", true},
		{"any host, and loopback, and elsewhere", []string{"*", "127.0.0.0/8"}, "db.example.com", "203.0.113.7:5432", true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			policy, err := New(test.entries, server)
			if err != nil {
				t.Fatal(err)
			}
			why := policy.refuses(netip.MustParseAddrPort(test.target), policy.allowsName(test.host))
			if (why == "") != test.allowed {
				t.Errorf("refused: %q, want allowed %t", why, test.allowed)
			}
		})
	}
}

func TestEntriesThatMeanNothingAreRefused(t *testing.T) {
	t.Parallel()
	for _, entry := range []string{"", "10.0.0.0/33", "http://example.com", "a*b.example.com", "example.com:443", ".example.com", "*.*.com"} {
		if _, err := New([]string{entry}); err == nil {
			t.Errorf("%q was taken", entry)
		}
	}
}
