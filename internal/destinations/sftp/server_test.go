package sftp_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/destinations"
	"github.com/ledgerport/ledgerport/internal/destinations/conformance"
	"github.com/ledgerport/ledgerport/internal/outbound"
	"github.com/ledgerport/ledgerport/test/closedport"
	"github.com/ledgerport/ledgerport/test/testsftp"
)

func TestFaultsOfAnSFTPServerAreNamed(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		server []string // arguments
		change func(*testing.T, testsftp.Account, *v1alpha1.SFTPDestination, *keys)
		reason v1alpha1.Reason
		says   string
	}{
		{"the host key differs", nil, func(t *testing.T, _ testsftp.Account, s *v1alpha1.SFTPDestination, _ *keys) {
			_, other := testsftp.NewKey(t)
			s.KnownHosts = knownhosts.Line([]string{s.Host}, other)
		}, v1alpha1.ReasonHostKeyMismatch, "SHA256:"},
		{"a host key of another type is known", nil, func(t *testing.T, _ testsftp.Account, s *v1alpha1.SFTPDestination, _ *keys) {
			s.KnownHosts = knownhosts.Line([]string{s.Host}, rsaKey(t))
		}, v1alpha1.ReasonHostKeyMismatch, "spec.sftp.knownHosts"},
		{"the private key is that of another user", nil, func(t *testing.T, _ testsftp.Account, _ *v1alpha1.SFTPDestination, k *keys) {
			k.PrivateKey, _ = testsftp.NewKey(t)
		}, v1alpha1.ReasonLoginRefused, "its private key, whose public key is SHA256:"},
		{"there is only a password, which the server does not take", nil, func(_ *testing.T, _ testsftp.Account, _ *v1alpha1.SFTPDestination, k *keys) {
			k.PrivateKey, k.Password = nil, []byte("hunter2")
		}, v1alpha1.ReasonLoginRefused, `with its password; correct spec.sftp.user, or the key "`},
		{"the user does not exist", nil, func(_ *testing.T, _ testsftp.Account, s *v1alpha1.SFTPDestination, _ *keys) {
			s.User = "no-such-user"
		},
			v1alpha1.ReasonLoginRefused, "no-such-user"},
		{"the directory does not exist", nil, func(_ *testing.T, _ testsftp.Account, s *v1alpha1.SFTPDestination, _ *keys) {
			s.Path += "/missing"
		},
			v1alpha1.ReasonPathNotFound, "create it"},
		{"the directory is a file", nil, func(t *testing.T, a testsftp.Account, s *v1alpha1.SFTPDestination, _ *keys) {
			must(t, os.WriteFile(filepath.Join(a.Directory, "file"), nil, 0o600))
			s.Path += "/file"
		}, v1alpha1.ReasonPathNotFound, "no directory"},
		{"the server takes no files", []string{"-R"}, nothingChanged, v1alpha1.ReasonNotWritable, "settings"},
		{"the server renames nothing", []string{"-P", "rename,posix-rename"}, nothingChanged, v1alpha1.ReasonNotWritable, "rename"},
		{"the directory is that of another user", nil, func(t *testing.T, a testsftp.Account, s *v1alpha1.SFTPDestination, _ *keys) {
			must(t, os.Chmod(a.Directory, 0o500))
			s.Path += "/." // and what it is called does not matter
		}, v1alpha1.ReasonNotWritable, "owner"},
		{"nobody listens", nil, func(t *testing.T, _ testsftp.Account, s *v1alpha1.SFTPDestination, _ *keys) {
			s.Port = portOf(closedport.New(t))
		}, v1alpha1.ReasonDestinationUnreachable, "nothing listens there; correct spec.sftp.host and port"},
		{"the server is one of another protocol", nil, func(t *testing.T, _ testsftp.Account, s *v1alpha1.SFTPDestination, _ *keys) {
			server := httptest.NewServer(nil)
			t.Cleanup(server.Close)
			s.Port = portOf(server.Listener.Addr())
		}, v1alpha1.ReasonDestinationUnreachable, "is it one of SFTP"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			account := testsftp.New(t, test.server...)
			spec, given := sftpSpec(account), keys{PrivateKey: account.PrivateKey}
			test.change(t, account, spec.SFTP, &given)
			d := open(t, spec, given)
			for _, err := range []error{check(t.Context(), d), d.Put(t.Context(), key, describe("x"), strings.NewReader("x"))} {
				expectFailure(t, err, test.reason)
				if err != nil && !strings.Contains(err.Error(), test.says) {
					t.Errorf("%q does not say %q", err, test.says)
				}
			}
			if _, err := d.Stat(t.Context(), key); err == nil || errors.Is(err, destinations.ErrNotFound) != (test.reason == v1alpha1.ReasonNotWritable) {
				t.Errorf("Stat says %v", err)
			}
		})
	}
}

