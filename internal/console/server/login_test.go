package server_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/oauth2-proxy/mockoidc"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/ledgerport/ledgerport/internal/console/api"
	"github.com/ledgerport/ledgerport/internal/console/server"
)

// withProvider has people log in at the provider.
func withProvider(impersonate bool, change func(*server.OIDC)) func(*server.Options, *api.Options) {
	return func(options *server.Options, _ *api.Options) {
		config := cluster.provider.Config()
		options.OIDC = &server.OIDC{
			Issuer: config.Issuer, ClientID: config.ClientID, ClientSecret: config.ClientSecret, Scopes: []string{"email", "groups"}, CA: caPool(),
			Impersonate: impersonate, UsernameClaim: "sub", UsernamePrefix: "oidc:", GroupsClaim: "groups", GroupsPrefix: "oidc:",
		}
		if !impersonate {
			options.Cluster = cluster.plane.Config
		}
		if change != nil {
			change(options.OIDC)
		}
	}
}

// get asks for a path as a browser does.
func (c *console) get(browser *http.Client, at string) answer {
	c.Helper()
	if strings.HasPrefix(at, "/") {
		at = c.url + at
	}
	request, err := http.NewRequestWithContext(c.Context(), http.MethodGet, at, http.NoBody)
	c.must(err)
	response, err := browser.Do(request) //nolint:bodyclose // readAll does
	c.must(err)
	return c.readAll(response)
}

// post sends a form as a page of the console does.
func (c *console) post(browser *http.Client, path string, form url.Values) answer {
	c.Helper()
	request, err := http.NewRequestWithContext(c.Context(), http.MethodPost, c.url+path, strings.NewReader(form.Encode()))
	c.must(err)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Origin", c.url)
	response, err := browser.Do(request) //nolint:bodyclose // readAll does
	c.must(err)
	return c.readAll(response)
}

// logIn goes to a page, and through the provider as somebody, and returns what the console answers in the end.
func (c *console) logIn(browser *http.Client, page string, user mockoidc.User) answer {
	c.Helper()
	sent := c.get(browser, page)
	if sent.StatusCode != http.StatusSeeOther || !strings.HasPrefix(sent.Header.Get("Location"), "/login?") {
		c.Fatalf("who has not logged in is answered %s %s", sent.Status, sent.content)
	}
	away := c.get(browser, sent.Header.Get("Location"))
	if !strings.HasPrefix(away.Header.Get("Location"), cluster.provider.AuthorizationEndpoint()) {
		c.Fatalf("the login is answered %s %s %s", away.Status, away.Header.Get("Location"), away.content)
	}
	cluster.provider.QueueUser(user)
	back := c.get(browser, away.Header.Get("Location"))
	if !strings.HasPrefix(back.Header.Get("Location"), c.url+"/callback?") {
		c.Fatalf("the provider answers %s %s %s", back.Status, back.Header.Get("Location"), back.content)
	}
	return c.get(browser, back.Header.Get("Location"))
}

// clerk is somebody of a group.
func clerk(name string, groups ...string) *mockoidc.MockUser {
	return &mockoidc.MockUser{Subject: name, Email: name + "@example.com", EmailVerified: true, Groups: groups}
}

// The tests with the provider are one after another, because its queue of users is one for all.
func TestPeopleLogInAtTheProvider(t *testing.T) { //nolint:paralleltest // see above
	t.Run("and are vouched for by impersonation", func(t *testing.T) { logInAndAsk(t, true, "oidc:") })
	t.Run("and their tokens are passed on", func(t *testing.T) { logInAndAsk(t, false, "direct:") })
}

