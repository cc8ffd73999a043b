package claims_test

import (
	"context"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
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
		"a socket of the operator's machine":       {[]string{"127.0.0.0/8"}, "postgres://app:s3cret@/app?host=/run/postgresql", "a socket of the operator's own machine"},
		"the metadata service":                     {[]string{"*"}, "postgres://app:s3cret@169.254.169.254:80/app", "link-local"},
		"the metadata service behind another name": {nil, "postgres://app:s3cret@[::ffff:169.254.169.254]:80/app", "link-local"},
	} {
		policy, err := outbound.New(test.allowed)
		f.must(err)
		_, err = claims.Open(t.Context(), claims.Options{URL: test.url, Dial: policy.Dialer().DialContext})
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
	database, err := claims.Open(t.Context(), claims.Options{URL: byName.String(), Dial: policy.Dialer().DialContext})
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

func TestOpen_TakesNothingFromTheOperatorsOwnEnvironment(t *testing.T) {
	f := newFixture(t, applicationTables)
	without, err := url.Parse(f.url)
	f.must(err)
	password, _ := without.User.Password()
	without.User = url.User(without.User.Username())
	t.Setenv("PGPASSWORD", password)
	_, err = claims.Open(t.Context(), claims.Options{URL: without.String()})
	mustFail(t, err, v1alpha1.ReasonLoginRefused)
	for _, parameter := range []string{"passfile=/etc/passwd", "service=x", "servicefile=/etc/passwd"} {
		_, err = claims.Open(t.Context(), claims.Options{URL: without.String() + "&" + parameter})
		mustFail(t, err, v1alpha1.ReasonMalformedURL)
	}
}
