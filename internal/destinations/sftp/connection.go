package sftp

import (
	"bytes"
	"context"
	"crypto/rsa"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
)

const (
	defaultSSHPort = 22
	// silence is how long an SFTP server may say nothing while it is waited for. To make a large file durable takes time.
	silence = time.Minute
	// mostListed is what is taken of a listing, in bytes: some 5,000 names. It is held in memory, and a server may go on for ever.
	mostListed = 1 << 20
)

// errListing ends a listing of which too much came.
var errListing = errors.New("the listing of a directory does not end")

// remoteFiles are those of an SFTP server, at one connection.
type remoteFiles struct {
	*sftp.Client
	wire *impatient
}

// errNoAnswer says that a server has answered a question with no more than that all is well.
var errNoAnswer = errors.New("the server says that all is well, and not what was asked for")

// Stat describes what a name leads to.
func (f *remoteFiles) Stat(name string) (fs.FileInfo, error) {
	return answered(f.Client.Stat(name))
}

// Lstat describes what has a name.
func (f *remoteFiles) Lstat(name string) (fs.FileInfo, error) {
	return answered(f.Client.Lstat(name))
}

// answered insists that a description of a file has one.
func answered(entry fs.FileInfo, err error) (fs.FileInfo, error) {
	if err != nil {
		return nil, err
	}
	if stat, is := entry.Sys().(*sftp.FileStat); is && stat == nil {
		return nil, errNoAnswer
	}
	return entry, nil
}

// Open opens a file to be read.
func (f *remoteFiles) Open(name string) (*sftp.File, error) { return f.OpenFile(name, os.O_RDONLY) }

// OpenFile opens a file.
func (f *remoteFiles) OpenFile(name string, flags int) (*sftp.File, error) {
	file, err := f.Client.OpenFile(name, flags)
	if err == nil && file == nil {
		err = errNoAnswer
	}
	return file, err
}

// ReadDir lists a directory. Where that is too much its error is errListing, and the connection is of no more use.
func (f *remoteFiles) ReadDir(name string) ([]fs.FileInfo, error) {
	f.wire.allow(mostListed)
	entries, err := f.Client.ReadDir(name)
	if f.wire.exceeded() {
		return nil, errListing
	}
	f.wire.allow(0)
	return entries, err
}

// knownHostKeys reads lines of a known_hosts file. The names in them do not matter: all of them are for one server.
// https://man.openbsd.org/sshd#SSH_KNOWN_HOSTS_FILE_FORMAT
func knownHostKeys(text string) (keys []ssh.PublicKey, err error) {
	for rest := []byte(text); ; {
		var marker string
		var key ssh.PublicKey
		marker, _, key, _, rest, err = ssh.ParseKnownHosts(rest)
		switch {
		case errors.Is(err, io.EOF) && len(keys) > 0:
			return keys, nil
		case err != nil:
			return nil, failure.OnDestination.Stalled(v1alpha1.ReasonInvalidSpec, err,
				"spec.sftp.knownHosts has a line that is none of a known_hosts file, or a key of a type that proves nothing any more (ssh-dss), or no line at all: write what `ssh-keyscan HOST` writes, each line a name, a type and a key")
		case marker != "":
			return nil, failure.OnDestination.Stalled(v1alpha1.ReasonInvalidSpec, nil, "spec.sftp.knownHosts has the marker @%s; write the server's host keys themselves", marker)
		}
		keys = append(keys, key)
	}
}

