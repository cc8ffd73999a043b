package claims

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/panics"
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
	// URL is postgres://user:password@host:port/database. The server's certificate is verified unless it says otherwise.
	URL string
	// Login names where the URL is, for people, such as the key "url" of Secret acme/database; empty if it was given by hand.
	Login string
	// Source names the ClaimSource, as namespace/name.
	Source string
	// Allowed is what the connection may do without.
	Allowed Allowances
	// Layout names tables and columns. What it leaves out has the defaults of the resource.
	Layout v1alpha1.PostgresSource
	// Receipts says which receipts claims have; nil if that is not known.
	Receipts *v1alpha1.ReceiptsSource
	// FullCheck is how often a run compares all approved claims with all that are exported: those between look at what was approved
	// since. 0 is at each.
	FullCheck time.Duration
	// Dial connects to the server's host, which is given by name and port as in the URL. Where it is nil, any host is reached.
	Dial pgconn.DialFunc
	// ConnectTimeout bounds opening one connection, the server's first answer included. 5 s where it is zero.
	ConnectTimeout time.Duration
	// Sessions keeps sessions that were opened with the same options; nil keeps none.
	Sessions *Sessions
}

// Database is one application's database: one connection, and a second one while claims are reserved. It is not safe for
// concurrent use.
type Database struct {
	options Options
	config  *pgx.ConnConfig
	key     sessionKey
	conn    *pgx.Conn
	reader  *pgx.Conn // that has read to the end of all that it was to read; nil if there is none
	keep    bool      // sessions are kept at the end
	tables  *layout   // as found in the catalog; nil until needed
	shared  pgx.Tx    // that reads much at once; nil if none is open
	// identifier is that of the server; nil until it was asked for.
	identifier *string
	// newest is the record of a run as the newest step has left it; nil if something else was written since.
	newest *Run
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
	config, err := parseURL(options.URL, options.Layout.CABundle, options.Allowed)
	if err != nil {
		return nil, err
	}
	if options.Dial != nil {
		config.DialFunc = options.Dial
		config.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil } // Dial resolves it
	}
	config.DialFunc = countAhead(config.DialFunc)
	d := &Database{options: options, config: config, key: keyOf(options, config)}
	if d.conn = options.Sessions.take(ctx, d.key); d.conn != nil {
		return d, nil
	}
	if d.conn, err = d.connect(ctx); err != nil {
		return nil, err
	}
	return d, nil
}

// Keep says that all has ended as it was meant to: Close then keeps the sessions that nothing unclear has happened on.
func (d *Database) Keep() { d.keep = true }

// Close gives the connection back to those that are kept, or ends it and waits a moment for the server to have noticed.
func (d *Database) Close() {
	for _, conn := range []*pgx.Conn{d.reader, d.conn} {
		switch {
		case conn == nil: // it was given back
		case d.keep:
			d.options.Sessions.put(d.key, conn)
		default:
			closeConnection(conn)
		}
	}
	d.reader = nil
	if d.keep {
		d.conn = nil
	}
}

func closeConnection(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), cancelGrace)
	defer cancel()
	_ = conn.Close(ctx) // whatever failed, the connection is gone
	if meter := meterOf(conn); meter == nil || meter.err == nil {
		select {
		case <-conn.PgConn().CleanupDone():
		case <-ctx.Done():
		}
	}
	_ = conn.PgConn().Conn().Close() // else the library goes on reading whatever comes, for 15 s
}

// connect opens a connection. The timeout covers every address and TLS mode that is tried.
func (d *Database) connect(ctx context.Context) (*pgx.Conn, error) {
	limited, cancel := context.WithTimeout(ctx, d.options.ConnectTimeout)
	defer cancel()
	var newest *meter // one for each address that is tried
	config := d.config.Copy()
	config.BuildFrontend = metered(func(m *meter) { newest = m })
	conn, err := pgx.ConnectConfig(limited, config)
	if err != nil {
		return nil, connectFailure(ctx, d.config, d.options.ConnectTimeout, d.options.Login, err)
	}
	conn.PgConn().CustomData()[meterKey] = newest
	conn.PgConn().CustomData()[openedKey] = time.Now() //nolint:forbidigo // how old a session of this process is
	return conn, nil
}

// connection returns the connection, a new one where the old one was lost with a cancelled statement.
func (d *Database) connection(ctx context.Context) (*pgx.Conn, error) {
	if !d.conn.IsClosed() {
		return d.conn, nil
	}
	closeConnection(d.conn)
	d.identifier = nil // it may be another server
	conn, err := d.reconnect(ctx)
	if err == nil {
		d.conn = conn
	}
	return conn, err
}

// second returns a connection beside the first one.
func (d *Database) second(ctx context.Context) (*pgx.Conn, error) {
	if conn := d.options.Sessions.take(ctx, d.key); conn != nil {
		return conn, nil
	}
	return d.reconnect(ctx)
}

