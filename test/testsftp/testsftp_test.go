package testsftp_test

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/ledgerport/ledgerport/test/testsftp"
)

func TestAnAccountMayWriteInItsDirectory(t *testing.T) {
	t.Parallel()
	account := testsftp.New(t)
	signer, err := ssh.ParsePrivateKey(account.PrivateKey)
	must(t, err)
	_, _, hostKey, _, _, err := ssh.ParseKnownHosts([]byte(account.KnownHosts))
	must(t, err)
	connection, err := ssh.Dial("tcp", net.JoinHostPort(account.Host, strconv.Itoa(int(account.Port))), &ssh.ClientConfig{
		User: account.User, Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyCallback: ssh.FixedHostKey(hostKey),
	})
	must(t, err)
	t.Cleanup(func() { _ = connection.Close() })
	client, err := sftp.NewClient(connection)
	must(t, err)
	file, err := client.OpenFile(account.Path+"/a.txt", os.O_WRONLY|os.O_CREATE)
	must(t, err)
	_, err = file.Write([]byte("content"))
	must(t, err)
	must(t, file.Close())
	if files := account.Files(t); !slices.Equal(files, []string{"a.txt"}) {
		t.Errorf("the directory has %q", files)
	}
	if content, err := os.ReadFile(filepath.Join(account.Directory, "a.txt")); err != nil || string(content) != "content" {
		t.Errorf("the file has %q (%v)", content, err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
