package claims_test

import (
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
)

// parametersOfLibpq are those of https://www.postgresql.org/docs/current/libpq-connect.html, each with values that psql accepts
// and works with, and some that it accepts.
var parametersOfLibpq = map[string][]struct {
	value   string
	refused bool
}{
	"host":                      {{"", false}, {"/run/postgresql", true}},
	"hostaddr":                  {{"", false}, {"127.0.0.1", true}},
	"port":                      {{"", false}},
	"dbname":                    {{"", false}},
	"user":                      {{"", false}},
	"password":                  {{"", false}},
	"passfile":                  {{"/dev/zero", true}},
	"require_auth":              {{"scram-sha-256", false}, {"!none", false}},
	"channel_binding":           {{"disable", false}, {"prefer", false}},
	"connect_timeout":           {{"10", false}, {"0", false}},
	"client_encoding":           {{"auto", false}, {"LATIN1", false}},
	"options":                   {{"-c search_path=evil", false}, {"-c statement_timeout=1min", false}},
	"application_name":          {{"the application", false}},
	"fallback_application_name": {{"the application", false}},
	"keepalives":                {{"0", false}},
	"keepalives_idle":           {{"60", false}},
	"keepalives_interval":       {{"5", false}},
	"keepalives_count":          {{"3", false}},
	"tcp_user_timeout":          {{"10000", false}},
	"replication":               {{"false", false}, {"database", true}},
	"gssencmode":                {{"prefer", false}, {"disable", false}, {"require", true}},
	"gsslib":                    {{"gssapi", false}},
	"gssdelegation":             {{"0", false}, {"1", true}},
	"krbsrvname":                {{"postgres", true}},
	"sslmode":                   {{"disable", false}, {"allow", false}, {"prefer", false}},
	"ssl":                       {{"true", true}}, // the server of this test has no TLS
	"requiressl":                {{"0", false}, {"1", true}},
	"sslnegotiation":            {{"postgres", false}},
	"sslcompression":            {{"0", false}, {"1", false}},
	"sslcert":                   {{"/dev/zero", true}},
	"sslkey":                    {{"/dev/zero", true}},
	"sslkeylogfile":             {{"/dev/full", true}},
	"sslpassword":               {{"x", false}},
	"sslcertmode":               {{"disable", false}, {"allow", false}, {"require", true}},
	"sslrootcert":               {{"/dev/zero", true}},
	"sslcrl":                    {{"/dev/zero", true}},
	"sslcrldir":                 {{"/dev", true}},
	"sslsni":                    {{"0", false}, {"1", false}},
	"requirepeer":               {{"postgres", true}},
	"ssl_min_protocol_version":  {{"TLSv1", false}, {"TLSv1.2", false}, {"TLSv1.3", false}, {"SSLv3", true}},
	"ssl_max_protocol_version":  {{"TLSv1.2", false}, {"TLSv1.3", false}, {"TLSv1.1", true}},
	"min_protocol_version":      {{"3.0", false}},
	"max_protocol_version":      {{"3.0", false}, {"latest", false}},
	"service":                   {{"operator", true}},
	"servicefile":               {{"/dev/zero", true}},
	"target_session_attrs":      {{"any", false}, {"read-write", false}, {"primary", false}, {"prefer-standby", false}},
	"load_balance_hosts":        {{"disable", false}, {"random", false}},
	"scram_client_key":          {{"eA==", true}},
	"scram_server_key":          {{"eA==", true}},
	"oauth_issuer":              {{"https://issuer.example.com", true}},
	"oauth_client_id":           {{"x", true}},
	"oauth_client_secret":       {{"x", true}},
	"oauth_scope":               {{"x", true}},
	"oauth_ca_file":             {{"/dev/zero", true}},
}

func TestOpen_KnowsEveryParameterOfLibpq(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	if known, want := slices.Sorted(maps.Keys(claims.Parameters)), slices.Sorted(maps.Keys(parametersOfLibpq)); !slices.Equal(known, want) {
		t.Errorf("known are %v, want %v", known, want)
	}
	for name, values := range parametersOfLibpq {
		for _, test := range values {
			t.Run(name+"="+test.value, func(t *testing.T) {
				t.Parallel()
				address := f.url + "&" + name + "=" + strings.ReplaceAll(url.QueryEscape(test.value), "+", "%20")
				if test.value == "" {
					address = f.url
				}
				database, err := claims.Open(t.Context(), claims.Options{URL: address, Allowed: insecure})
				if err == nil {
					defer database.Close()
					_, err = database.Inspect(t.Context())
				}
				if !test.refused {
					if err != nil {
						t.Error(err)
					}
					return
				}
				if err == nil {
					t.Fatal("it was accepted")
				}
				if name == "host" || name == "ssl" {
					return // the network refuses it
				}
				if failed := failureWith(t, err, v1alpha1.ReasonMalformedURL); !strings.Contains(failed.Message, " "+name) {
					t.Errorf("%q does not name %s", failed.Message, name)
				}
			})
		}
	}
}

func TestOpen_RefusesWhatPsqlRefusesWithoutQuotingIt(t *testing.T) {
	t.Parallel()
	for name, query := range map[string]string{
		"what is the rest of a password": "password=a&s3cret=b",
		"a setting of the session":       "search_path=s3cret",
		"a parameter of this library":    "default_query_exec_mode=s3cret",
		"no value":                       "s3cret",
		"two values":                     "options=a=s3cret",
		"a broken escape":                "options=%zzs3cret",
		"a zero byte":                    "options=%00s3cret",
	} {
		_, err := claims.Open(t.Context(), claims.Options{URL: "postgres://app:s3cret@db.invalid/app?" + query})
		if failed := failureWith(t, err, v1alpha1.ReasonMalformedURL); !failed.Stalled || strings.Contains(failed.Message, "s3cret") {
			t.Errorf("%s: %+v", name, failed)
		}
	}
}

// TestOpen_FindsTheServerThatCanBeWritten has a URL as for a cluster of servers, of which only one is there.
func TestOpen_FindsTheServerThatCanBeWritten(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	for name, hosts := range map[string]string{
		"the first is down":                "127.0.0.1:1,HERE",
		"the last is down, with no port":   "HERE,127.0.0.9",
		"an address of IPv6 that is down":  "[::1]:1,HERE",
		"a name that does not exist is it": "no-such-host.invalid,HERE",
	} {
		address, _, _ := strings.Cut(f.url[strings.Index(f.url, "@")+1:], "/")
		database, err := claims.Open(t.Context(), claims.Options{URL: strings.Replace(f.url, address, strings.Replace(hosts, "HERE", address, 1), 1), Allowed: insecure})
		if err != nil {
			t.Errorf("%s: %s", name, err)
			continue
		}
		database.Close()
	}
}
