package outbound_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh/knownhosts"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/destinations/builtin"
	"github.com/ledgerport/ledgerport/internal/destinations/s3"
	"github.com/ledgerport/ledgerport/internal/outbound"
	"github.com/ledgerport/ledgerport/test/testsftp"
)

// TestANameThatLeadsElsewhereASecondTimeReachesNothing has the resolver lead a name to an allowed address once and to a refused
// one the next time, and to both at once. It is alone, because it replaces the process's resolver.
func TestANameThatLeadsElsewhereASecondTimeReachesNothing(t *testing.T) {
	trap, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = trap.Close() })
	const name, allowed, refused = "db.rebound.example", "127.0.0.2", "127.0.0.1"
	port := trap.Addr().(*net.TCPAddr).Port
	_, hostKey := testsftp.NewKey(t)
	reach := map[string]func(context.Context, *outbound.Policy) error{
		"a database": func(ctx context.Context, p *outbound.Policy) error {
			_, err := claims.Open(ctx, claims.Options{Allowed: claims.Allowances{Insecure: true}, URL: fmt.Sprintf("postgres://app:s3cret@%s:%d/app?sslmode=disable", name, port), Dial: p.Dialer().DialContext})
			return err
		},
		"a bucket": func(ctx context.Context, p *outbound.Policy) error {
			return check(ctx, p, v1alpha1.ExportDestinationSpec{S3: &v1alpha1.S3Destination{
				Bucket: "books", Region: "us-east-1", Endpoint: fmt.Sprintf("http://%s:%d", name, port), ForcePathStyle: true,
				CredentialsSecretRef: &v1alpha1.S3Credentials{S3CredentialKeys: v1alpha1.S3CredentialKeys{AccessKeyIDKey: "id", SecretAccessKeyKey: "secret"}},
			}})
		},
		"an SFTP server": func(ctx context.Context, p *outbound.Policy) error {
			return check(ctx, p, v1alpha1.ExportDestinationSpec{SFTP: &v1alpha1.SFTPDestination{
				Host: name, Port: int32(port), User: "books", Path: ".", KnownHosts: knownhosts.Line([]string{name}, hostKey),
				CredentialsSecretRef: &v1alpha1.SFTPCredentials{SFTPCredentialKeys: v1alpha1.SFTPCredentialKeys{PasswordKey: "password"}},
			}})
		},
		"an accounting system": func(_ context.Context, p *outbound.Policy) error {
			_, err := get(t, p.HTTPClient(), "http://"+net.JoinHostPort(name, strconv.Itoa(port)))
			return err
		},
	}
	for what, connect := range reach {
		for how, answers := range map[string][][]string{
			"one after the other": {{allowed}, {refused}}, "the refused one first": {{refused}, {allowed}},
			"both": {{allowed, refused}}, "both, the refused one first": {{refused, allowed}},
		} {
			resolveTo(t, answers)
			for range 3 {
				if err := connect(t.Context(), policy(t, allowed)); err == nil {
					t.Errorf("%s, %s: it was connected to", what, how)
				}
			}
			if callers(t, trap) > 0 {
				t.Errorf("%s, %s: the refused address was reached", what, how)
			}
		}
	}
	resolveTo(t, [][]string{{refused}}) // where that is allowed each of them reaches the trap
	for _, connect := range reach {
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = connect(t.Context(), policy(t, "127.0.0.0/8"))
		}()
		reached := 0
		for waiting := true; waiting; {
			select {
			case <-ended:
				waiting = false // and who came before is counted yet
			default:
			}
			reached += callers(t, trap)
		}
		if reached == 0 {
			t.Error("the trap was not reached where that is allowed")
		}
	}
}

// callers counts who has connected, and hangs up.
func callers(t *testing.T, trap net.Listener) (others int) {
	t.Helper()
	last, err := net.Dial("tcp", trap.Addr().String()) // who connected before comes before
	must(t, err)
	defer func() { _ = last.Close() }()
	for {
		connection, err := trap.Accept()
		must(t, err)
		_ = connection.Close()
		if connection.RemoteAddr().String() == last.LocalAddr().String() {
			return others
		}
		others++
	}
}

func check(ctx context.Context, p *outbound.Policy, spec v1alpha1.ExportDestinationSpec) error {
	registry := builtin.Registry(builtin.Settings{S3: s3.Settings{AllowPlainHTTP: true}})
	login := map[string][]byte{"id": []byte("a"), "secret": []byte("b"), "password": []byte("hunter2")}
	opened, err := registry.Open(ctx, &v1alpha1.ExportDestination{Spec: spec}, login, p)
	if err != nil {
		return err
	}
	defer func() { _ = opened.Close() }()
	_, err = opened.Check(ctx, "")
	return err
}

// resolveTo makes the process's resolver give these addresses for any name, answer by answer, over and over.
func resolveTo(t *testing.T, answers [][]string) {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = server.Close() })
	go func() {
		asked := 0
		for buffer := make([]byte, 512); ; {
			n, from, err := server.ReadFrom(buffer)
			if err != nil {
				return // the test has ended
			}
			var message dnsmessage.Message
			if message.Unpack(buffer[:n]) != nil || len(message.Questions) != 1 {
				continue
			}
			question := message.Questions[0]
			message.Response, message.Additionals = true, nil
			if question.Type == dnsmessage.TypeA && strings.HasSuffix(question.Name.String(), "rebound.example.") {
				for _, address := range answers[asked%len(answers)] {
					message.Answers = append(message.Answers, dnsmessage.Resource{
						Header: dnsmessage.ResourceHeader{Name: question.Name, Class: dnsmessage.ClassINET},
						Body:   &dnsmessage.AResource{A: netip.MustParseAddr(address).As4()},
					})
				}
				asked++
			}
			if packed, err := message.Pack(); err == nil {
				_, _ = server.WriteTo(packed, from)
			}
		}
	}()
	before := net.DefaultResolver
	t.Cleanup(func() { net.DefaultResolver = before })
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", server.LocalAddr().String())
	}}
}