// parsePrivateKey returns the signer of the private key, nil if there is none. What is too long is refused, the password too.
func parsePrivateKey(given secrets) (signer ssh.Signer, err error) {
	switch {
	case len(given.password) > longestPassword:
		return nil, failure.OnCredentials.Stalled(v1alpha1.ReasonMalformedKey, nil, "the password of the Secret has more than %d bytes; no server takes such a one", longestPassword)
	case len(given.privateKey) == 0:
		return nil, nil
	case len(given.privateKey) > longestPrivateKey:
		return nil, failure.OnCredentials.Stalled(v1alpha1.ReasonMalformedKey, nil, "the private key of the Secret has more than %d KiB; no key of SSH has", longestPrivateKey>>10)
	case passphraseRounds(given.privateKey) > mostRounds:
		return nil, failure.OnCredentials.Stalled(v1alpha1.ReasonMalformedKey, nil,
			"the passphrase of the private key takes more than %d rounds to try; write the key anew with ssh-keygen -p -a 100", mostRounds)
	case len(given.passphrase) > 0:
		signer, err = ssh.ParsePrivateKeyWithPassphrase(given.privateKey, given.passphrase)
	default:
		signer, err = ssh.ParsePrivateKey(given.privateKey)
	}
	var locked *ssh.PassphraseMissingError
	switch {
	case errors.As(err, &locked):
		return nil, failure.OnCredentials.Stalled(v1alpha1.ReasonMalformedKey, nil, "the private key of the Secret has a passphrase; name its key in passphraseKey of spec.sftp")
	case err != nil:
		return nil, failure.OnCredentials.Stalled(v1alpha1.ReasonMalformedKey, nil, "the Secret's value is not a private key in OpenSSH format, or the passphrase is wrong")
	case rsaBits(signer) > mostRSABits:
		return nil, failure.OnCredentials.Stalled(v1alpha1.ReasonMalformedKey, nil,
			"the private key of the Secret is one of RSA with more than %d bits; make another, such as with ssh-keygen -t ed25519", mostRSABits)
	}
	return signer, nil
}

// rsaBits is how long a key of RSA is; 0 of another.
func rsaBits(signer ssh.Signer) int {
	shown, _ := signer.PublicKey().(ssh.CryptoPublicKey)
	if shown == nil {
		return 0
	}
	if key, is := shown.CryptoPublicKey().(*rsa.PublicKey); is {
		return key.N.BitLen()
	}
	return 0
}

const (
	// longestPassword in bytes, as OpenSSH takes one. A server may ask for it mostQuestions times at once.
	longestPassword, mostQuestions = 1024, 10
	// longestPrivateKey in bytes: one of RSA with 16,384 bits has less.
	longestPrivateKey = 16 << 10
	// mostRSABits is what ssh-keygen makes at most. In another format twice as many fit into longestPrivateKey, and to log in with such a key
	// takes half a minute, in which nothing can end it.
	mostRSABits = 16384
	// mostRounds of the function that makes a key of a passphrase: some seconds, in which nothing can end it.
	mostRounds = 256
)

// passphraseRounds is how many rounds a private key of OpenSSH wants; 0 if it does not say.
// https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.key
func passphraseRounds(private []byte) uint32 {
	block, _ := pem.Decode(private)
	if block == nil {
		return 0
	}
	var key struct {
		Cipher, Function, Options string
		Rest                      []byte `ssh:"rest"`
	}
	var options struct {
		Salt   string
		Rounds uint32
	}
	content, isOpenSSH := bytes.CutPrefix(block.Bytes, []byte("openssh-key-v1\x00"))
	if !isOpenSSH || ssh.Unmarshal(content, &key) != nil || ssh.Unmarshal([]byte(key.Options), &options) != nil {
		return 0
	}
	return options.Rounds
}

// connect logs in. Everything until then ends with the context.
func (s *fileServer) connect(ctx context.Context) (*ssh.Client, *impatient, error) {
	connection, err := s.policy.DialContext(ctx, "tcp", s.address)
	if err != nil {
		return nil, nil, err
	}
	defer context.AfterFunc(ctx, func() { _ = connection.Close() })()
	l, wire := &login{server: s}, &impatient{Conn: connection}
	accepted, channels, requests, err := ssh.NewClientConn(wire, s.address, &ssh.ClientConfig{
		User: s.spec.User, HostKeyCallback: l.identify, HostKeyAlgorithms: hostKeyAlgorithms(s.known), AuthCallback: l.next,
	})
	if err != nil {
		return nil, nil, l.failure(err)
	}
	return ssh.NewClient(accepted, channels, requests), wire, nil
}

