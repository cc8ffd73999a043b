package sftp_test

import (
	"net"
	"testing"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/destinations"
	"github.com/ledgerport/ledgerport/internal/destinations/conformance"
	"github.com/ledgerport/ledgerport/internal/destinations/sftp"
	"github.com/ledgerport/ledgerport/internal/outbound"
	"github.com/ledgerport/ledgerport/test/testsftp"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(*testing.T) conformance.Subject{
		"with extensions": onSFTP, "without extensions": onPlainSFTP, "in a chroot": onChrootedSFTP,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conformance.Test(t, sftp.New(), prepare)
		})
	}
}

func TestMemory(t *testing.T) { conformance.TestMemory(t, onSFTP(t)) }

func TestANameThatIsTakenBySomethingElseIsLeftAlone(t *testing.T) {
	t.Parallel()
	conformance.TestOccupied(t, func(t *testing.T) (destinations.Destination, string) {
		account := testsftp.New(t)
		return subjectOf(t, account).Destination, account.Directory
	})
}

// What the tests call.
var (
	check         = conformance.Check
	describe      = conformance.Describe
	expectFailure = conformance.CheckFailure
)

const key, markerName = conformance.Key, destinations.MarkerName

// onSFTP is on a server that has every extension.
func onSFTP(t *testing.T) conformance.Subject { return subjectOf(t, testsftp.New(t)) }

// onPlainSFTP is on a server that has none that are used: it renames over nothing, and makes nothing durable on request.
func onPlainSFTP(t *testing.T) conformance.Subject {
	return subjectOf(t, testsftp.New(t, "-P", "posix-rename,fsync,statvfs"))
}

func onChrootedSFTP(t *testing.T) conformance.Subject { return subjectOf(t, testsftp.NewChrooted(t)) }

func subjectOf(t *testing.T, account testsftp.Account) conformance.Subject {
	return conformance.Subject{
		Destination: open(t, sftpSpec(account), keys{PrivateKey: account.PrivateKey}), Listing: func() []string { return account.Files(t) },
	}
}

func sftpSpec(account testsftp.Account) v1alpha1.ExportDestinationSpec {
	return v1alpha1.ExportDestinationSpec{SFTP: &v1alpha1.SFTPDestination{
		Host: account.Host, Port: account.Port, User: account.User, Path: account.Path, KnownHosts: account.KnownHosts,
	}}
}

// keys are what a Secret holds.
type keys struct{ PrivateKey, Passphrase, Password []byte }

func open(t *testing.T, spec v1alpha1.ExportDestinationSpec, given keys) destinations.Destination {
	t.Helper()
	spec, login := withSecret(spec, given)
	return conformance.Open(t, sftp.New(), spec, login)
}

// tryOpen opens a destination that may be refused.
func tryOpen(t *testing.T, spec v1alpha1.ExportDestinationSpec, given keys, policy *outbound.Policy) (destinations.Destination, error) {
	t.Helper()
	spec, login := withSecret(spec, given)
	return conformance.TryOpen(t, sftp.New(), spec, login, policy)
}

// withSecret names a Secret in a spec, and returns what it holds.
func withSecret(spec v1alpha1.ExportDestinationSpec, given keys) (v1alpha1.ExportDestinationSpec, map[string][]byte) {
	login := map[string][]byte{}
	var named v1alpha1.SFTPCredentialKeys
	for into, value := range map[*string][]byte{&named.PrivateKeyKey: given.PrivateKey, &named.PassphraseKey: given.Passphrase, &named.PasswordKey: given.Password} {
		if value != nil {
			*into = "key " + string(rune('a'+len(login)))
			login[*into] = value
		}
	}
	server := *spec.SFTP
	server.CredentialsSecretRef = &v1alpha1.SFTPCredentials{SFTPCredentialKeys: named}
	spec.SFTP = &server
	return spec, login
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	return listener
}
