// Package environment starts the real servers that tests, demo and bench need, from what a machine has: a PostgreSQL, a
// Kubernetes control plane, an S3 server, an SFTP server. None of them is part of the product.
package environment

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"github.com/jackc/pgx/v5"
)

const (
	postgresUser     = "postgres"
	postgresPassword = "throw-away-password" // of a server that lives for one test run
	loopback         = "127.0.0.1"
)

// Postgres is a throw-away server.
type Postgres struct {
	// URL of the database postgres, as its superuser.
	URL       string
	directory string
	settings  []string
	server    *server
	command   func() *exec.Cmd
}

// StartPostgres makes a cluster in a directory that is empty or does not exist yet, and starts a server on it, on the
// loopback interface. Both end with this process. log gets what PostgreSQL says if it does not start, and what is installed. Settings
// such as log_statement=all are the server's own.
func StartPostgres(ctx context.Context, directory string, log io.Writer, settings ...string) (*Postgres, error) {
	return StartPostgresAt(ctx, directory, loopback, log, settings...)
}

// StartPostgresAt is StartPostgres on an address of this machine that others can reach.
func StartPostgresAt(ctx context.Context, directory, address string, log io.Writer, settings ...string) (*Postgres, error) {
	initdb, err := findInitdb(ctx, log)
	if err != nil {
		return nil, err
	}
	owner, _, err := unprivileged("postgres", "nobody")
	if err != nil {
		return nil, err
	}
	p := &Postgres{directory: directory, settings: settings}
	if err := p.makeCluster(ctx, initdb, owner); err != nil {
		p.Stop()
		return nil, fmt.Errorf("making a PostgreSQL cluster: %w", err)
	}
	if err := p.start(ctx, filepath.Join(filepath.Dir(initdb), "postgres"), address, owner); err != nil {
		p.Stop()
		return nil, fmt.Errorf("starting PostgreSQL: %w", err)
	}
	return p, nil
}

// PostgresBinaries is the directory of the PostgreSQL that StartPostgres would start.
func PostgresBinaries(ctx context.Context, log io.Writer) (string, error) {
	initdb, err := findInitdb(ctx, log)
	return filepath.Dir(initdb), err
}

// findInitdb looks where distributions put it, and installs Debian's package where that is possible.
func findInitdb(ctx context.Context, log io.Writer) (string, error) {
	look := func() string {
		found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // the pattern is well formed
		slices.Sort(found)
		if onPath, err := exec.LookPath("initdb"); err == nil {
			if real, err := filepath.EvalSymlinks(onPath); err == nil {
				found = append(found, real)
			}
		}
		if len(found) == 0 {
			return ""
		}
		return found[len(found)-1]
	}
	if initdb := look(); initdb != "" {
		return initdb, nil
	}
	if mayInstall() {
		if err := installPostgres(ctx, log); err != nil {
			return "", err
		}
		if initdb := look(); initdb != "" {
			return initdb, nil
		}
	}
	return "", errors.New("there is no PostgreSQL: put initdb on PATH, install Debian's package postgresql, or name a server in LEDGERPORT_TEST_DATABASE_URL")
}

// installPostgres installs Debian's package without the cluster that it would start.
func installPostgres(ctx context.Context, log io.Writer) error {
	if err := os.MkdirAll("/etc/postgresql-common", 0o755); err != nil { // #nosec G301 -- as the package makes it
		return err
	}
	const settings = "/etc/postgresql-common/createcluster.conf"
	if _, err := os.Stat(settings); errors.Is(err, fs.ErrNotExist) { // what the machine's owner wrote there stands
		if err := os.WriteFile(settings, []byte("create_main_cluster = false\n"), 0o644); err != nil { // #nosec G306 -- as above
			return err
		}
	}
	return installPackage(ctx, "postgresql", log)
}

func (p *Postgres) makeCluster(ctx context.Context, initdb string, owner *syscall.Credential) error {
	if err := os.MkdirAll(p.directory, 0o700); err != nil {
		return err
	}
	password := filepath.Join(p.directory, "password")
	if err := os.WriteFile(password, []byte(postgresPassword), 0o600); err != nil {
		return err
	}
	if owner != nil {
		if err := handOver(owner, p.directory, password); err != nil {
			return err
		}
	}
	command := exec.CommandContext(ctx, initdb, "--pgdata", p.data(), "--username", postgresUser, "--pwfile", password, // #nosec G204 -- found above
		"--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync")
	command.Dir, command.SysProcAttr = p.directory, &syscall.SysProcAttr{Credential: owner}
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, output)
	}
	return nil
}

func (p *Postgres) data() string { return filepath.Join(p.directory, "data") }

func (p *Postgres) start(ctx context.Context, postgres, address string, owner *syscall.Credential) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	if address != loopback {
		if err := p.admit("host all all 0.0.0.0/0 scram-sha-256\n"); err != nil { //nolint:dupword // any database, any user
			return err
		}
	}
	p.command = func() *exec.Cmd {
		command := exec.Command(postgres, "-D", p.data(), "-h", address, "-p", strconv.Itoa(port), "-k", "", // #nosec G204 -- found above
			"-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off", "-c", "shared_buffers=256MB",
			"-c", "max_connections=300", "-c", "max_wal_size=4GB", "-c", "autovacuum_naptime=10min")
		for _, setting := range p.settings {
			command.Args = append(command.Args, "-c", setting)
		}
		command.SysProcAttr = &syscall.SysProcAttr{Credential: owner}
		return command
	}
	if p.server, err = startServer(p.command(), p.directory); err != nil {
		return err
	}
	p.URL = (&url.URL{
		Scheme: "postgres", User: url.UserPassword(postgresUser, postgresPassword),
		Host: net.JoinHostPort(address, strconv.Itoa(port)), Path: "/postgres", RawQuery: "sslmode=disable",
	}).String()
	return p.server.waitUntilUp(ctx, p.ask)
}

func (p *Postgres) ask(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, p.URL)
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

// Pid is the id of the server's first process.
func (p *Postgres) Pid() int { return p.server.command.Process.Pid }

// Restart shuts the server down at once, as a crash would, and starts it again on the same data and address.
func (p *Postgres) Restart(ctx context.Context) error {
	if err := p.server.restart(p.command()); err != nil {
		return err
	}
	return p.server.waitUntilUp(ctx, p.ask)
}

// admit adds a rule on who may connect.
func (p *Postgres) admit(rule string) error {
	file, err := os.OpenFile(filepath.Join(p.data(), "pg_hba.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteString(rule)
	return errors.Join(err, file.Close())
}

// Stop ends the server and removes its data.
func (p *Postgres) Stop() {
	if p.server != nil {
		p.server.stop()
		p.server = nil
	}
	_ = os.RemoveAll(p.directory) // a leftover in the temporary directory is no failure
}
