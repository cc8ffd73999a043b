package claims

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
)

const (
	defaultConnectTimeout = 5 * time.Second
	// cancelGrace is how long a connection waits for the server to end a query that was cancelled.
	cancelGrace = 2 * time.Second
	// longestURL of a connection, in bytes: each host that it names is tried, and kept several times.
	longestURL = 8 << 10
	// statementCache is the largest number of statements that the library may keep for a connection.
	statementCache = 512
	// timeoutSlack is added to timeouts that the server keeps, so that the context's end is always noticed first.
	timeoutSlack = time.Second
)

// Options say which database to open and where the claims are in it.
type Options struct {
	// URL is postgres://user:password@host:port/database?sslmode=…
	URL string
	// Source names the ClaimSource, as namespace/name.
	Source string
	// Layout names tables and columns. What it leaves out has the defaults of the resource.
	Layout v1alpha1.PostgresSource
	// Dial connects to the server's host, which is given by name and port as in the URL. Where it is nil, any host is reached.
	Dial pgconn.DialFunc
	// ConnectTimeout bounds opening one connection, the server's first answer included. 5 s where it is zero.
	ConnectTimeout time.Duration
}

// Database is one application's database: one connection, and a second one while claims are reserved. It is not safe for
// concurrent use.
type Database struct {
	options Options
	config  *pgx.ConnConfig
	conn    *pgx.Conn
	tables  *layout // as found in the catalog; nil until needed
	// elsewhere says that claims turned out to be bound under another organisation.
	elsewhere bool

	unfiltered bool // in tests, which show that policies of the database suffice
}

// Open connects. Failures have ReasonMalformedURL, ReasonHostNotAllowed, ReasonLoginRefused, ReasonDatabaseNotFound or
// ReasonDatabaseUnreachable.
func Open(ctx context.Context, options Options) (*Database, error) {
	if options.ConnectTimeout == 0 {
		options.ConnectTimeout = defaultConnectTimeout
	}
	config, err := parseURL(options.URL)
	if err != nil {
		return nil, err
	}
	if err := trust(config, options.Layout.CABundle); err != nil {
		return nil, err
	}
	if options.Dial != nil {
		config.DialFunc = options.Dial
		config.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil } // Dial resolves it
	}
	d := &Database{options: options, config: config}
	if d.conn, err = d.connect(ctx); err != nil {
		return nil, err
	}
	return d, nil
}

// Close ends the connection, and waits a moment for the server to have noticed.
func (d *Database) Close() { closeConnection(d.conn) }

func closeConnection(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), cancelGrace)
	defer cancel()
	_ = conn.Close(ctx) // whatever failed, the connection is gone
	select {
	case <-conn.PgConn().CleanupDone():
	case <-ctx.Done():
	}
}

