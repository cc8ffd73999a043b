package main

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

func TestLine(t *testing.T) {
	t.Parallel()
	tests := map[string]func(*testing.T, *line){
		"passes on what travels": func(t *testing.T, l *line) {
			if got, err := l.echo(t, "hello"); got != "hello" || err != nil {
				t.Errorf("came back %q (%v)", got, err)
			}
		},
		"ends and refuses connections while it is cut, and none after": func(t *testing.T, l *line) {
			before := l.dial(t)
			l.cut()
			if _, err := io.ReadAll(before); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("a connection outlived the cut")
			}
			if _, err := net.Dial("tcp", l.address()); err == nil {
				t.Error("a connection was made while the line was cut")
			}
			if err := l.repair(); err != nil {
				t.Fatal(err)
			}
			if got, err := l.echo(t, "hello"); got != "hello" || err != nil {
				t.Errorf("after it was repaired came back %q (%v)", got, err)
			}
		},
		"delays what the server says": func(t *testing.T, l *line) {
			l.disturb(trouble{delay: 150 * time.Millisecond, jitter: 50 * time.Millisecond})
			begun := time.Now()
			if got, err := l.echo(t, "hello"); got != "hello" || err != nil || time.Since(begun) < 100*time.Millisecond {
				t.Errorf("came back %q after %s (%v)", got, time.Since(begun), err)
			}
		},
		"loses what is said to the server until it is calm, and then the connection": func(t *testing.T, l *line) {
			connection := l.dial(t)
			l.disturb(trouble{lost: true})
			if _, err := connection.Write([]byte("hello")); err != nil {
				t.Fatal(err)
			}
			_ = connection.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
			if n, err := connection.Read(make([]byte, 1)); n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("read %d bytes (%v), want silence", n, err)
			}
			l.calm()
			_ = connection.SetReadDeadline(time.Now().Add(10 * time.Second))
			if n, err := connection.Read(make([]byte, 1)); n > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("read %d bytes (%v), want the end", n, err)
			}
			if got, err := l.echo(t, "hello"); got != "hello" || err != nil {
				t.Errorf("after it was calm came back %q (%v)", got, err)
			}
		},
		"resets a connection after so many bytes to the server": func(t *testing.T, l *line) {
			l.disturb(trouble{reset: 3})
			if got, _ := l.echo(t, "hello"); len(got) > 3 {
				t.Errorf("came back %q", got)
			}
			l.calm()
			if got, err := l.echo(t, "hello"); got != "hello" || err != nil {
				t.Errorf("after it was calm came back %q (%v)", got, err)
			}
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := newLine(loopback, echoServer(t))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(l.cut)
			test(t, l)
		})
	}
}

// dial connects, for no longer than a test may take.
func (l *line) dial(t *testing.T) net.Conn {
	t.Helper()
	connection, err := net.Dial("tcp", l.address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	_ = connection.SetDeadline(time.Now().Add(10 * time.Second))
	return connection
}

// echo returns what comes back of a word.
func (l *line) echo(t *testing.T, word string) (string, error) {
	t.Helper()
	connection := l.dial(t)
	if _, err := connection.Write([]byte(word)); err != nil {
		return "", err
	}
	answer := make([]byte, len(word))
	n, err := io.ReadFull(connection, answer)
	return string(answer[:n]), err
}

// echoServer repeats what it is told.
func echoServer(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return // the test has ended
			}
			go func() { _, _ = io.Copy(connection, connection); _ = connection.Close() }()
		}
	}()
	return listener.Addr().String()
}
