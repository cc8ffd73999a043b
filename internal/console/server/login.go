package server

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"net/http"
	"net/url"
	"strings"
	"time"

	oidc "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/ledgerport/ledgerport/internal/console/problem"
	"github.com/ledgerport/ledgerport/texts"
)

// loginTime is how long a person may take at the provider.
const loginTime = 10 * time.Minute

// underWay is what a login is recognised by when the provider sends the browser back.
type underWay struct {
	State    string `json:"state"`
	Nonce    string `json:"nonce"`
	Verifier string `json:"verifier"`
	Return   string `json:"return"`
}

// loggedOutPath is where a browser is sent that has forgotten its session. A page that needs one would begin the next at once.
const loggedOutPath = "/logged-out"

// logins begin and end sessions.
type logins struct {
	*Server
	entrance Entrance
}

// loginPath is where a browser logs in that wants a page.
func loginPath(wanted string) string {
	return "/login?" + url.Values{"return": {local(wanted)}}.Encode()
}

// local returns a path of this server, whatever is given: no browser is sent elsewhere.
func local(path string) string {
	parsed, err := url.Parse(path)
	if err != nil || len(path) > 2000 || parsed.Scheme != "" || parsed.Host != "" || parsed.User != nil || !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") ||
		strings.ContainsAny(path, "\\\r\n\t") || strings.HasPrefix(parsed.Path, "//") {
		return "/"
	}
	return path
}

// show sends a person to the provider, or asks for a token.
func (s logins) show(w http.ResponseWriter, r *http.Request) {
	if s.provider == nil {
		s.entrance.AskForToken(w, r, http.StatusOK, local(r.FormValue("return")), "")
		return
	}
	found, err := s.provider.find(r.Context())
	if err != nil {
		s.refuseLogin(w, r, problem.Of(err))
		return
	}
	began := underWay{State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), Return: local(r.FormValue("return"))}
	if err := set(s.cookies, w, loginCookie, began, time.Now().Add(loginTime)); err != nil {
		s.refuseLogin(w, r, problem.New(http.StatusInternalServerError, problem.Internal, "%s", err))
		return
	}
	http.Redirect(w, r, s.provider.flow(found).AuthCodeURL(began.State, oidc.Nonce(began.Nonce), oauth2.S256ChallengeOption(began.Verifier)), http.StatusSeeOther)
}

// takeToken begins a session with a token that a person has typed in.
func (s logins) takeToken(w http.ResponseWriter, r *http.Request) {
	if s.provider != nil {
		problem.New(http.StatusNotFound, problem.NotFound, "log in at the OIDC provider").Write(w)
		return
	}
	if s.forms.read(w, r, 2*longestToken) != nil {
		s.entrance.AskForToken(w, r, http.StatusUnauthorized, "/", "That is not a token, or it was not sent in time.")
		return
	}
	token, is := bearer([]string{"Bearer " + strings.TrimSpace(r.PostFormValue("token"))})
	wanted := local(r.PostFormValue("return"))
	if !is {
		s.entrance.AskForToken(w, r, http.StatusUnauthorized, wanted, "That is not a token.")
		return
	}
	ctx, over, err := s.returning.begin(s.cookies, r)
	if err == nil {
		defer over()
		err = s.begin(w, ctx, session{Token: token})
	}
	if err != nil {
		refused := problem.Of(err)
		s.entrance.AskForToken(w, r, refused.Status, wanted, refused.Detail)
		return
	}
	http.Redirect(w, r, wanted, http.StatusSeeOther) // #nosec G710 -- it is a path of this server
}

// begin keeps a session with the browser. Of a token it asks the API server first whose it is.
func (s logins) begin(w http.ResponseWriter, ctx context.Context, who session) error { //nolint:revive // the browser comes first
	until := time.Now().Add(s.Sessions)
	if who.Token != "" {
		caller, err := s.known.caller(ctx, who.Token)
		if err != nil {
			return err
		}
		who.Name, who.Groups = caller.Name, nil
		if at, said := ends(who.Token); said && at.Before(until) {
			until = at
		}
	}
	if err := set(s.cookies, w, sessionCookie, who, until); err != nil {
		return problem.New(http.StatusForbidden, problem.Invalid, "%s", err)
	}
	_ = set(s.cookies, w, returningCookie, visitor{who.Name}, time.Now().Add(returningFor)) // without it the next login waits among all
	s.Log.Info("logged in", "user", texts.Printable(who.Name, texts.Quote), "until", until.UTC().Format(time.RFC3339))
	return nil
}

// callback ends a login at the provider.
func (s logins) callback(w http.ResponseWriter, r *http.Request) {
	began, is := get[underWay](s.cookies, r, loginCookie, time.Now())
	s.cookies.drop(w, loginCookie)
	query := r.URL.Query()
	if s.provider == nil || !is || subtle.ConstantTimeCompare([]byte(query.Get("state")), []byte(began.State)) != 1 {
		s.refuseLogin(w, r, problem.New(http.StatusBadRequest, problem.BadRequest, "this is not the end of a login that this browser has begun, or it took longer than %s; begin again", loginTime))
		return
	}
	if word := query.Get("error"); word != "" {
		s.refuseLogin(w, r, problem.New(http.StatusForbidden, problem.Unauthorized, "the OIDC provider has refused the login: %s", texts.Printable(word, texts.Quote)))
		return
	}
	ctx, over, err := s.returning.begin(s.cookies, r)
	if err == nil {
		defer over()
		err = s.end(ctx, w, query.Get("code"), began)
	}
	if err != nil {
		refused := problem.Of(err)
		s.Log.Info("a login has failed", "code", refused.Status, "why", refused.Detail)
		s.refuseLogin(w, r, refused)
		return
	}
	http.Redirect(w, r, began.Return, http.StatusSeeOther)
}

// end gets the tokens of a login, and begins a session.
func (s logins) end(ctx context.Context, w http.ResponseWriter, code string, began underWay) error {
	who, err := s.exchange(ctx, code, began)
	if err == nil {
		err = s.begin(w, ctx, who)
	}
	return err
}

// refuseLogin tells a person that a login has failed.
func (s logins) refuseLogin(w http.ResponseWriter, r *http.Request, refused *problem.Problem) {
	s.entrance.Refuse(w, r, refused.Status, refused.Detail)
}

// exchange gets the token of a login, and whose it is.
func (s logins) exchange(ctx context.Context, code string, began underWay) (session, error) {
	tokens, err := s.provider.exchange(ctx, code, began.Verifier)
	if err != nil {
		return session{}, err
	}
	token, is := tokens.Extra("id_token").(string)
	if !is || len(token) > longestToken {
		return session{}, problem.New(http.StatusForbidden, problem.Unauthorized, "the OIDC provider has sent no ID token, or one of more than %d bytes", longestToken)
	}
	who, err := s.provider.verify(ctx, token, began.Nonce)
	if err != nil || s.provider.Impersonate {
		return who, err
	}
	return session{Token: token}, nil
}

// leave has the browser forget the session.
func (s logins) leave(w http.ResponseWriter, r *http.Request) {
	s.cookies.drop(w, sessionCookie)
	http.Redirect(w, r, loggedOutPath, http.StatusSeeOther)
}