// setAside keeps a connection that is not needed any more until all others are not, if its transaction ends well; else it is closed.
func (d *Database) setAside(conn *pgx.Conn, tx pgx.Tx) {
	if d.options.Sessions == nil || d.reader != nil || tx == nil {
		closeConnection(conn)
		return
	}
	rollback(context.Background(), tx)
	d.reader = conn
}

// reconnect opens one more connection to a database that was open before. The credentials in the Secret were right then: what is wrong
// now is for the source to say, whose owner alone may read at which host.
func (d *Database) reconnect(ctx context.Context) (*pgx.Conn, error) {
	conn, err := d.connect(ctx)
	var failed *failure.Error
	if errors.As(err, &failed) && failed.Condition == v1alpha1.ConditionCredentialsReady {
		failed.Condition = v1alpha1.ConditionSourceReady
	}
	return conn, err
}

// own is what every transaction sets for itself, whatever role, database, connection URL and pooler have set before: names are
// looked up in pg_catalog alone, so that no function, operator or cast that somebody has made elsewhere is run with Ledgerport's
// rights, and texts come in UTF-8. It is set for the transaction and not for the session, which a pooler shares with others.
const own = `; SET LOCAL search_path = pg_catalog, pg_temp; SET LOCAL client_encoding = 'UTF8'; SET LOCAL timezone = 'UTC'; SET LOCAL datestyle = 'ISO';
	SET LOCAL standard_conforming_strings = on; SET LOCAL row_security = on; SET LOCAL statement_timeout = 0`

// asciiEncoding is that of a database which knows no encoding: its texts are what somebody has written.
const asciiEncoding = "SQL_ASCII"

// begin opens a transaction with the settings that are Ledgerport's own. Further statements go the same way to the server and back.
func begin(ctx context.Context, conn *pgx.Conn, isolation pgx.TxIsoLevel, access pgx.TxAccessMode, further ...string) (pgx.Tx, error) {
	settings := own
	if conn.PgConn().ParameterStatus("server_encoding") == asciiEncoding { // which would refuse a text that is not UTF-8, and with it all others
		settings += "; SET LOCAL client_encoding = " + asciiEncoding
	}
	settings = strings.Join(append([]string{settings}, further...), "; ")
	var tx pgx.Tx
	err := sound(conn, func() (err error) {
		tx, err = conn.BeginTx(ctx, pgx.TxOptions{BeginQuery: "BEGIN ISOLATION LEVEL " + string(isolation) + " " + string(access) + settings})
		return err
	})
	if err != nil && !conn.IsClosed() {
		closeConnection(conn) // it may be in the transaction
	}
	return tx, err
}

// reading runs a function in a transaction that belongs to no run, and changes nothing.
func (d *Database) reading(ctx context.Context, doing string, read func(pgx.Tx) error) error {
	if d.shared != nil {
		return classify(ctx, doing, read(d.shared))
	}
	conn, err := d.connection(ctx)
	if err != nil {
		return err
	}
	tx, err := begin(ctx, conn, pgx.ReadCommitted, pgx.ReadOnly)
	if err != nil {
		return classify(ctx, doing, err)
	}
	defer rollback(ctx, tx)
	return classify(ctx, doing, read(tx))
}

// together has all that a function reads be read in one transaction.
func (d *Database) together(ctx context.Context, doing string, read func() error) error {
	return d.reading(ctx, doing, func(tx pgx.Tx) error {
		d.shared = tx
		defer func() { d.shared = nil }()
		return read()
	})
}

// transact runs a function in a transaction that belongs to a run of an organisation. It is READ COMMITTED, whatever the
// default of the database: runs that end at once raise the same ledger one after the other, and do not fail each other.
func (d *Database) transact(ctx context.Context, access pgx.TxAccessMode, organizationID, runID string, run func(pgx.Tx) error) error {
	return d.transaction(ctx, access, owner{organizationID: organizationID, runID: runID}, run)
}

func (d *Database) transaction(ctx context.Context, access pgx.TxAccessMode, of owner, run func(pgx.Tx) error) error {
	conn, err := d.connection(ctx)
	if err != nil {
		return err
	}
	defer meterOf(conn).record()()
	d.newest = nil
	tx, err := of.begin(ctx, conn, pgx.ReadCommitted, access)
	if err != nil {
		return classify(ctx, "beginning a transaction", err)
	}
	defer rollback(ctx, tx)
	if err := run(tx); err != nil {
		return err
	}
	return classify(ctx, "committing a transaction", commit(ctx, tx))
}

// committed returns what a function has read and written in a transaction of a run, and nothing of it unless the transaction was
// committed: what is passed on as the record must be recorded.
func committed[T any](ctx context.Context, d *Database, organizationID, runID string, run func(pgx.Tx) (T, error)) (T, error) {
	return commits(ctx, d, owner{organizationID: organizationID, runID: runID}, run)
}

// takingOver is committed for a new attempt of a run, which ends what older ones still do.
func takingOver(ctx context.Context, d *Database, organizationID, runID string, run func(pgx.Tx) (Run, error)) (Run, error) {
	return commits(ctx, d, owner{organizationID: organizationID, runID: runID, disowns: true}, run)
}