// hostKeyAlgorithms are those by which a server can prove that it has one of the keys, so that it shows that one of its keys
// which is known. The ones with SHA-1 are not among them.
func hostKeyAlgorithms(known []ssh.PublicKey) (algorithms []string) {
	for _, key := range known {
		proofs := []string{key.Type()}
		if key.Type() == ssh.KeyAlgoRSA {
			proofs = []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
		}
		for _, proof := range proofs {
			if !slices.Contains(algorithms, proof) {
				algorithms = append(algorithms, proof)
			}
		}
	}
	return algorithms
}

// login is one way from a connection to a user that is logged in.
type login struct {
	server     *fileServer
	identified bool // the server has one of the known keys
	asked      bool // it was asked to let the user in
}

// unknownHostKeyError says that a server has shown a key that is not known.
type unknownHostKeyError struct{ key ssh.PublicKey }

func (*unknownHostKeyError) Error() string { return "the host key is not known" }

// errNothingLeft ends a login in which everything was offered that the server takes.
var errNothingLeft = errors.New("the server took nothing that was offered to log in with")

// identify implements ssh.HostKeyCallback.
func (l *login) identify(_ string, _ net.Addr, shown ssh.PublicKey) error {
	l.identified = slices.ContainsFunc(l.server.known, func(known ssh.PublicKey) bool {
		return bytes.Equal(known.Marshal(), shown.Marshal())
	})
	if !l.identified {
		return &unknownHostKeyError{shown}
	}
	return nil
}

// next implements ssh.ClientAuthCallback: the private key is offered first, and the password once, in the one way or the other.
func (l *login) next(so *ssh.ClientAuthContext) (ssh.AuthMethod, error) {
	may := func(method string) bool {
		return slices.Contains(so.AllowedMethods, method) &&
			!slices.Contains(so.TriedMethods, method) && !slices.Contains(so.PartialSuccessMethods, method)
	}
	password := []byte(l.server.password)
	l.asked = true
	switch {
	case l.server.signer != nil && may("publickey"):
		return ssh.PublicKeys(l.server.signer), nil
	case len(password) > 0 && may("password"):
		return ssh.Password(l.server.password), nil
	case len(password) > 0 && may("keyboard-interactive") && !slices.Contains(so.TriedMethods, "password"):
		return ssh.KeyboardInteractive(l.answer), nil
	}
	return nil, errNothingLeft
}

// answer answers with the password to whatever is asked without being shown, as PAM asks for it. The library takes memory for all answers.
func (l *login) answer(_, _ string, questions []string, shown []bool) ([]string, error) {
	if len(questions) > mostQuestions {
		return nil, errNothingLeft
	}
	answers := make([]string, len(questions))
	for i := range questions {
		if shown[i] {
			return nil, errNothingLeft
		}
		answers[i] = l.server.password
	}
	return answers, nil
}

// impatient is a connection that ends where nothing comes for too long after something was written or came, or too much where
// that is limited.
type impatient struct {
	net.Conn
	came  atomic.Int64 // bytes
	limit atomic.Int64 // of them; 0 is none
}

// Read implements net.Conn.
func (c *impatient) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.came.Add(int64(n))
	if err == nil && c.exceeded() {
		err = errListing
	}
	if err == nil {
		err = c.SetDeadline(time.Now().Add(silence))
	}
	return n, err
}

// allow lets so many bytes come from now on; 0 lets any number.
func (c *impatient) allow(more int64) {
	if more > 0 {
		more += c.came.Load()
	}
	c.limit.Store(more)
}

func (c *impatient) exceeded() bool {
	limit := c.limit.Load()
	return limit > 0 && c.came.Load() > limit
}

// Write implements net.Conn.
func (c *impatient) Write(p []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(silence)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}