func TestAFileInTheWayOfADirectoryOfAnSFTPServerIsNamed(t *testing.T) {
	t.Parallel()
	account := testsftp.New(t)
	must(t, os.WriteFile(filepath.Join(account.Directory, "acme"), nil, 0o600))
	s := subjectOf(t, account)
	err := s.Put(t.Context(), key, describe("x"), strings.NewReader("x"))
	expectFailure(t, err, v1alpha1.ReasonNotWritable)
	if err != nil && !strings.Contains(err.Error(), "move it away") {
		t.Errorf("%q does not say what to do", err)
	}
	s.Holds(t, "acme")
}

func nothingChanged(*testing.T, testsftp.Account, *v1alpha1.SFTPDestination, *keys) {
}

func rsaKey(t *testing.T) ssh.PublicKey {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	key, err := ssh.NewPublicKey(&private.PublicKey)
	must(t, err)
	return key
}

func portOf(address net.Addr) int32 { return int32(address.(*net.TCPAddr).Port) }

func TestAnSFTPServerIsConnectedToAsThePolicyAllows(t *testing.T) {
	t.Parallel()
	account := testsftp.New(t)
	for _, allowed := range [][]string{nil, {"sftp.example.com"}, {"10.0.0.0/8"}} {
		policy, err := outbound.New(allowed)
		must(t, err)
		d, err := tryOpen(t, sftpSpec(account), keys{PrivateKey: account.PrivateKey}, policy)
		must(t, err)
		expectFailure(t, check(t.Context(), d), v1alpha1.ReasonHostNotAllowed)
	}
}

