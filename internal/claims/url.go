package claims

import (
	"cmp"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
)

// Allowances are what the administrator lets connections to databases do without.
type Allowances struct {
	// Insecure connections go to a server whose certificate is not verified, or without TLS, and log in as the server wants.
	Insecure bool
	// Passwords may be sent as they are, or as MD5, to a server whose certificate is verified.
	Passwords bool
}

const (
	verifyFull = "verify-full"
	verifyCA   = "verify-ca"
	// systemRoots is the value of sslrootcert that names no file.
	systemRoots = "system"
	// scram is the one login that tells the server nothing that it could log in with elsewhere.
	scram = "scram-sha-256"
)

// parameter is one of libpq's, and what becomes of it in a connection URL.
type parameter struct {
	ignored bool
	values  []string // that are accepted; nil is any value
	refusal string   // of another value
}

const (
	ofFiles    = "it names a file of the operator's own machine"
	ofKerberos = "the operator does not speak Kerberos; log in with a password"
	ofOAuth    = "the operator does not log in with OAuth; log in with a password"
	ofLogin    = "the operator logs in with a password, and shows no certificate"
)

// libpqParameters are all that libpq has, https://www.postgresql.org/docs/current/libpq-connect.html: a URL that works with
// psql works, or is refused with the parameter's name.
var libpqParameters = map[string]parameter{
	"host": {}, "port": {}, "dbname": {}, "user": {}, "password": {},
	"connect_timeout": {}, "options": {}, "target_session_attrs": {}, "sslnegotiation": {}, "sslsni": {}, "channel_binding": {},
	"sslmode":      {values: []string{"disable", "allow", "prefer", "require", verifyCA, verifyFull}, refusal: "write sslmode=verify-full"},
	"require_auth": {}, "min_protocol_version": {}, "max_protocol_version": {}, "ssl_min_protocol_version": {}, "ssl_max_protocol_version": {},
	// Settings that are Ledgerport's own, and what means nothing to it.
	"application_name": {ignored: true}, "fallback_application_name": {ignored: true}, "client_encoding": {ignored: true},
	"keepalives": {ignored: true}, "keepalives_idle": {ignored: true}, "keepalives_interval": {ignored: true}, "keepalives_count": {ignored: true},
	"tcp_user_timeout": {ignored: true}, "load_balance_hosts": {ignored: true}, "sslcompression": {ignored: true}, "sslpassword": {ignored: true},
	"gssencmode": {ignored: true, values: []string{"disable", "prefer"}, refusal: ofKerberos},
	"gsslib":     {ignored: true},
	"replication": {
		ignored: true, values: []string{"false", "off", "no", "0"}, refusal: "a session of replication runs no queries",
	},
	"ssl":         {values: []string{"true"}, refusal: "write sslmode=verify-full"}, // that of JDBC, which libpq reads
	"requiressl":  {ignored: true, values: []string{"0"}, refusal: "write sslmode=verify-full"},
	"sslcertmode": {ignored: true, values: []string{"disable", "allow"}, refusal: ofLogin},
	"hostaddr":    {values: []string{""}, refusal: "write the address as the host"},
	"requirepeer": {values: []string{""}, refusal: "it is for sockets of the operator's own machine, which are not reached"},
	"sslrootcert": {values: []string{"", systemRoots}, refusal: ofFiles + "; authorities of your own belong into spec.postgres.caBundle, or for a command without a ClaimSource into the file that SSL_CERT_FILE names"},
	"passfile":    {values: []string{""}, refusal: ofFiles}, "service": {values: []string{}, refusal: ofFiles}, "servicefile": {values: []string{}, refusal: ofFiles},
	"sslcert": {values: []string{""}, refusal: ofFiles}, "sslkey": {values: []string{""}, refusal: ofFiles}, "sslcrl": {values: []string{""}, refusal: ofFiles},
	"sslcrldir": {values: []string{""}, refusal: ofFiles}, "sslkeylogfile": {values: []string{""}, refusal: ofFiles},
	"krbsrvname": {values: []string{}, refusal: ofKerberos}, "gssdelegation": {ignored: true, values: []string{"0"}, refusal: ofKerberos},
	"scram_client_key": {values: []string{}, refusal: "log in with a password"}, "scram_server_key": {values: []string{}, refusal: "log in with a password"},
	"oauth_issuer": {values: []string{}, refusal: ofOAuth}, "oauth_client_id": {values: []string{}, refusal: ofOAuth},
	"oauth_client_secret": {values: []string{}, refusal: ofOAuth}, "oauth_scope": {values: []string{}, refusal: ofOAuth}, "oauth_ca_file": {values: []string{}, refusal: ofOAuth},
}

// malformed says what is wrong with a connection URL, which is not quoted: it holds a password.
func malformed(format string, args ...any) error {
	return failure.OnCredentials.Stalled(v1alpha1.ReasonMalformedURL, nil,
		"the connection URL %s; it must look like postgres://user:password@host:5432/database", fmt.Sprintf(format, args...))
}

