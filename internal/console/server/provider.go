package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	oidc "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/ledgerport/ledgerport/internal/console/problem"
)

// OIDC is a provider that people log in at.
type OIDC struct {
	// Issuer is its URL, and ClientID what it knows this server by.
	Issuer, ClientID, ClientSecret string
	// Scopes that are asked for besides openid.
	Scopes []string
	// Audiences of tokens that programs may send besides those for ClientID, with Impersonate.
	Audiences []string
	// CA of the provider; nil is those of the system.
	CA *x509.CertPool
	// Impersonate vouches for people towards the API server, which need not know the provider then. Without it the token of a person is
	// passed on, and the API server must accept it.
	Impersonate bool
	// UsernameClaim and GroupsClaim are those of the token that have a person's name and groups, and the prefixes come before them.
	UsernameClaim, UsernamePrefix, GroupsClaim, GroupsPrefix string
}

// reserved are names that Kubernetes gives to its own.
const reserved = "system:"

const (
	// mostGroups of a person, and longestName of it and each of them.
	mostGroups, longestName = 500, 256
	// mostEndings of logins are asked for at the same time: who has begun one login can end it again and again. As many more are of people who have
	// logged in before.
	mostEndings = 16
)

// provider is a provider as it is known here. It is asked about itself when it is needed first, so that the server starts without it.
type provider struct {
	OIDC
	callback string
	client   *http.Client
	keys     *seldom
	endings  chan struct{}
	again    chan struct{} // of those who have logged in before

	mu    sync.Mutex
	found *oidc.Provider
}

func newProvider(options OIDC, public *url.URL) (*provider, error) {
	issuer, err := url.Parse(options.Issuer)
	switch {
	case err != nil || issuer.Host == "" || issuer.Scheme != "https" && !loopback(issuer):
		return nil, fmt.Errorf("the OIDC issuer %q is not a URL with https", options.Issuer)
	case options.ClientID == "":
		return nil, errors.New("an OIDC issuer needs a client id")
	case options.Impersonate && (options.UsernamePrefix == "" || options.GroupsPrefix == ""):
		return nil, errors.New("impersonation needs a prefix of user names and one of groups, so that nobody is taken for a user that Kubernetes knows otherwise")
	case strings.HasPrefix(options.UsernamePrefix, reserved) || strings.HasPrefix(options.GroupsPrefix, reserved):
		return nil, fmt.Errorf("no prefix may begin with %q, which is Kubernetes' own", reserved)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone() // it is one
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: options.CA}
	keys := &seldom{next: transport}
	return &provider{OIDC: options, callback: public.JoinPath("/callback").String(), client: &http.Client{Transport: keys, Timeout: patience}, keys: keys, endings: make(chan struct{}, mostEndings), again: make(chan struct{}, mostEndings)}, nil
}

// unreachable says that the provider does not answer.
func unreachable(error) *problem.Problem {
	return problem.New(http.StatusServiceUnavailable, problem.Unavailable, "the OIDC provider cannot be reached, or is not what it is configured as; ask again").After(5)
}

// find asks the provider about itself, once.
func (p *provider) find(ctx context.Context) (*oidc.Provider, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.found != nil {
		return p.found, nil
	}
	ctx, cancel := bounded(oidc.ClientContext(ctx, p.client))
	defer cancel()
	found, err := oidc.NewProvider(ctx, p.Issuer)
	if err != nil {
		return nil, unreachable(err)
	}
	var said struct {
		Keys string `json:"jwks_uri"`
	}
	if err := found.Claims(&said); err != nil {
		return nil, unreachable(err)
	}
	p.keys.of(said.Keys)
	p.found = found
	return found, nil
}

// flow is how a person is sent to the provider.
func (p *provider) flow(found *oidc.Provider) *oauth2.Config {
	return &oauth2.Config{
		ClientID: p.ClientID, ClientSecret: p.ClientSecret, Endpoint: found.Endpoint(), RedirectURL: p.callback,
		Scopes: append([]string{oidc.ScopeOpenID}, p.Scopes...),
	}
}

