package sftp_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
	"unicode"

	"golang.org/x/crypto/ssh"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

// Types of packets of the protocol. draft-ietf-secsh-filexfer-02, section 3
const (
	packetInit, packetVersion, packetLstat                                   = 1, 2, 7
	packetOpen, packetRead, packetStat, packetOpenDirectory, packetReadNames = 3, 5, 17, 11, 12
	packetStatus, packetHandle, packetData, packetNames, packetAttributes    = 101, 102, 103, 104, 105
)

// endlessSFTP has a directory whose listing does not end, with a file that does not end, and says to everything else that
// it is done.
func endlessSFTP(channel ssh.Channel) {
	const directory, regular = 0o40755, 0o100644
	name := ssh.Marshal(struct {
		Name, Long string
		Flags      uint32
	}{strings.Repeat("n", 200), strings.Repeat("l", 200), 0})
	for {
		var head [5]byte // length and type
		if _, err := io.ReadFull(channel, head[:]); err != nil {
			return
		}
		body := make([]byte, binary.BigEndian.Uint32(head[:])-1)
		if _, err := io.ReadFull(channel, body); err != nil {
			return
		}
		kind, content := byte(packetStatus), []byte{0, 0, 0, 0} // which is well
		switch head[4] {
		case packetInit:
			body, kind, content = []byte{0, 0, 0, 3}, packetVersion, nil
		case packetStat:
			kind, content = packetAttributes, ssh.Marshal(struct{ Flags, Mode uint32 }{4, directory})
		case packetOpen, packetOpenDirectory:
			kind, content = packetHandle, ssh.Marshal(struct{ Handle string }{"h"})
		case packetRead:
			kind, content = packetData, ssh.Marshal(struct{ Data []byte }{make([]byte, 1000)})
		case packetLstat:
			kind, content = packetAttributes, ssh.Marshal(struct{ Flags, Mode uint32 }{4, regular})
		case packetReadNames:
			kind, content = packetNames, append([]byte{0, 0, 0, 100}, strings.Repeat(string(name), 100)...)
		}
		packet := append(append([]byte{kind}, body[:4]...), content...) // its id is that of the question
		if _, err := channel.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(packet))), packet...)); err != nil {
			return
		}
	}
}

// contentSFTP says to everything that it is done, which is no answer to most questions.
func contentSFTP(channel ssh.Channel) {
	for {
		var head [5]byte // length and type
		if _, err := io.ReadFull(channel, head[:]); err != nil {
			return
		}
		body := make([]byte, binary.BigEndian.Uint32(head[:])-1)
		if _, err := io.ReadFull(channel, body); err != nil {
			return
		}
		packet := append(append([]byte{packetStatus}, body[:4]...), 0, 0, 0, 0)
		if head[4] == packetInit {
			packet = []byte{packetVersion, 0, 0, 0, 3}
		}
		if _, err := channel.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(packet))), packet...)); err != nil {
			return
		}
	}
}

func TestAnSFTPServerThatDoesNotEndIsLeft(t *testing.T) {
	t.Parallel()
	spec := serveSFTP(t, &ssh.ServerConfig{NoClientAuth: true}, endlessSFTP)
	d := open(t, spec, keys{Password: []byte("hunter2")})
	for name, call := range map[string]func(context.Context) error{
		"checked": func(ctx context.Context) error { return check(ctx, d) },
		"written": func(ctx context.Context) error { return d.Put(ctx, key, describe("x"), strings.NewReader("x")) },
		"removed": func(ctx context.Context) error { return d.Remove(ctx, key, describe("content")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // in which some gigabytes come
			defer cancel()
			err := call(ctx)
			expectFailure(t, err, v1alpha1.ReasonNotWritable)
			if err != nil && !strings.Contains(err.Error(), "more names than can be listed") && !strings.Contains(err.Error(), markerName) {
				t.Errorf("%q does not say why", err)
			}
		})
	}
	t.Run("that answers nothing", func(t *testing.T) {
		t.Parallel()
		d := open(t, serveSFTP(t, &ssh.ServerConfig{NoClientAuth: true}, contentSFTP), keys{Password: []byte("hunter2")})
		_, missing := d.Stat(t.Context(), key)
		for _, err := range []error{check(t.Context(), d), missing, d.Put(t.Context(), key, describe("x"), strings.NewReader("x")), d.Remove(t.Context(), key, describe("x"))} {
			expectFailure(t, err, v1alpha1.ReasonNotWritable)
		}
	})
	t.Run("read", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		_, err := d.Stat(ctx, key)
		expectFailure(t, err, v1alpha1.ReasonDestinationUnreachable)
	})
}

func TestAnSFTPServerThatSaysThatAllIsWellAndNothingElseIsLeft(t *testing.T) {
	t.Parallel()
	spec := serveSFTP(t, &ssh.ServerConfig{NoClientAuth: true}, func(channel ssh.Channel) {
		answerPackets(channel, []byte{packetStatus, 4, 0, 0, 0, 0})
	})
	_, err := open(t, spec, keys{Password: []byte("hunter2")}).Check(t.Context(), "")
	expectFailure(t, err, v1alpha1.ReasonNotWritable)
}

// TestWordsOfAnSFTPServerAreNotPassedOn has a server say all that it can before it lets somebody in.
func TestWordsOfAnSFTPServerAreNotPassedOn(t *testing.T) {
	t.Parallel()
	words := "\x1b[31mhunter2\r\n" + strings.Repeat("x", 20<<10)
	refused := func(ssh.ConnMetadata, []byte) (*ssh.Permissions, error) {
		return nil, &ssh.BannerError{Err: errors.New("refused"), Message: words}
	}
	for name, settings := range map[string]*ssh.ServerConfig{
		"to whom it refuses": {BannerCallback: func(ssh.ConnMetadata) string { return words }, PasswordCallback: refused},
		"in its questions": {KeyboardInteractiveCallback: func(_ ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
			_, err := ask(words, words, []string{words}, []bool{true})
			return nil, errors.Join(errors.New("refused"), err)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec, _ := serveFiles(t, settings)
			err := check(t.Context(), open(t, spec, keys{Password: []byte("emergency-password")}))
			expectFailure(t, err, v1alpha1.ReasonLoginRefused)
			if err != nil && (len(err.Error()) > 200 || strings.ContainsFunc(err.Error(), unicode.IsControl) || strings.Contains(err.Error(), "emergency")) {
				t.Errorf("the message is %.300q", err)
			}
		})
	}
}
