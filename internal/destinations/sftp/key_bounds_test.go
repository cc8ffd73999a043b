package sftp_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"encoding/pem"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/outbound"
	"github.com/ledgerport/ledgerport/test/testsftp"
)

// TestOpen_PrivateKeyThatTakesYears has a Secret with a key whose passphrase wants a thousand million rounds, and one of a megabyte.
func TestOpen_PrivateKeyThatTakesYears(t *testing.T) {
	t.Parallel()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	block, err := ssh.MarshalPrivateKeyWithPassphrase(private, "", []byte("hunter2"))
	must(t, err)
	usual, many := binary.BigEndian.AppendUint32(nil, 16), binary.BigEndian.AppendUint32(nil, 1<<30)
	salt := bytes.Index(block.Bytes, []byte("bcrypt")) + len("bcrypt") + 4 + 4 + 16
	if !bytes.Equal(block.Bytes[salt:salt+4], usual) {
		t.Fatalf("the rounds are not at %d", salt)
	}
	encoded := pem.EncodeToMemory(block)
	copy(block.Bytes[salt:], many)
	_, hostKey := testsftp.NewKey(t)
	spec := v1alpha1.ExportDestinationSpec{SFTP: &v1alpha1.SFTPDestination{Host: "127.0.0.1", Port: 22, User: "books", Path: ".", KnownHosts: "a " + string(ssh.MarshalAuthorizedKey(hostKey))}}
	policy, err := outbound.New([]string{"127.0.0.1"})
	must(t, err)
	for name, test := range map[string]struct {
		key    []byte
		reason v1alpha1.Reason
	}{
		"as ssh-keygen writes it":        {encoded, ""},
		"with a thousand million rounds": {pem.EncodeToMemory(block), v1alpha1.ReasonMalformedKey},
		"of a megabyte":                  {append(bytes.Repeat([]byte("\n"), 1<<20), encoded...), v1alpha1.ReasonMalformedKey},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			_, err := tryOpen(t, spec, keys{PrivateKey: test.key, Passphrase: []byte("hunter2")}, policy)
			if test.reason == "" {
				must(t, err)
			} else {
				expectFailure(t, err, test.reason)
			}
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}
