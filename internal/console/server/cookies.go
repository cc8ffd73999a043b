package server

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// sessionCookie has the login of a person, and loginCookie what a login under way is recognised by.
	sessionCookie, loginCookie = "session", "login"
	// longestCookie is how many characters one has at most, and mostCookies how many a value is spread over: browsers keep 4,096 bytes of one.
	longestCookie, mostCookies = 3800, 6
	// shortestKey is what a key has at least, in bytes.
	shortestKey = 32
)

// cookies keep with the browser what the server knows of a session. They are sealed: a browser can neither read nor change them.
type cookies struct {
	keys   []cipher.AEAD
	secure bool
}

func newCookies(keys [][]byte, secure bool) (*cookies, error) {
	if len(keys) == 0 {
		made := make([]byte, shortestKey)
		_, _ = rand.Read(made) // it does not fail
		keys = [][]byte{made}
	}
	c := &cookies{secure: secure}
	for i, key := range keys {
		if len(key) < shortestKey {
			return nil, fmt.Errorf("key %d of the sessions has %d bytes, and needs %d", i+1, len(key), shortestKey)
		}
		derived, err := hkdf.Key(sha256.New, key, nil, "ledgerport console cookies", 32)
		if err != nil {
			return nil, err
		}
		block, err := aes.NewCipher(derived)
		if err != nil {
			return nil, err
		}
		sealer, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return nil, err
		}
		c.keys = append(c.keys, sealer)
	}
	return c, nil
}

// sealed is what is within a cookie.
type sealed[T any] struct {
	Until time.Time `json:"until"`
	Value T         `json:"value"`
}

// name of the part of a cookie. Its prefix has browsers take it from this host alone, over TLS, and for all paths.
func (c *cookies) name(of string, part int) string {
	name := "ledgerport-" + of
	if part > 0 {
		name += "-" + strconv.Itoa(part)
	}
	if c.secure {
		return "__Host-" + name
	}
	return name
}

// set keeps a value with the browser until a time.
func set[T any](c *cookies, w http.ResponseWriter, of string, value T, until time.Time) error {
	content, err := json.Marshal(sealed[T]{until, value})
	if err != nil {
		return err
	}
	text := base64.RawURLEncoding.EncodeToString(c.keys[0].Seal(nil, nil, content, []byte(of))) // #nosec G407 -- it makes a random nonce itself
	if len(text) > longestCookie*mostCookies {
		return errors.New("the login is too large for the cookies of a browser; let the provider put fewer groups into its tokens")
	}
	for part := range mostCookies {
		if part > 0 && text == "" {
			c.clear(w, of, part)
			continue
		}
		piece := text[:min(len(text), longestCookie)]
		text = text[len(piece):]
		c.write(w, c.name(of, part), piece, until)
	}
	return nil
}

// get returns a value that was set before, if it is whole and its time has not come.
func get[T any](c *cookies, r *http.Request, of string, now time.Time) (value T, ok bool) {
	var text strings.Builder
	for part := range mostCookies {
		cookie, err := r.Cookie(c.name(of, part))
		if err != nil || cookie.Value == "" {
			break
		}
		text.WriteString(cookie.Value)
	}
	content, err := base64.RawURLEncoding.DecodeString(text.String())
	if err != nil || len(content) == 0 {
		return value, false
	}
	for _, key := range c.keys {
		plain, err := key.Open(nil, nil, content, []byte(of))
		if err != nil {
			continue
		}
		var opened sealed[T]
		if json.Unmarshal(plain, &opened) != nil || !now.Before(opened.Until) {
			return value, false
		}
		return opened.Value, true
	}
	return value, false
}

// drop has the browser forget a value.
func (c *cookies) drop(w http.ResponseWriter, of string) {
	for part := range mostCookies {
		c.clear(w, of, part)
	}
}

func (c *cookies) clear(w http.ResponseWriter, of string, part int) {
	c.write(w, c.name(of, part), "", time.Unix(1, 0))
}

// write sets a cookie. It is sent along when a provider sends the browser back, and not when another site sends a form.
func (c *cookies) write(w http.ResponseWriter, name, value string, until time.Time) {
	http.SetCookie(w, &http.Cookie{ // #nosec G124 -- only a host of this machine does without TLS
		Name: name, Value: value, Path: "/", Expires: until, Secure: c.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}