func logInAndAsk(t *testing.T, impersonate bool, prefix string) {
	c := serve(t, withProvider(impersonate, nil))
	clerks := c.tenant("")
	clerks.bind("clerks", "ledgerport-finance", rbacv1.Subject{Kind: rbacv1.GroupKind, APIGroup: rbacv1.GroupName, Name: prefix + "clerks-of-" + clerks.namespace})
	browser := c.client()
	done := c.logIn(browser, "/exports?all=1", clerk("anna", "clerks-of-"+clerks.namespace, "others"))
	if done.StatusCode != http.StatusSeeOther || done.Header.Get("Location") != "/exports?all=1" {
		t.Fatalf("the login ends with %s %s %s", done.Status, done.Header.Get("Location"), done.content)
	}
	for _, cookie := range done.Cookies() {
		if !cookie.HttpOnly || !cookie.Secure || cookie.SameSite != http.SameSiteLaxMode || cookie.Path != "/" || !strings.HasPrefix(cookie.Name, "__Host-") {
			t.Errorf("the cookie is %s", cookie)
		}
		if strings.Contains(cookie.Value, "anna") {
			t.Errorf("the cookie can be read: %s", cookie)
		}
	}
	if page := c.get(browser, "/exports"); page.StatusCode != http.StatusOK || string(page.content) != "page /exports" {
		t.Errorf("the page is %s %s", page.Status, page.content)
	}
	clerks.http, clerks.token = browser, ""
	run := clerks.run(clerks.ask(http.MethodPost, clerks.path("/runs"), "", "Authorization", "", "Origin", c.url), http.StatusAccepted)
	clerks.run(clerks.ask(http.MethodGet, clerks.path("/runs/"+run.ID+"?wait=10ms"), "", "Authorization", ""), http.StatusOK)
	if !strings.Contains(c.log(), `"user"="`+prefix+`anna"`) {
		t.Errorf("the log does not tell who it was:\n%s", c.log())
	}

	stranger := c.client()
	c.logIn(stranger, "/", clerk("berta"))
	other := &tenant{c, clerks.namespace, "", stranger}
	other.refused(other.ask(http.MethodGet, clerks.path("/runs/"+run.ID), "", "Authorization", ""), http.StatusForbidden, "Forbidden", prefix+"berta")

	out := c.post(browser, "/logout", nil)
	if out.StatusCode != http.StatusSeeOther || out.Header.Get("Location") != "/logged-out" { // a page that needs a login would begin the next
		t.Errorf("the logout is answered %s %s", out.Status, out.Header.Get("Location"))
	}
	if page := c.get(browser, "/logged-out"); page.StatusCode != http.StatusOK || !strings.Contains(string(page.content), "You are logged out") {
		t.Errorf("after the logout it says %s %s", page.Status, page.content)
	}
	clerks.refused(clerks.ask(http.MethodGet, clerks.path("/runs/"+run.ID), "", "Authorization", ""), http.StatusUnauthorized, "Unauthorized")
	if page := c.get(browser, "/"); page.StatusCode != http.StatusSeeOther {
		t.Errorf("after the logout a page is answered %s", page.Status)
	}
}

func (c *console) log() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.said.String()
}

