package environment

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
)

// PgBouncer is a throw-away pooler before a server of PostgreSQL.
type PgBouncer struct {
	// URL is that of the database, through the pooler.
	URL    string
	server *server
}

// PgBouncerProgram is the pooler that StartPgBouncer would start.
func PgBouncerProgram(ctx context.Context, log io.Writer) (string, error) {
	program, err := findServer(ctx, "pgbouncer", "pgbouncer", log)
	if err != nil || program == "" {
		return "", errors.Join(err, errors.New("there is no PgBouncer for the tests of poolers: install Debian's package pgbouncer, or put it on PATH"))
	}
	return program, nil
}

// StartPgBouncer starts a pooler in a directory that is empty or does not exist yet, before the database of a URL, for its user,
// with further settings, a line each. It ends with this process. log gets what is installed.
func StartPgBouncer(ctx context.Context, directory, database string, log io.Writer, settings ...string) (*PgBouncer, error) {
	program, err := PgBouncerProgram(ctx, log)
	if err != nil {
		return nil, err
	}
	owner, _, err := unprivileged("postgres", "nobody")
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	at, err := url.Parse(database)
	if err != nil {
		return nil, err
	}
	config, err := writePgBouncer(directory, at, port, owner, settings)
	if err != nil {
		return nil, err
	}
	command := exec.Command(program, config) // #nosec G204 -- found above
	command.SysProcAttr = &syscall.SysProcAttr{Credential: owner}
	b := &PgBouncer{}
	if b.server, err = startServer(command, directory); err != nil {
		return nil, fmt.Errorf("starting PgBouncer: %w", err)
	}
	at.Host = net.JoinHostPort(loopback, strconv.Itoa(port))
	b.URL = at.String()
	if err := b.server.waitUntilUp(ctx, b.ask); err != nil {
		b.Stop()
		return nil, fmt.Errorf("starting PgBouncer: %w", err)
	}
	return b, nil
}

// writePgBouncer writes settings and users, for the pooler's own user to read.
func writePgBouncer(directory string, database *url.URL, port int, owner *syscall.Credential, settings []string) (config string, err error) {
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return "", err
	}
	password, _ := database.User.Password()
	users, config := filepath.Join(directory, "users"), filepath.Join(directory, "pgbouncer.ini")
	for name, content := range map[string]string{
		users: fmt.Sprintf("%q %q\n", database.User.Username(), password),
		config: fmt.Sprintf("[databases]\n* = host=%s port=%s\n[pgbouncer]\nlisten_addr = %s\nlisten_port = %d\nunix_socket_dir =\nauth_type = scram-sha-256\nauth_file = %s\n%s\n",
			database.Hostname(), database.Port(), loopback, port, users, strings.Join(settings, "\n")),
	} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			return "", err
		}
	}
	if owner == nil {
		return config, nil
	}
	return config, handOver(owner, directory, users, config)
}

func (b *PgBouncer) ask(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, b.URL)
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

// Stop ends the pooler and removes its directory.
func (b *PgBouncer) Stop() {
	if b.server != nil {
		b.server.stop()
		b.server = nil
	}
}