func TestWhatIsWrittenForAnSFTPServerIsReadBeforeItIsAsked(t *testing.T) {
	t.Parallel()
	plain, public := testsftp.NewKey(t)
	line := knownhosts.Line([]string{"sftp.example.com"}, public)
	locked := lockedKey(t, "correct-horse")
	tests := []struct {
		name       string
		knownHosts string
		keys       keys
		reason     v1alpha1.Reason // empty is taken
	}{
		{"as ssh-keyscan writes it", "# sftp.example.com:22 SSH-2.0-OpenSSH_9.2\n" + line + "\n\n# and another\n" + line, keys{PrivateKey: plain}, ""},
		{"the line of a hashed name", strings.Replace(line, "sftp.example.com", knownhosts.HashHostname("sftp.example.com"), 1), keys{PrivateKey: plain}, ""},
		{"no line", "# nothing yet\n", keys{PrivateKey: plain}, v1alpha1.ReasonInvalidSpec},
		{"a line without a name", strings.TrimPrefix(line, "sftp.example.com "), keys{PrivateKey: plain}, v1alpha1.ReasonInvalidSpec},
		{"a line that is cut off", line + "\n" + line[:40], keys{PrivateKey: plain}, v1alpha1.ReasonInvalidSpec},
		{"a line of a type that proves nothing", line + "\nsftp.example.com ssh-dss AAAAB3NzaC1kc3MAAAABAQ==\n", keys{PrivateKey: plain}, v1alpha1.ReasonInvalidSpec},
		{"an authority", "@cert-authority " + line, keys{PrivateKey: plain}, v1alpha1.ReasonInvalidSpec},
		{"a private key with its passphrase", line, keys{PrivateKey: locked, Passphrase: []byte("correct-horse")}, ""},
		{"a private key without its passphrase", line, keys{PrivateKey: locked}, v1alpha1.ReasonMalformedKey},
		{"a private key with another passphrase", line, keys{PrivateKey: locked, Passphrase: []byte("hunter2")}, v1alpha1.ReasonMalformedKey},
		{"a passphrase that the key has not", line, keys{PrivateKey: plain, Passphrase: []byte("hunter2")}, v1alpha1.ReasonMalformedKey},
		{"no private key", line, keys{PrivateKey: []byte("hunter2")}, v1alpha1.ReasonMalformedKey},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := tryOpen(t, v1alpha1.ExportDestinationSpec{SFTP: &v1alpha1.SFTPDestination{KnownHosts: test.knownHosts}},
				test.keys, nil)
			if test.reason != "" {
				expectFailure(t, err, test.reason)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

// lockedKey is a private key with a passphrase.
func lockedKey(t *testing.T, passphrase string) []byte {
	t.Helper()
	private, _ := testsftp.NewKey(t)
	key, err := ssh.ParseRawPrivateKey(private)
	must(t, err)
	block, err := ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte(passphrase))
	must(t, err)
	return pem.EncodeToMemory(block)
}

// TestAUserLogsInWithWhatTheServerAsksFor is against a server of this test, because that of OpenSSH knows the passwords of the
// machine's accounts alone.
func TestAUserLogsInWithWhatTheServerAsksFor(t *testing.T) {
	t.Parallel()
	private, public := testsftp.NewKey(t)
	password := func(given string) (*ssh.Permissions, error) {
		if given != "hunter2" {
			return nil, errors.New("refused")
		}
		return nil, nil
	}
	byPassword := func(_ ssh.ConnMetadata, given []byte) (*ssh.Permissions, error) { return password(string(given)) }
	asked := func(_ ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
		answers, err := ask("", "", []string{"Password: "}, []bool{false})
		if err != nil || len(answers) != 1 {
			return nil, errors.New("no answer")
		}
		return password(answers[0])
	}
	byBoth := func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if !bytes.Equal(key.Marshal(), public.Marshal()) {
			return nil, errors.New("refused")
		}
		return nil, &ssh.PartialSuccessError{Next: ssh.ServerAuthCallbacks{PasswordCallback: byPassword}}
	}
	tests := []struct {
		name   string
		server ssh.ServerConfig
		keys   keys
		reason v1alpha1.Reason // empty is let in
	}{
		{"a password", ssh.ServerConfig{PasswordCallback: byPassword}, keys{Password: []byte("hunter2")}, ""},
		{"another password", ssh.ServerConfig{PasswordCallback: byPassword}, keys{Password: []byte("emergency-password")}, v1alpha1.ReasonLoginRefused},
		{"another password, with one attempt", ssh.ServerConfig{PasswordCallback: byPassword, KeyboardInteractiveCallback: asked, MaxAuthTries: 1},
			keys{Password: []byte("emergency-password")}, v1alpha1.ReasonLoginRefused},
		{"a password that is asked for", ssh.ServerConfig{KeyboardInteractiveCallback: asked}, keys{Password: []byte("hunter2")}, ""},
		{"another password where it is asked for", ssh.ServerConfig{KeyboardInteractiveCallback: asked}, keys{Password: []byte("emergency-password")}, v1alpha1.ReasonLoginRefused},
		{"private key and password", ssh.ServerConfig{PublicKeyCallback: byBoth}, keys{PrivateKey: private, Password: []byte("hunter2")}, ""},
		{"a private key where both are asked for", ssh.ServerConfig{PublicKeyCallback: byBoth}, keys{PrivateKey: private}, v1alpha1.ReasonLoginRefused},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			spec, directory := serveFiles(t, &test.server)
			d := open(t, spec, test.keys)
			s := conformance.Subject{Destination: d, Listing: func() []string { return testsftp.Account{Directory: directory}.Files(t) }}
			if test.reason != "" {
				expectFailure(t, check(t.Context(), s), test.reason)
				s.Holds(t)
				return
			}
			must(t, check(t.Context(), s))
			s.PutText(t, key, "content")
			s.Holds(t, key)
		})
	}
}