func TestALoginThatIsNotWhatItShouldBeIsRefused(t *testing.T) { //nolint:paralleltest // the provider's queue of users is one for all
	c := serve(t, withProvider(true, nil))
	t.Run("one whose claims give somebody a name of Kubernetes", func(t *testing.T) {
		own := serve(t, withProvider(true, func(oidc *server.OIDC) { oidc.UsernamePrefix, oidc.GroupsPrefix = "s", "s" }))
		for _, user := range []*mockoidc.MockUser{clerk("ystem:admin"), clerk("a", "ystem:masters"), clerk("a\r\nImpersonate-Group: b"), clerk("a", "b\x00"), clerk(strings.Repeat("a", 300))} {
			if is := own.logIn(own.client(), "/", user); is.StatusCode != http.StatusForbidden || len(is.Cookies()) > 0 && is.Cookies()[0].Value != "" || !strings.Contains(string(is.content), "one that Kubernetes keeps for itself") {
				t.Errorf("%q %q is answered %s %s", user.Subject, user.Groups, is.Status, is.content)
			}
		}
	})
	t.Run("one that this browser has not begun", func(t *testing.T) {
		victim, attacker := c.client(), c.client()
		away := c.get(attacker, "/login")
		cluster.provider.QueueUser(clerk("mallory"))
		back := c.get(attacker, away.Header.Get("Location")).Header.Get("Location")
		if is := c.get(victim, back); is.StatusCode != http.StatusBadRequest {
			t.Errorf("without a login under way it is answered %s", is.Status)
		}
		c.get(victim, "/login")
		if is := c.get(victim, back); is.StatusCode != http.StatusBadRequest {
			t.Errorf("with another state it is answered %s", is.Status)
		}
	})
	t.Run("one that the provider refuses", func(t *testing.T) {
		browser := c.client()
		away, err := url.Parse(c.get(browser, "/login").Header.Get("Location"))
		c.must(err)
		is := c.get(browser, "/callback?"+url.Values{"state": {away.Query().Get("state")}, "error": {"<script>access_denied"}}.Encode())
		if is.StatusCode != http.StatusForbidden || !strings.Contains(string(is.content), "refused the login: &lt;script&gt;access_denied") {
			t.Errorf("it is answered %s %s", is.Status, is.content)
		}
	})
	t.Run("one that is to go to another site in the end", func(t *testing.T) {
		for _, to := range []string{"https://evil.example/", "//evil.example/", `/\evil.example`, "/%5cevil.example", "javascript:alert(1)", "/a\tb", "\x00", "http:evil.example", "/" + strings.Repeat("a", 3000)} {
			browser := c.client()
			away := c.get(browser, "/login?"+url.Values{"return": {to}}.Encode())
			cluster.provider.QueueUser(clerk("anna"))
			back := c.get(browser, away.Header.Get("Location"))
			is := c.get(browser, back.Header.Get("Location")).Header.Get("Location")
			if at, err := url.Parse(is); err != nil || at.Host != "" || at.Scheme != "" || !strings.HasPrefix(is, "/") || strings.HasPrefix(is, "//") || strings.Contains(is, `\`) {
				t.Errorf("%q leads to %q", to, is)
			}
		}
	})
	t.Run("a session that was changed, or is of another server", func(t *testing.T) {
		browser := c.client()
		c.logIn(browser, "/", clerk("anna"))
		at, err := url.Parse(c.url)
		c.must(err)
		for _, cookie := range browser.Jar.Cookies(at) {
			changed := []byte(cookie.Value)
			changed[len(changed)/2] ^= 1
			cookie.Value, cookie.Path, cookie.Secure = string(changed), "/", true
			browser.Jar.SetCookies(at, []*http.Cookie{cookie})
		}
		if is := c.get(browser, "/"); is.StatusCode != http.StatusSeeOther {
			t.Errorf("it is answered %s", is.Status)
		}
	})
}

// token makes one of the provider.
func (c *console) oidcToken(audience string, ttl time.Duration, change func(jwt.MapClaims)) string {
	c.Helper()
	claims := jwt.MapClaims{"iss": cluster.provider.Issuer(), "aud": audience, "sub": "robot", "iat": time.Now().Unix() - 3600, "exp": time.Now().Add(ttl).Unix(), "groups": []string{"robots"}}
	if change != nil {
		change(claims)
	}
	token, err := cluster.provider.Keypair.SignJWT(claims)
	c.must(err)
	return token
}

func TestTokensOfTheProviderAreBelievedIfTheyAreForTheConsole(t *testing.T) {
	t.Parallel()
	c := serve(t, withProvider(true, func(oidc *server.OIDC) { oidc.Audiences = []string{"batch"} }))
	app := c.tenant("")
	app.bind("robots", "ledgerport-finance", rbacv1.Subject{Kind: rbacv1.GroupKind, APIGroup: rbacv1.GroupName, Name: "oidc:robots"})
	app.token = c.oidcToken("batch", time.Hour, nil)
	run := app.run(app.ask(http.MethodPost, app.path("/runs"), ""), http.StatusAccepted)
	id := cluster.provider.ClientID
	for name, token := range map[string]string{
		"one for another client": c.oidcToken("others", time.Hour, nil), "one that has expired": c.oidcToken(id, -time.Minute, nil),
		"one without a name":         c.oidcToken(id, time.Hour, func(claims jwt.MapClaims) { delete(claims, "sub") }),
		"one of another key":         c.oidcToken(id, time.Hour, nil)[:200] + ".e30." + strings.Repeat("A", 342),
		"one that nobody has signed": unsigned(id),
	} {
		app.token = token
		if is := app.ask(http.MethodGet, app.path("/runs/"+run.ID), ""); is.StatusCode != http.StatusUnauthorized && is.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %s %s", name, is.Status, is.content)
		}
	}
	app.token = c.oidcToken(id, time.Hour, func(claims jwt.MapClaims) { delete(claims, "groups") })
	app.refused(app.ask(http.MethodGet, app.path("/runs/"+run.ID), ""), http.StatusForbidden, "Forbidden", "oidc:robot")
	// What the API server itself knows is passed on all the same.
	app.token = app.account("known", "ledgerport-finance")
	app.run(app.ask(http.MethodGet, app.path("/runs/"+run.ID), ""), http.StatusOK)
}

func unsigned(audience string) string {
	token, _ := jwt.NewWithClaims(jwt.SigningMethodNone, jwt.MapClaims{
		"iss": cluster.provider.Issuer(), "aud": audience, "sub": "robot", "exp": time.Now().Add(time.Hour).Unix(), "groups": []string{"robots"},
	}).SignedString(jwt.UnsafeAllowNoneSignatureType)
	return token
}

func TestPeopleLogInWithATokenWithoutAProvider(t *testing.T) {
	t.Parallel()
	c := serve(t, func(options *server.Options, _ *api.Options) { options.Cluster = cluster.plane.Config })
	app := c.tenant("ledgerport-finance")
	browser := c.client()
	page := c.get(browser, "/login?return=%2Fexports%22%3E%3Cscript%3E")
	if page.StatusCode != http.StatusOK || strings.Contains(string(page.content), "<script>") || !strings.Contains(string(page.content), "token") {
		t.Errorf("the form is %s %s", page.Status, page.content)
	}
	for _, wrong := range []string{"", "admin", "a b", strings.Repeat("a", 40<<10)} {
		if is := c.post(browser, "/login", url.Values{"token": {wrong}}); is.StatusCode != http.StatusUnauthorized || len(is.Cookies()) > 0 {
			t.Errorf("the token %.10q is answered %s", wrong, is.Status)
		}
	}
	is := c.post(browser, "/login", url.Values{"token": {" " + app.token + "\n"}, "return": {"/exports"}})
	if is.StatusCode != http.StatusSeeOther || is.Header.Get("Location") != "/exports" {
		t.Fatalf("the login is answered %s %s", is.Status, is.content)
	}
	app.http = browser
	app.run(app.ask(http.MethodPost, app.path("/runs"), "", "Authorization", "", "Origin", c.url), http.StatusAccepted)
	if strings.Contains(c.log(), app.token) {
		t.Error("the log has the token")
	}
}

func TestOptionsThatAreNotSafeAreRefused(t *testing.T) {
	t.Parallel()
	public := func(text string) *url.URL {
		at, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	good := server.OIDC{Issuer: "https://login.example.com", ClientID: "ledgerport", Impersonate: true, UsernamePrefix: "oidc:", GroupsPrefix: "oidc:"}
	for name, change := range map[string]func(*server.Options){
		"a public URL without TLS":  func(options *server.Options) { options.PublicURL = public("http://console.example.com") },
		"an issuer without TLS":     func(options *server.Options) { options.OIDC.Issuer = "http://login.example.com" },
		"no client id":              func(options *server.Options) { options.OIDC.ClientID = "" },
		"names without a prefix":    func(options *server.Options) { options.OIDC.UsernamePrefix = "" },
		"groups without a prefix":   func(options *server.Options) { options.OIDC.GroupsPrefix = "" },
		"a prefix of Kubernetes":    func(options *server.Options) { options.OIDC.GroupsPrefix = "system:" },
		"a key that can be guessed": func(options *server.Options) { options.Keys = [][]byte{[]byte("secret")} },
		"no API server":             func(options *server.Options) { options.Cluster = nil },
	} {
		oidc := good
		options := server.Options{PublicURL: public("https://console.example.com"), Cluster: cluster.console, OIDC: &oidc}
		change(&options)
		if _, err := server.New(options); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	oidc := good
	if _, err := server.New(server.Options{PublicURL: public("http://localhost:8443"), Cluster: cluster.console, OIDC: &oidc}); err != nil {
		t.Errorf("behind a port of this machine: %v", err)
	}
}

func TestTheConsoleMayImpersonateOnlyForWhatItIs(t *testing.T) {
	t.Parallel()
	c := serve(t, nil)
	for _, path := range []string{"/api/v1/namespaces/kube-system/secrets", "/api/v1/nodes", "/apis/apps/v1/deployments"} {
		for _, who := range []http.Header{
			{"Impersonate-User": {"admin"}, "Impersonate-Group": {"system:masters"}}, {"Impersonate-User": {"oidc:anna"}, "Impersonate-Group": {"oidc:admins"}},
			{"Impersonate-User": {"system:serviceaccount:kube-system:generic-garbage-collector"}}, {},
		} {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, strings.TrimSuffix(cluster.console.Host, "/")+path, http.NoBody)
			c.must(err)
			request.Header = who.Clone()
			request.Header.Set("Authorization", "Bearer "+cluster.console.BearerToken)
			response, err := insecure().Do(request) //nolint:bodyclose // readAll does
			c.must(err)
			if is := c.readAll(response); is.StatusCode != http.StatusForbidden {
				t.Errorf("%v %s: %s %s", who, path, is.Status, fmt.Sprintf("%.200s", is.content))
			}
		}
	}
}
