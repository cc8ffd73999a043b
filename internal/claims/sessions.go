package claims

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// SessionsPerDatabase bounds how many sessions with one database are kept, by all of its ClaimSources: fewer than a pooler has by
	// default.
	SessionsPerDatabase = 16
	// IdleSessions is how many sessions are kept in all unless an administrator says otherwise.
	IdleSessions = 64
	// idleTime is how long a session is kept that nobody uses, and sessionAge how old one may become: what the server decides when a
	// session begins, such as whether the role may log in, is decided anew then.
	idleTime, sessionAge = 15 * time.Second, 5 * time.Minute
	// pingTimeout bounds the question whether a kept session is still there.
	pingTimeout = 2 * time.Second
	// mostDescribed is how many bytes of descriptions of parameters and columns may have come on a session that is kept: the library
	// remembers those of all its statements, some 10 KiB.
	mostDescribed = 64 << 10
)

// Sessions keeps sessions with databases from one attempt to the next: to open one, and to have a server learn what it knows of the
// tables, costs more than what a small run asks for.
//
// A session is taken again only by who opens the database with all that it was opened with: the same ClaimSource, URL and certificates.
// It is kept only if nothing unclear has happened on it: its transactions have ended, no query of it was cancelled, and the attempt came
// to its end. Nothing is set on it that outlives a transaction (decision 18), so that there is nothing to reset.
type Sessions struct {
	most int

	mu     sync.Mutex
	kept   []*keptSession // the one that was used last is the last
	closed bool
}

// keptSession is one that nobody uses.
type keptSession struct {
	sessionKey
	conn *pgx.Conn
	idle *time.Timer
}

// sessionKey says what a session was opened with.
type sessionKey struct {
	opened   [sha256.Size]byte // of all of it
	source   string            // namespace/name of the ClaimSource
	database string            // host, port, name
}

func (k sessionKey) namespace() string {
	namespace, _, _ := strings.Cut(k.source, "/")
	return namespace
}

// NewSessions keeps at most so many sessions that nobody uses; none if that is 0.
func NewSessions(most int) *Sessions { return &Sessions{most: most} }

// keyOf identifies what a database is opened with.
func keyOf(options Options, config *pgx.ConnConfig) sessionKey {
	content, err := json.Marshal(struct {
		Source, URL, CABundle string
		Allowed               Allowances
		Timeout               time.Duration
	}{options.Source, options.URL, options.Layout.CABundle, options.Allowed, options.ConnectTimeout})
	if err != nil {
		panic(err) // texts and numbers are always written
	}
	return sessionKey{
		opened: sha256.Sum256(content), source: options.Source,
		database: net.JoinHostPort(config.Host, strconv.Itoa(int(config.Port))) + "/" + config.Database,
	}
}

// take returns a session that was kept, and is still there; nil if there is none. Where one is not there any more, none of those that were
// opened alike is believed to be.
func (s *Sessions) take(ctx context.Context, key sessionKey) *pgx.Conn {
	if s == nil {
		return nil
	}
	found := s.remove(1, func(k *keptSession) bool { return k.sessionKey == key })
	if len(found) == 0 {
		return nil
	}
	conn := found[0].conn
	limited, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	if err := conn.Ping(limited); err == nil && clean(conn) {
		return conn
	}
	closeAll(found)
	closeAll(s.remove(s.most, func(k *keptSession) bool { return k.sessionKey == key }))
	return nil
}

// put keeps a session, or closes it.
func (s *Sessions) put(key sessionKey, conn *pgx.Conn) {
	if s == nil || !clean(conn) || sinceOpened(conn) > sessionAge {
		closeConnection(conn)
		return
	}
	closeAll(s.add(&keptSession{sessionKey: key, conn: conn}))
}

// add keeps a session, and returns those that there is no room for then.
func (s *Sessions) add(session *keptSession) (excess []*keptSession) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.most <= 0 {
		return []*keptSession{session}
	}
	s.kept = append(s.kept, session)
	session.idle = time.AfterFunc(idleTime, func() { closeAll(s.remove(1, func(k *keptSession) bool { return k == session })) })
	inDatabase := func(k *keptSession) bool { return k.database == session.database }
	for count(s.kept, inDatabase) > SessionsPerDatabase {
		excess = append(excess, s.giveUp(inDatabase))
	}
	for len(s.kept) > s.most {
		excess = append(excess, s.giveUp(func(*keptSession) bool { return true }))
	}
	return excess
}

// giveUp takes out of some sessions the oldest one of the namespace that has most of them, so that no tenant pushes out another's.
func (s *Sessions) giveUp(among func(*keptSession) bool) *keptSession {
	of := map[string]int{}
	most := ""
	for _, k := range s.kept {
		if among(k) {
			of[k.namespace()]++
			if of[k.namespace()] >= of[most] {
				most = k.namespace()
			}
		}
	}
	at := slices.IndexFunc(s.kept, func(k *keptSession) bool { return among(k) && k.namespace() == most })
	given := s.kept[at]
	s.kept = slices.Delete(s.kept, at, at+1)
	return given
}

// remove takes out the newest sessions of some kind, up to a number of them.
func (s *Sessions) remove(most int, which func(*keptSession) bool) (found []*keptSession) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := len(s.kept) - 1; i >= 0 && len(found) < most; i-- {
		if which(s.kept[i]) {
			found = append(found, s.kept[i])
			s.kept = slices.Delete(s.kept, i, i+1)
		}
	}
	for _, k := range found {
		k.idle.Stop()
	}
	return found
}

// Drop closes the sessions of a ClaimSource that nobody uses: who looks whether its database can be used opens new ones, and a pooler may have no
// more servers.
func (s *Sessions) Drop(source string) {
	if s != nil {
		closeAll(s.remove(s.most, func(k *keptSession) bool { return k.source == source }))
	}
}

// Idle is the number of sessions that nobody uses.
func (s *Sessions) Idle() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.kept)
}

// Start implements manager.Runnable: it closes all sessions when the process is asked to stop, and keeps none from then on.
func (s *Sessions) Start(ctx context.Context) error {
	<-ctx.Done()
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	closeAll(s.remove(s.most, func(*keptSession) bool { return true })) //nolint:contextcheck // it has ended
	return nil
}

func closeAll(sessions []*keptSession) {
	for _, k := range sessions {
		go closeConnection(k.conn) // a server may let it wait
	}
}

func count(sessions []*keptSession, which func(*keptSession) bool) (n int) {
	for _, k := range sessions {
		if which(k) {
			n++
		}
	}
	return n
}

// clean reports whether a session is between two transactions, and nothing has happened on it that might meet the next one.
func clean(conn *pgx.Conn) bool {
	const idle = 'I'
	pg, meter := conn.PgConn(), meterOf(conn)
	handler, _ := pg.CustomData()[cancellingKey].(*cancelling)
	return !conn.IsClosed() && !pg.IsBusy() && pg.TxStatus() == idle && meter != nil && meter.usual() && handler != nil && handler.asked == nil
}

// openedKey is under what a connection has the time at which it was opened.
const openedKey = "ledgerport.opened"

func sinceOpened(conn *pgx.Conn) time.Duration {
	opened, _ := conn.PgConn().CustomData()[openedKey].(time.Time)
	return time.Since(opened)
}
