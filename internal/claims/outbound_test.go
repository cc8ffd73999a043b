package claims_test

import (
	"context"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/outbound"
)

func TestOpen_ConnectsToNoHostThatIsNotAllowed(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	byName, err := url.Parse(f.url)
	f.must(err)
	byName.Host = "localhost:" + byName.Port()
	for name, test := range map[string]struct {
		allowed []string
		url     string
		says    string
	}{
		"loopback by default":                      {nil, f.url, "127.0.0.1: it leads to a loopback address"},
		"a name that leads to loopback":            {[]string{"localhost"}, byName.String(), "localhost: it leads to a loopback"},
		"a host that is not listed":                {[]string{"db.example.com"}, f.url, "not among --allowed-hosts"},
		"a second host that is not listed":         {[]string{"127.0.0.0/8"}, "postgres://app:s3cret@127.0.0.1:1,203.0.113.9:1/app", "not among --allowed-hosts"},
		"a socket of the machine of the operator":  {[]string{"127.0.0.0/8"}, "postgres://app:s3cret@/app?host=/run/postgresql", "a socket of the operator's own machine"},
		"the metadata service":                     {[]string{"*"}, "postgres://app:s3cret@169.254.169.254:80/app", "link-local"},
		"the metadata service behind another name": {nil, "postgres://app:s3cret@[::ffff:169.254.169.254]:80/app", "link-local"},
	} {
		policy, err := outbound.New(test.allowed)
		f.must(err)
		_, err = claims.Open(t.Context(), claims.Options{URL: test.url, Allowed: insecure, Dial: policy.Dialer().DialContext})
		failed := failureWith(t, err, v1alpha1.ReasonHostNotAllowed)
		if !failed.Stalled || !strings.Contains(failed.Message, test.says) || strings.Contains(failed.Message, "s3cret") {
			t.Errorf("%s: %+v", name, failed)
		}
	}
}