// serveFiles serves a directory to whom the settings let in.
func serveFiles(t *testing.T, settings *ssh.ServerConfig) (spec v1alpha1.ExportDestinationSpec, directory string) {
	t.Helper()
	directory = t.TempDir()
	spec = serveSFTP(t, settings, func(channel ssh.Channel) {
		if server, err := sftp.NewServer(channel); err == nil {
			_ = server.Serve()
		}
	})
	spec.SFTP.Path = directory
	return spec, directory
}

// serveSFTP has something speak SFTP with whom the settings let in.
func serveSFTP(t *testing.T, settings *ssh.ServerConfig, speak func(ssh.Channel)) v1alpha1.ExportDestinationSpec {
	t.Helper()
	private, public := testsftp.NewKey(t)
	signer, err := ssh.ParsePrivateKey(private)
	must(t, err)
	settings.AddHostKey(signer)
	listener := listen(t)
	go acceptAll(listener, func(connection net.Conn) { serve(connection, settings, speak) })
	return v1alpha1.ExportDestinationSpec{SFTP: &v1alpha1.SFTPDestination{
		Host: "127.0.0.1", Port: portOf(listener.Addr()), User: "books", Path: ".", KnownHosts: knownhosts.Line([]string{"a-name-that-does-not-matter"}, public),
	}}
}

func acceptAll(listener net.Listener, serve func(net.Conn)) {
	for {
		connection, err := listener.Accept()
		if err != nil {
			return // the test has ended
		}
		go serve(connection)
	}
}

func serve(connection net.Conn, settings *ssh.ServerConfig, speak func(ssh.Channel)) {
	defer func() { _ = connection.Close() }()
	_, channels, requests, err := ssh.NewServerConn(connection, settings)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for offered := range channels {
		channel, requests, err := offered.Accept()
		if err != nil {
			return
		}
		go func() {
			for request := range requests {
				_ = request.Reply(request.Type == "subsystem", nil)
			}
		}()
		speak(channel)
		_ = channel.Close()
	}
}

// way is the network between operator and server. After so many bytes to the server it fails, in its own way, once.
type way struct {
	after int64
	fails func(toServer, toClient net.Conn)
	spent bool
}

// through puts a way before the server of an account, for one connection at a time.
func through(t *testing.T, account testsftp.Account, w *way) v1alpha1.ExportDestinationSpec {
	t.Helper()
	listener := listen(t)
	go acceptAll(listener, func(client net.Conn) {
		defer func() { _ = client.Close() }()
		server, err := net.Dial("tcp", net.JoinHostPort(account.Host, fmt.Sprint(account.Port)))
		if err != nil {
			return
		}
		defer func() { _ = server.Close() }()
		go func() { _, _ = io.Copy(client, server); _ = client.Close() }()
		if !w.spent {
			w.spent = true
			_, _ = io.CopyN(server, client, w.after)
			w.fails(server, client)
			return
		}
		_, _ = io.Copy(server, client)
	})
	spec := sftpSpec(account)
	spec.SFTP.Port = portOf(listener.Addr())
	return spec
}