// parseURL accepts what names a host, a user and a database, and says of anything else only that it is wrong: the URL holds
// a password. What the process's own environment or home directory has for the client library, a password or a certificate to
// log in with, is not for whatever host the URL names; and the URL reads no file of the process.
func parseURL(text string) (*pgx.ConnConfig, error) {
	malformed := func(problem string) error {
		return failure.Stalled(v1alpha1.ReasonMalformedURL, nil,
			"the connection URL %s; it must look like postgres://user:password@host:5432/database?sslmode=verify-full", problem)
	}
	if len(text) > longestURL {
		return nil, malformed("is too long")
	}
	parsed, err := url.Parse(strings.TrimSpace(text))
	if err != nil {
		return nil, malformed("is not a URL")
	}
	parameters, err := url.ParseQuery(parsed.RawQuery)
	switch {
	case err != nil:
		return nil, malformed("is not a URL")
	case parsed.Scheme != "postgres" && parsed.Scheme != "postgresql":
		return nil, malformed("does not begin with postgres:// or postgresql://")
	case parsed.Hostname() == "" && parameters.Get("host") == "":
		return nil, malformed("names no host")
	case parsed.User.Username() == "" && parameters.Get("user") == "":
		return nil, malformed("names no user")
	case strings.Trim(parsed.Path, "/") == "":
		return nil, malformed("names no database")
	case slices.ContainsFunc(files, parameters.Has), slices.ContainsFunc(parameters["sslrootcert"], func(root string) bool { return root != "" && root != systemRoots }):
		return nil, malformed("names a file of the operator's own machine (" + strings.Join(files, ", ") +
			" or sslrootcert; authorities of your own belong into spec.postgres.caBundle, or for a command without a ClaimSource into the file that SSL_CERT_FILE names)")
	}
	// What is said last counts. The library must find no parameter but those that were looked at: it reads names with spaces
	// around them, too.
	parsed.RawQuery = strings.TrimPrefix(parsed.RawQuery+"&sslcertmode=disable&passfile=&sslrootcert="+parameters.Get("sslrootcert"), "&")
	known := slices.AppendSeq([]string{"host", "port", "user", "password", "database", "sslcertmode", "passfile", "sslrootcert"}, maps.Keys(parameters))
	config, err := pgx.ParseConfigWithOptions(parsed.String(), pgx.ParseConfigOptions{ParseConfigOptions: pgconn.ParseConfigOptions{ConnStringAllowedKeys: known}})
	if err != nil {
		return nil, malformed("has a part that PostgreSQL does not know (port, sslmode or another parameter)")
	}
	if password, _ := parsed.User.Password(); password == "" && !parameters.Has("password") {
		config.Password = "" // and not that of the environment
	}
	config.StatementCacheCapacity = min(config.StatementCacheCapacity, statementCache) // it is allocated at once
	config.DescriptionCacheCapacity = min(config.DescriptionCacheCapacity, statementCache)
	config.BuildFrontend = metered(func(*meter) {}) // of connections that others open, as migrations do
	config.RuntimeParams["application_name"] = "ledgerport"
	config.RuntimeParams["timezone"] = "UTC"
	config.RuntimeParams["datestyle"] = "ISO"
	config.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: conn, DeadlineDelay: cancelGrace}
	}
	return config, nil
}

// trust lets the server's certificate be checked against authorities of the source's own.
func trust(config *pgx.ConnConfig, bundle string) error {
	if bundle == "" {
		return nil
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(bundle)) {
		return failure.Stalled(v1alpha1.ReasonInvalidSpec, nil, "spec.postgres.caBundle has no certificate in PEM (-----BEGIN CERTIFICATE-----)")
	}
	ways := []*tls.Config{config.TLSConfig}
	for _, fallback := range config.Fallbacks {
		ways = append(ways, fallback.TLSConfig)
	}
	for _, way := range ways {
		if way == nil || way.InsecureSkipVerify && way.VerifyPeerCertificate == nil {
			return failure.Stalled(v1alpha1.ReasonMalformedURL, nil,
				"sslmode of the connection URL does not look at the server's certificate, which spec.postgres.caBundle is for; write sslmode=verify-full")
		}
		way.RootCAs = roots
	}
	return nil
}

// systemRoots is the value of sslrootcert that names no file.
const systemRoots = "system"

// files are parameters of a connection URL that name files, sslrootcert aside.
var files = []string{"passfile", "service", "servicefile", "sslcert", "sslkey"}

// connect opens a connection. The timeout covers every address and TLS mode that is tried.
func (d *Database) connect(ctx context.Context) (*pgx.Conn, error) {
	limited, cancel := context.WithTimeout(ctx, d.options.ConnectTimeout)
	defer cancel()
	var newest *meter // one for each address that is tried
	config := d.config.Copy()
	config.BuildFrontend = metered(func(m *meter) { newest = m })
	conn, err := pgx.ConnectConfig(limited, config)
	if err != nil {
		return nil, connectFailure(ctx, d.config, d.options.ConnectTimeout, err)
	}
	conn.PgConn().CustomData()[meterKey] = newest
	return conn, nil
}

// connection gives the connection, a new one where the old one was lost with a cancelled statement.
func (d *Database) connection(ctx context.Context) (*pgx.Conn, error) {
	if !d.conn.IsClosed() {
		return d.conn, nil
	}
	conn, err := d.connect(ctx)
	if err == nil {
		d.conn = conn
	}
	return conn, err
}