// TestOpen_CancelsQueriesOnAnAllowedHost has the host by its name, and a cancellation goes to its address.
func TestOpen_CancelsQueriesOnAnAllowedHost(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	byName, err := url.Parse(f.url)
	f.must(err)
	byName.Host = "localhost:" + byName.Port()
	policy, err := outbound.New([]string{"localhost", "127.0.0.0/8"})
	f.must(err)
	database, err := claims.Open(t.Context(), claims.Options{URL: byName.String(), Allowed: insecure, Dial: policy.Dialer().DialContext})
	f.must(err)
	defer database.Close()
	f.sql(`BEGIN; LOCK TABLE ledgerport.runs`) // what the next statement waits for
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, _, err := database.Run(ctx, "1"); err == nil {
		t.Error("the table is locked")
	}
	f.sql(`ROLLBACK`)
	if n := f.count(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'ledgerport' AND state = 'active'`); n != 0 {
		t.Errorf("%d queries were not cancelled", n)
	}
}

// TestOpen_TakesNothingFromTheOperatorsOwnEnvironment has the right password, and a whole service, wherever the client library
// looks for them, and URLs without a password. It is alone, because it changes the environment.
func TestOpen_TakesNothingFromTheOperatorsOwnEnvironment(t *testing.T) {
	f := newFixture(t, applicationTables)
	own, err := url.Parse(f.url)
	f.must(err)
	password, _ := own.User.Password()
	home := t.TempDir()
	write := func(name, content string) string {
		file := filepath.Join(home, name)
		f.must(os.WriteFile(file, []byte(content), 0o600))
		return file
	}
	passfile := write(".pgpass", "*:*:*:*:"+password+"\n")
	service := "[operator]\nhost=" + own.Hostname() + "\nport=" + own.Port() + "\nuser=" + own.User.Username() + "\npassword=" + password + "\n"
	services := write("services.conf", service)
	f.must(os.Mkdir(filepath.Join(home, ".postgresql"), 0o700))
	for _, certificate := range []string{"postgresql.crt", "postgresql.key", "root.crt"} { // reading them would fail
		write(filepath.Join(".postgresql", certificate), "none")
	}
	t.Setenv("HOME", home)
	user, address := own.User.Username(), own.Host+own.Path+"?"+own.RawQuery
	urls := map[string]string{
		"no password":                  "postgres://" + user + "@" + address,
		"an empty password":            "postgres://" + user + ":@" + address,
		"an empty password behind it":  "postgres://" + user + "@" + address + "&password=",
		"a password of spaces":         "postgres://" + user + "@" + address + "&password=%20",
		"a password under another key": "postgres://" + user + "@" + address + "&%20password=x",
	}
	for variable, value := range map[string]string{"PGPASSWORD": password, "PGPASSFILE": passfile, "PGOPTIONS": "", "PGSSLCERT": "none", "PGSSLROOTCERT": "none", "PGSERVICE": "operator"} {
		t.Run(variable, func(t *testing.T) {
			t.Setenv(variable, value)
			if variable == "PGSERVICE" {
				t.Setenv("PGSERVICEFILE", services)
			}
			for name, text := range urls {
				database, err := claims.Open(t.Context(), claims.Options{URL: text, Allowed: insecure})
				if err == nil {
					database.Close()
					t.Errorf("%s: logged in with the operator's password", name)
				}
			}
			database, err := claims.Open(t.Context(), claims.Options{URL: f.url, Allowed: insecure})
			f.must(err)
			database.Close()
		})
	}
	t.Setenv("PGHOST", own.Hostname())
	t.Setenv("PGUSER", user)
	t.Setenv("PGPASSWORD", password)
	for name, text := range map[string]string{
		"no host but a port": "postgres://" + user + ":x@:5432" + own.Path, "no host": "postgres:///app?user=" + user, "no user": "postgres://" + own.Host + own.Path,
		"no user but a password": "postgres://:" + password + "@" + own.Host + own.Path, "an empty user": "postgres://" + own.Host + own.Path + "?user=",
	} {
		_, err := claims.Open(t.Context(), claims.Options{URL: text, Allowed: insecure})
		if failed := failureWith(t, err, v1alpha1.ReasonMalformedURL); !strings.Contains(failed.Message, "names no") {
			t.Errorf("%s: %+v", name, failed)
		}
	}
}

// TestOpen_ReadsNoFileOfTheOperator has a service and a file of passwords that would let everybody in, and files that never end.
func TestOpen_ReadsNoFileOfTheOperator(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	own, err := url.Parse(f.url)
	f.must(err)
	password, _ := own.User.Password()
	files := t.TempDir()
	passfile, services := filepath.Join(files, "pgpass"), filepath.Join(files, "services")
	f.must(os.WriteFile(passfile, []byte("*:*:*:*:"+password+"\n"), 0o600))
	f.must(os.WriteFile(services, []byte("[operator]\npassword="+password+"\n"), 0o600))
	without := "postgres://" + own.User.Username() + "@" + own.Host + own.Path + "?sslmode=disable"
	for _, parameters := range []string{
		"passfile=" + passfile, "%70assfile=" + passfile, " passfile=" + passfile, "passfile =" + passfile, "passfile=x&passfile=" + passfile,
		"service=operator&servicefile=" + services, " service=operator& servicefile=" + services, "%73ervice=operator&%73ervicefile=" + services,
		"sslrootcert=/dev/zero", "sslrootcert=/dev/zero&sslrootcert=system", " sslrootcert=/dev/zero", "sslrootcert=%2Fdev%2Fzero", "sslrootcert=system&sslrootcert=/dev/zero",
		"sslcert=/dev/zero&sslkey=/dev/zero", " sslcert=/dev/zero& sslkey=/dev/zero", "sslcertmode=require&sslcert=/dev/zero&sslkey=/dev/zero",
		"passfile=" + passfile + ";x", "x=%zz&passfile=" + passfile,
	} {
		_, err := claims.Open(t.Context(), claims.Options{URL: without + "&" + parameters, Allowed: insecure})
		var failed *failure.Error
		if !errors.As(err, &failed) || failed.Reason != v1alpha1.ReasonMalformedURL && failed.Reason != v1alpha1.ReasonLoginRefused ||
			strings.Contains(failed.Message, files) || strings.Contains(failed.Message, "/dev/zero") {
			t.Errorf("%s: %v", parameters, err)
		}
	}
}