// exchange gets the tokens of a login that ends with a code. It waits while as many logins end as may.
func (p *provider) exchange(ctx context.Context, code, verifier string) (*oauth2.Token, error) {
	found, err := p.find(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := bounded(oidc.ClientContext(ctx, p.client))
	defer cancel()
	places := p.endings
	if isReturning(ctx) {
		places = p.again
	}
	select {
	case places <- struct{}{}:
		defer func() { <-places }()
	case <-ctx.Done():
		return nil, problem.Busy("as many logins end as may; begin again")
	}
	tokens, err := p.flow(found).Exchange(ctx, code, oauth2.VerifierOption(verifier))
	if err != nil {
		return nil, problem.New(http.StatusForbidden, problem.Unauthorized, "the OIDC provider does not accept the end of the login; begin again")
	}
	return tokens, nil
}

// issued reports whether a token says that it is of the provider. That is believed when it is verified.
func (p *provider) issued(token string) bool {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return false
	}
	content, err := base64.RawURLEncoding.DecodeString(parts[1])
	var said struct {
		Issuer string `json:"iss"`
	}
	return err == nil && json.Unmarshal(content, &said) == nil && said.Issuer == p.Issuer
}

// unverified says that a token is not one of the provider for this server.
var unverified = problem.New(http.StatusUnauthorized, problem.Unauthorized, "the token is not one of the OIDC provider for this server, or has expired")

// verify returns whose token one of the provider is. A nonce, if one was sent, must be in it.
func (p *provider) verify(ctx context.Context, token, nonce string) (session, error) {
	found, err := p.find(ctx)
	if err != nil {
		return session{}, err
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	verified, err := found.Verifier(&oidc.Config{SkipClientIDCheck: true}).Verify(ctx, token) // which keeps the keys
	if err != nil && p.keys.failing() {
		return session{}, unreachable(err)
	}
	audiences := append([]string{p.ClientID}, p.Audiences...)
	if nonce != "" {
		audiences = audiences[:1]
	}
	if err != nil || verified.Nonce != nonce && nonce != "" || !slices.ContainsFunc(verified.Audience, func(one string) bool { return slices.Contains(audiences, one) }) {
		return session{}, unverified
	}
	var claims map[string]json.RawMessage
	if verified.Claims(&claims) != nil {
		return session{}, unverified
	}
	return p.person(claims)
}

// person is who the claims of a token are about.
func (p *provider) person(claims map[string]json.RawMessage) (who session, err error) {
	var name string
	if json.Unmarshal(claims[p.UsernameClaim], &name) != nil || name == "" {
		return who, problem.New(http.StatusForbidden, problem.Invalid, "the token has no claim %q with a name", p.UsernameClaim)
	}
	if confirmed, said := claims["email_verified"]; p.UsernameClaim == "email" && said && string(confirmed) != "true" {
		return who, problem.New(http.StatusForbidden, problem.Invalid, "the provider has not verified the address of mail")
	}
	who.Name = p.UsernamePrefix + name
	for _, group := range groupsOf(claims[p.GroupsClaim]) {
		who.Groups = append(who.Groups, p.GroupsPrefix+group)
	}
	if len(who.Groups) > mostGroups || !named(who.Name) || slices.ContainsFunc(who.Groups, func(group string) bool { return !named(group) }) {
		return session{}, problem.New(http.StatusForbidden, problem.Invalid, "the name or a group of the token is one that Kubernetes keeps for itself, is too long, or has control characters; or there are more than %d groups", mostGroups)
	}
	return who, nil
}

// groupsOf are those of a claim: a list, or one.
func groupsOf(claim json.RawMessage) (groups []string) {
	if json.Unmarshal(claim, &groups) == nil {
		return groups
	}
	var one string
	if json.Unmarshal(claim, &one) == nil && one != "" {
		return []string{one}
	}
	return nil
}

// named reports whether somebody may be called so.
func named(name string) bool {
	return name != "" && len(name) <= longestName && utf8.ValidString(name) && !strings.ContainsFunc(name, unicode.IsControl) && !strings.HasPrefix(name, reserved)
}

// ends is when a token does, as it says itself.
func ends(token string) (at time.Time, said bool) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return at, false
	}
	content, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct {
		Expires json.Number `json:"exp"`
	}
	if err != nil || json.Unmarshal(content, &claims) != nil {
		return at, false
	}
	seconds, err := claims.Expires.Float64()
	return time.Unix(int64(seconds), 0), err == nil && seconds > 0 && seconds < 1e11
}