func TestAConnectionThatIsCutLeavesNothingVisibleAndTheNextAttemptCompletes(t *testing.T) {
	t.Parallel()
	account := testsftp.New(t)
	cut := &way{after: 2 << 20, fails: func(server, client net.Conn) { _ = server.Close(); _ = client.Close() }}
	d := open(t, through(t, account, cut), keys{PrivateKey: account.PrivateKey})
	s := conformance.Subject{Destination: d, Listing: func() []string { return account.Files(t) }}
	content := strings.Repeat("0123456789abcdef", 4<<16)
	expectFailure(t, s.Put(t.Context(), key, describe(content), strings.NewReader(content)), v1alpha1.ReasonDestinationUnreachable)
	for _, left := range account.Files(t) {
		if !strings.HasPrefix(filepath.Base(left), ".") {
			t.Errorf("%s is visible", left)
		}
	}
	s.PutText(t, key, content)
	if found, err := s.Stat(t.Context(), key); err != nil || found.SHA256 != describe(content).SHA256 {
		t.Errorf("found %+v (%v)", found, err)
	}
	s.Holds(t, key)
}

func TestAnSFTPServerThatStopsAnsweringIsLeftWhenTheContextEnds(t *testing.T) {
	t.Parallel()
	content := strings.Repeat("0123456789abcdef", 4<<16)
	for _, test := range []struct {
		name  string
		after int64
		call  func(context.Context, destinations.Destination) error
	}{
		{"at the first word", 0, check},
		{"in the middle of a file", 2 << 20, func(ctx context.Context, d destinations.Destination) error {
			return d.Put(ctx, key, describe(content), strings.NewReader(content))
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			account := testsftp.New(t)
			ctx, cancel := context.WithCancel(t.Context())
			stopped, ended := make(chan struct{}), make(chan struct{})
			defer close(ended)
			silent := &way{after: test.after, fails: func(net.Conn, net.Conn) { close(stopped); <-ended }}
			d := open(t, through(t, account, silent), keys{PrivateKey: account.PrivateKey})
			go func() { <-stopped; cancel() }()
			if err := test.call(ctx, d); !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want the context's error", err)
			}
		})
	}
}

func TestADeadlineThatAnSFTPServerLetsPassIsNamed(t *testing.T) {
	t.Parallel()
	account := testsftp.New(t)
	spec := sftpSpec(account)
	spec.SFTP.Port = portOf(listen(t).Addr())
	d := open(t, spec, keys{PrivateKey: account.PrivateKey})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	err := check(ctx, d)
	expectFailure(t, err, v1alpha1.ReasonDestinationUnreachable)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v is not the context's error", err)
	}
}

func TestWhatADeadWriterLeftAtAnSFTPServerIsTakenAway(t *testing.T) {
	t.Parallel()
	for name, act := range map[string]func(*testing.T, conformance.Subject){
		"by the next one": func(t *testing.T, s conformance.Subject) { s.PutText(t, key, "content"); s.Holds(t, key) },
		"with its object": func(t *testing.T, s conformance.Subject) {
			must(t, s.Remove(t.Context(), key, describe("content")))
			s.Holds(t)
		},
		"and nothing of a neighbour": func(t *testing.T, s conformance.Subject) {
			s.PutText(t, key+".sig", "content")
			s.Holds(t, hiddenPart, key+".sig")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			account := testsftp.New(t)
			leftAt := filepath.Join(account.Directory, hiddenPart)
			s := subjectOf(t, account)
			s.PutText(t, key, "before") // which makes the directories
			must(t, s.Remove(t.Context(), key, describe("before")))
			must(t, os.WriteFile(leftAt, []byte("half a file"), 0o600))
			act(t, s)
		})
	}
}

// hiddenPart is what a writer of the object has written so far.
const hiddenPart = "acme/monthly/monthly-1/.monthly-1.csv.OTHER"

func TestAWriterToAnSFTPServerThatWasStoppedPublishesNothingLater(t *testing.T) {
	t.Parallel()
	conformance.TestStopped(t, onSFTP(t))
}