// connectionURL is a URL in its parts, still encoded but for the parameters.
type connectionURL struct {
	credentials, hosts, database string
	parameters                   map[string]string
}

// splitURL splits a URL as libpq does: it may name several hosts, which no URL otherwise does.
func splitURL(text string) (parts connectionURL, err error) {
	_, rest, found := strings.Cut(strings.TrimSpace(text), "://")
	if !found || !strings.HasPrefix(text, "postgres") || strings.ContainsRune(text, 0) {
		return parts, malformed("does not begin with postgres:// or postgresql://")
	}
	if end := strings.IndexAny(rest, "@/"); end >= 0 && rest[end] == '@' {
		parts.credentials, rest = rest[:end], rest[end+1:]
	}
	rest, query, _ := strings.Cut(rest, "?")
	parts.hosts, parts.database, _ = strings.Cut(rest, "/")
	parts.parameters, err = readParameters(query)
	return parts, err
}

// readParameters decodes the parameters as libpq does. What is said last counts.
func readParameters(query string) (map[string]string, error) {
	read := map[string]string{}
	number := 0
	for pair := range strings.SplitSeq(query, "&") {
		if pair == "" {
			continue
		}
		number++
		rawName, rawValue, found := strings.Cut(pair, "=")
		name, wrongName := url.PathUnescape(strings.Trim(rawName, " "))
		value, wrongValue := url.PathUnescape(strings.Trim(rawValue, " "))
		known, isKnown := libpqParameters[name]
		switch {
		case !found, wrongName != nil, wrongValue != nil, strings.Contains(rawValue, "="), strings.Contains(value, "\x00"):
			return nil, malformed("has a parameter that cannot be read, the one in place %d", number)
		case !isKnown: // nor named: it may be a part of the password
			return nil, malformed("has a parameter that psql does not know, the one in place %d; settings of the session are options=-c%%20NAME=VALUE", number)
		case known.values != nil && !slices.Contains(known.values, value):
			return nil, malformed("has the parameter %s, which cannot be used so: %s", name, known.refusal)
		}
		read[name] = value
		if name == "ssl" {
			delete(read, "ssl")
			read["sslmode"] = "require"
		}
	}
	return read, nil
}

// check insists on what would otherwise come from the operator's own environment.
func (u connectionURL) check() error {
	user, _, _ := strings.Cut(u.credentials, ":")
	switch {
	case u.parameters["host"] == "" && slices.ContainsFunc(strings.Split(u.hosts, ","), func(host string) bool { return host == "" || host[0] == ':' }):
		return malformed("names no host, or a list in which one is missing")
	case strings.TrimSpace(user) == "" && u.parameters["user"] == "":
		return malformed("names no user")
	case strings.Trim(u.database, "/ ") == "" && u.parameters["dbname"] == "":
		return malformed("names no database")
	}
	return nil
}

// String returns the URL to the library, which takes nothing of the environment for what it is told: a parameter that is left out
// is told as what it is by default.
func (u connectionURL) String() string {
	told := map[string]string{
		"sslmode": verifyFull, "sslcertmode": "disable", "passfile": "", "sslrootcert": "", "options": "", "target_session_attrs": "any", "sslnegotiation": "postgres",
		"sslsni": "1", "channel_binding": "prefer", "require_auth": "", "min_protocol_version": "", "max_protocol_version": "", "connect_timeout": "0",
	}
	if strings.Contains(cmp.Or(u.parameters["host"], u.hosts), ",") {
		told["target_session_attrs"] = "read-write" // of several, the one that can be written
	}
	for name, value := range u.parameters {
		if name == "sslcertmode" || libpqParameters[name].ignored || strings.HasPrefix(name, "ssl_") {
			continue
		}
		told[name] = value
	}
	var text strings.Builder
	fmt.Fprintf(&text, "postgres://%s@%s/%s", u.credentials, u.hosts, u.database)
	separator := "?"
	for _, name := range slices.Sorted(maps.Keys(told)) {
		fmt.Fprintf(&text, "%s%s=%s", separator, name, strings.ReplaceAll(url.QueryEscape(told[name]), "+", "%20"))
		separator = "&"
	}
	return text.String()
}

// parseURL accepts what names a host, a user and a database, and says of anything else only that it is wrong: the URL holds
// a password. What the process's own environment or home directory has for the client library, a password or a certificate to
// log in with, is not for whatever host the URL names; and the URL reads no file of the process.
func parseURL(text, bundle string, allowed Allowances) (*pgx.ConnConfig, error) {
	if len(text) > longestURL {
		return nil, malformed("is too long")
	}
	parts, err := splitURL(strings.TrimSpace(text))
	if err != nil {
		return nil, err
	}
	if err := parts.check(); err != nil {
		return nil, err
	}
	config, err := pgx.ParseConfig(parts.String())
	if err != nil {
		return nil, malformed("has a value that PostgreSQL does not know (of port, sslmode or another parameter)")
	}
	if _, password, _ := strings.Cut(parts.credentials, ":"); password == "" && parts.parameters["password"] == "" {
		config.Password = "" // and not that of the environment
	}
	if err := secure(config, parts.parameters, bundle, allowed); err != nil {
		return nil, err
	}
	configure(config)
	return config, nil
}