// transact runs a function in a transaction that belongs to a run of an organisation. It is READ COMMITTED, whatever the
// default of the database: runs that end at once raise the same ledger one after the other, and do not fail each other.
func (d *Database) transact(ctx context.Context, options pgx.TxOptions, organizationID, runID string, run func(pgx.Tx) error) error {
	if options.IsoLevel == "" {
		options.IsoLevel = pgx.ReadCommitted
	}
	conn, err := d.connection(ctx)
	if err != nil {
		return err
	}
	defer meterOf(conn).record()()
	tx, err := conn.BeginTx(ctx, options)
	if err != nil {
		return classify(ctx, "beginning a transaction", err)
	}
	defer rollback(ctx, tx)
	if err := bind(ctx, tx, organizationID, runID); err != nil {
		return err
	}
	if err := run(tx); err != nil {
		return err
	}
	return classify(ctx, "committing a transaction", tx.Commit(ctx))
}

// rollback gives up a transaction, if it is still open, even where the context has ended.
func rollback(ctx context.Context, tx pgx.Tx) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cancelGrace)
	defer cancel()
	_ = tx.Rollback(ctx) // either it was committed or the connection is gone
}

// bind makes a transaction the organisation's and the run's, for row-level-security policies to refer to, and lets the server end it
// soon after the context: a process that is stopped or cut off must not hold claims for longer. The session is named after
// the run, so that whoever takes the run over need not even wait for that. What is committed is on disk whatever the
// server's or the role's default is: a server that crashed must not have forgotten what was delivered.
func bind(ctx context.Context, tx pgx.Tx, organizationID, runID string) error {
	milliseconds := "0"
	if deadline, ok := ctx.Deadline(); ok {
		milliseconds = strconv.FormatInt((max(time.Until(deadline), 0) + timeoutSlack).Milliseconds(), 10)
	}
	_, err := tx.Exec(ctx, `SELECT set_config('ledgerport.organization_id', $1, true), set_config('ledgerport.run_id', $4, true),
		set_config('statement_timeout', $2, true), set_config('idle_in_transaction_session_timeout', $2, true),
		set_config('jit', 'off', true), set_config('work_mem', '32MB', true), set_config('application_name', $3, true),
		set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'off' THEN 'local' ELSE current_setting('synchronous_commit') END, true)`,
		organizationID, milliseconds, sessionName(runID), runID)
	return classify(ctx, "beginning a transaction", err)
}

// sessionName is the application_name of the sessions that change a run.
func sessionName(runID string) string { return "ledgerport " + runID }

// disown ends what sessions of older attempts still do with a run: a process that was stopped in the middle of a
// transaction keeps its locks until it wakes up or its deadline passes.
func disown(ctx context.Context, tx pgx.Tx, runID string) error {
	_, err := tx.Exec(ctx, `SELECT pg_terminate_backend(pid, 2000) FROM pg_stat_activity
		WHERE application_name = $1 AND usename = session_user AND datname = current_database() AND pid <> pg_backend_pid()`, sessionName(runID))
	return err
}

// lookUp runs a query for one row in a transaction that sees an organisation, or the one run of an id, whoever's it is:
// the other is empty.
func lookUp(ctx context.Context, conn *pgx.Conn, organizationID, runID string, scan func(pgx.Row) error, query string, arguments ...any) error {
	defer meterOf(conn).record()()
	var batch pgx.Batch // one way to the server and back, and one transaction
	batch.Queue(`SELECT set_config('ledgerport.organization_id', $1, true), set_config('ledgerport.run_id', $2, true)`, organizationID, runID)
	batch.Queue(query, arguments...).QueryRow(scan)
	return conn.SendBatch(ctx, &batch).Close()
}

// organization gives the organisation that a run belongs to.
func (d *Database) organization(ctx context.Context, runID string) (organizationID string, err error) {
	conn, err := d.connection(ctx)
	if err != nil {
		return "", err
	}
	err = lookUp(ctx, conn, "", runID, func(row pgx.Row) error { return row.Scan(&organizationID) },
		`SELECT organization_id FROM ledgerport.runs WHERE id = $1`, runID)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", fenced()
	}
	return organizationID, classify(ctx, "looking up the run", err)
}