func TestACheckOfAnSFTPServerRemovesWhatADeadOneLeft(t *testing.T) {
	t.Parallel()
	account := testsftp.New(t)
	s := subjectOf(t, account)
	for name, age := range map[string]time.Duration{".ledgerport-probe-OLD": 2 * time.Hour, ".ledgerport-probe-YOUNG": 0} {
		directory := filepath.Join(account.Directory, name)
		must(t, os.Mkdir(directory, 0o777))
		must(t, os.Chmod(directory, 0o777)) // the server has another user
		must(t, os.WriteFile(filepath.Join(directory, "probe"), nil, 0o600))
		at := time.Now().Add(-age)
		must(t, os.Chtimes(directory, at, at))
	}
	must(t, os.Chmod(account.Directory, 0o777))
	must(t, check(t.Context(), s))
	s.Holds(t, ".ledgerport-probe-YOUNG/probe")
}

func TestAnSFTPDirectoryMayHaveMuchThatIsNotOurs(t *testing.T) {
	t.Parallel()
	account := testsftp.New(t)
	for i := range 12_000 {
		must(t, os.WriteFile(filepath.Join(account.Directory, fmt.Sprintf("statement-of-account-%06d.pdf", i)), nil, 0o600))
	}
	s := subjectOf(t, account)
	must(t, check(t.Context(), s))
	s.PutText(t, key, "content")
	must(t, s.Remove(t.Context(), key, describe("content")))
}

func TestAFullSFTPServerIsNamedAndKeepsNothing(t *testing.T) {
	t.Parallel()
	account := testsftp.New(t)
	if err := syscall.Mount("tmpfs", account.Directory, "tmpfs", 0, "size=64k,mode=777"); err != nil {
		t.Skipf("mounting a small volume needs root: %s", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(account.Directory, syscall.MNT_DETACH) })
	s := subjectOf(t, account)
	content := strings.Repeat("x", 1<<20)
	expectFailure(t, s.Put(t.Context(), key, describe(content), strings.NewReader(content)), v1alpha1.ReasonDestinationFull)
	s.Holds(t)
	s.PutText(t, key, "what fits")
	_ = os.WriteFile(filepath.Join(account.Directory, "rest"), make([]byte, 64<<10), 0o600) // takes all the room that is left
	expectFailure(t, check(t.Context(), s), v1alpha1.ReasonDestinationFull)
	must(t, s.Remove(t.Context(), key, describe("what fits")))
	s.Holds(t, "rest")
}

func TestALocationOfAnSFTPServerIsAURL(t *testing.T) {
	t.Parallel()
	_, public := testsftp.NewKey(t)
	for want, spec := range map[string]v1alpha1.SFTPDestination{
		"sftp://books@sftp.example.com/~/a/b.csv":                 {Host: "sftp.example.com", Port: 22, User: "books", Path: "."},
		"sftp://books@sftp.example.com/~/incoming/a/b.csv":        {Host: "sftp.example.com", Port: 22, User: "books", Path: "incoming/"},
		"sftp://books@sftp.example.com:2222/in%20coming/a/b.csv":  {Host: "sftp.example.com", Port: 2222, User: "books", Path: "/in coming"},
		"sftp://acme%5Cbooks@[2001:db8::1]/a/b.csv":               {Host: "2001:db8::1", Port: 22, User: `acme\books`, Path: "/"},
		"sftp://books%40example.com@[2001:db8::1]:2222/~/a/b.csv": {Host: "2001:db8::1", Port: 2222, User: "books@example.com", Path: "."},
	} {
		spec.KnownHosts = knownhosts.Line([]string{spec.Host}, public)
		d := open(t, v1alpha1.ExportDestinationSpec{SFTP: &spec}, keys{Password: []byte("hunter2")})
		if at := d.Location("a/b.csv"); at != want {
			t.Errorf("%s, want %s", at, want)
		}
	}
}