// configure sets what every session of Ledgerport has. Poolers such as PgBouncer accept these parameters and no others when a
// session begins, so that the rest is set in every transaction.
func configure(config *pgx.ConnConfig) {
	options := config.RuntimeParams["options"]
	config.RuntimeParams = map[string]string{"application_name": "ledgerport", "timezone": "UTC", "datestyle": "ISO", "client_encoding": "UTF8"}
	if options != "" {
		config.RuntimeParams["options"] = options
	}
	// A statement that is prepared under a name is not there when a pooler gives the next transaction to another server.
	config.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	config.StatementCacheCapacity, config.DescriptionCacheCapacity = 0, statementCache
	config.Tracer = spans{}
	config.BuildFrontend = metered(func(*meter) {}) // of connections that others open
	config.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
		handler := &cancelling{conn: conn}
		conn.CustomData()[cancellingKey] = handler
		return handler
	}
}

// secure insists on a server whose certificate is verified, and on a login that does not tell it the password, unless the
// administrator allows less.
func secure(config *pgx.ConnConfig, given map[string]string, bundle string, allowed Allowances) error {
	mode := cmp.Or(given["sslmode"], verifyFull)
	if given["sslrootcert"] == systemRoots {
		mode = verifyFull
	}
	verified := mode == verifyFull || mode == verifyCA && bundle != ""
	if !verified && !allowed.Insecure {
		return failure.OnCredentials.Stalled(v1alpha1.ReasonInsecureConnection, nil,
			"the connection URL has sslmode=%s, with which anybody in between can be the server; write sslmode=verify-full, and if the operator's system does not know the authority of the server's certificate, put that into spec.postgres.caBundle; an administrator allows less with --allow-insecure-databases", mode)
	}
	switch {
	case allowed.Insecure: // as the URL says
	case allowed.Passwords:
		config.RequireAuth = scram + ",password,md5"
	default:
		config.RequireAuth = scram
	}
	ways := []*tls.Config{config.TLSConfig}
	for _, fallback := range config.Fallbacks {
		ways = append(ways, fallback.TLSConfig)
	}
	if err := limitVersions(ways, given); err != nil {
		return err
	}
	return trust(ways, bundle)
}

// limitVersions keeps to the versions of TLS that the URL names. Those older than 1.2 are never spoken.
func limitVersions(ways []*tls.Config, given map[string]string) error {
	versions := map[string]uint16{"": 0, "TLSv1": 0, "TLSv1.1": 0, "TLSv1.2": tls.VersionTLS12, "TLSv1.3": tls.VersionTLS13}
	least, knownLeast := versions[given["ssl_min_protocol_version"]]
	most, knownMost := versions[given["ssl_max_protocol_version"]]
	if !knownLeast || !knownMost || most == 0 && given["ssl_max_protocol_version"] != "" {
		return malformed("has the parameter ssl_min_protocol_version or ssl_max_protocol_version, which cannot be used so: TLSv1.2 and TLSv1.3 are spoken")
	}
	for _, way := range ways {
		if way != nil {
			way.MinVersion, way.MaxVersion = max(least, tls.VersionTLS12), most
		}
	}
	return nil
}

// trust lets the server's certificate be checked against authorities of the source's own.
func trust(ways []*tls.Config, bundle string) error {
	if bundle == "" {
		return nil
	}
	roots, err := authorities(bundle)
	if err != nil {
		return err
	}
	for _, way := range ways {
		if way == nil || way.InsecureSkipVerify && way.VerifyPeerCertificate == nil {
			return failure.OnCredentials.Stalled(v1alpha1.ReasonMalformedURL, nil,
				"sslmode of the connection URL does not look at the server's certificate, which spec.postgres.caBundle is for; write sslmode=verify-full")
		}
		way.RootCAs = roots
	}
	return nil
}

// mostRSABits of an authority's key. crypto/tls takes no more of a server; to check one signature with a key as long as a bundle takes
// minutes, in which nothing can end it.
const mostRSABits = 8192

// authorities reads the certificates of a bundle.
func authorities(bundle string) (*x509.CertPool, error) {
	roots, found := x509.NewCertPool(), false
	for block, rest := pem.Decode([]byte(bundle)); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			continue // as crypto/x509 does
		}
		if key, is := certificate.PublicKey.(*rsa.PublicKey); is && key.N.BitLen() > mostRSABits {
			return nil, failure.OnSource.Stalled(v1alpha1.ReasonInvalidSpec, nil,
				"spec.postgres.caBundle has an authority with an RSA key of %d bits, more than %d; use an authority with a shorter key", key.N.BitLen(), mostRSABits)
		}
		roots.AddCert(certificate)
		found = true
	}
	if !found {
		return nil, failure.OnSource.Stalled(v1alpha1.ReasonInvalidSpec, nil, "spec.postgres.caBundle has no certificate in PEM (-----BEGIN CERTIFICATE-----)")
	}
	return roots, nil
}