func commits[T any](ctx context.Context, d *Database, of owner, run func(pgx.Tx) (T, error)) (T, error) {
	var result, nothing T
	err := d.transaction(ctx, "", of, func(tx pgx.Tx) (err error) {
		result, err = run(tx)
		return err
	})
	if err != nil {
		return nothing, err
	}
	return result, nil
}

// rollback gives up a transaction, if it is still open, even where the context has ended.
func rollback(ctx context.Context, tx pgx.Tx) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cancelGrace)
	defer cancel()
	_ = sound(tx.Conn(), func() error { return tx.Rollback(ctx) }) // either it was committed or the connection is gone
}

// commit commits a transaction.
func commit(ctx context.Context, tx pgx.Tx) error {
	return sound(tx.Conn(), func() error { return tx.Commit(ctx) })
}

// sound begins or ends a transaction. The client library panics where a server says twice that it is ready; nobody knows what
// such a session answers next, and it is ended.
func sound(conn *pgx.Conn, call func() error) (err error) {
	defer func() {
		var fault *panics.Error
		if errors.As(err, &fault) {
			closeConnection(conn)
		}
	}()
	defer panics.Catch(&err)
	return call()
}

// owner is the organisation and the run that a transaction belongs to.
type owner struct {
	organizationID, runID string
	disowns               bool // ends what sessions of older attempts of the run still do
}

// begin opens a transaction and makes it the owner's, for row-level-security policies to refer to, and lets the server end it
// soon after the context: a process that is stopped or cut off must not hold claims for longer. The session is named after
// the run, so that the process that takes the run over need not even wait for that. What is committed is on disk whatever the
// server's or the role's default is: a server that crashed must not have forgotten what was delivered.
func (o owner) begin(ctx context.Context, conn *pgx.Conn, isolation pgx.TxIsoLevel, access pgx.TxAccessMode, further ...string) (tx pgx.Tx, err error) {
	if inert(o.organizationID) && inert(o.runID) {
		further = append(further, o.statement("'"+o.organizationID+"'", "'"+timeout(ctx)+"'", "'"+sessionName(o.runID)+"'", "'"+o.runID+"'"))
		tx, err = begin(ctx, conn, isolation, access, further...)
	} else if tx, err = begin(ctx, conn, isolation, access, further...); err == nil {
		if err = o.bind(ctx, tx); err != nil {
			rollback(ctx, tx)
		}
	}
	return tx, err
}

// bind makes a transaction the owner's that was opened before.
func (o owner) bind(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, o.statement("$1", "$2", "$3", "$4"), o.organizationID, timeout(ctx), sessionName(o.runID), o.runID)
	return err
}

// inert reports whether a text between quotes is itself, whatever a session, a role or a pooler has set of encodings and backslashes:
// only such texts are written into a statement, and all others are parameters of one.
func inert(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_.:/", r)
	})
}

// timeout is how long the server lets a statement take, in milliseconds: a little longer than the context.
func timeout(ctx context.Context) string {
	if deadline, ok := ctx.Deadline(); ok {
		return strconv.FormatInt((max(time.Until(deadline), 0) + timeoutSlack).Milliseconds(), 10)
	}
	return "0"
}

// statement binds a transaction. What it is given are expressions.
func (o owner) statement(organizationID, milliseconds, session, runID string) string {
	statement := `SELECT set_config('ledgerport.organization_id', ` + organizationID + `, true), set_config('ledgerport.run_id', ` + runID + `, true),
		set_config('statement_timeout', ` + milliseconds + `, true), set_config('idle_in_transaction_session_timeout', ` + milliseconds + `, true),
		set_config('jit', 'off', true), set_config('work_mem', '32MB', true), set_config('application_name', ` + session + `, true),
		set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'off' THEN 'local' ELSE current_setting('synchronous_commit') END, true)`
	if o.disowns { // a process that was stopped in the middle of a transaction keeps its locks until it wakes up or its deadline passes
		statement += `, (SELECT count(pg_terminate_backend(pid, 2000)) FROM pg_stat_activity
		WHERE application_name = ` + session + ` AND usename = session_user AND datname = current_database() AND pid <> pg_backend_pid())`
	}
	return statement
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

// lookUp runs a query for one row in a transaction that sees an organisation, or the one run of an id, of any organisation:
// the other is empty.
func lookUp(ctx context.Context, conn *pgx.Conn, organizationID, runID string, scan func(pgx.Row) error, query string, arguments ...any) error {
	defer meterOf(conn).record()()
	var batch pgx.Batch // one way to the server and back, and one transaction
	batch.Queue(`SELECT pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true), pg_catalog.set_config('client_encoding', 'UTF8', true),
		pg_catalog.set_config('ledgerport.organization_id', $1, true), pg_catalog.set_config('ledgerport.run_id', $2, true)`, organizationID, runID)
	batch.Queue(query, arguments...).QueryRow(scan)
	return conn.SendBatch(ctx, &batch).Close()
}

// organization returns the organisation that a run belongs to.
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
