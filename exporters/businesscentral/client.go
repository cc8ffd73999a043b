package businesscentral

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/ledgerport/ledgerport/exporters"
)

const (
	scope = "https://api.businesscentral.dynamics.com/.default"
	// usualWait where Business Central asks to wait and does not say for how long.
	usualWait = 10 * time.Second
	// leastWait and mostWait bound what a server may ask for.
	leastWait, mostWait = 200 * time.Millisecond, 24 * time.Hour
	// largestAnswer in bytes: to a batch of 100 operations, of which each has some thousand.
	largestAnswer = 1 << 20
	// mostValues bounds the values in an answer, each of which takes much more memory when it is decoded: those to a batch have some thousand.
	mostValues = 30_000
)

// client speaks to the API of one environment, waits where it is asked to, and gets a new token where the old one expired.
type client struct {
	http   *http.Client
	base   string // up to api/v2.0/
	config clientcredentials.Config
	token  *oauth2.Token
}

func newClient(o *options, batch *exporters.Batch) *client {
	return &client{
		http: batch.HTTPClient,
		base: strings.TrimSuffix(o.BaseURL, "/") + "/" + url.PathEscape(o.TenantID) + "/" + url.PathEscape(o.Environment) + "/api/v2.0/",
		config: clientcredentials.Config{
			ClientID: string(batch.Credentials[clientIDKey]), ClientSecret: string(batch.Credentials[clientSecretKey]),
			TokenURL: o.TokenURL, Scopes: []string{scope}, AuthStyle: oauth2.AuthStyleInParams,
		},
	}
}

// answer to a request, or to an operation of a $batch request.
type answer struct {
	Status int
	Header http.Header
	Body   json.RawMessage
}

// content is what a request sends.
type content struct {
	mediaType string
	size      int64
	// from returns all of it, from the beginning.
	from func() io.Reader
}

// exchange is send, of JSON.
func (c *client) exchange(ctx context.Context, method, path string, body []byte, header http.Header) (answer, error) {
	return c.send(ctx, method, path, content{"application/json", int64(len(body)), func() io.Reader { return bytes.NewReader(body) }}, header)
}

// send returns the answer to a request that is neither to wait nor to log in again. What it says of an error is true for
// the request as a whole.
func (c *client) send(ctx context.Context, method, path string, body content, header http.Header) (answer, error) {
	for loggedIn := false; ; {
		if err := c.logIn(ctx); err != nil {
			return answer{}, err
		}
		got, err := c.once(ctx, method, path, body, header)
		switch {
		case err != nil:
			return got, c.unanswered(ctx, method, err)
		case got.Status == http.StatusUnauthorized && !loggedIn:
			c.token, loggedIn = nil, true
		case got.Status == http.StatusUnauthorized:
			return got, refusedCredentials("Business Central refuses the token of the application", got.Body, nil)
		case throttled(got):
			if err := wait(ctx, got.Header); err != nil {
				return got, err
			}
		case got.Status >= http.StatusInternalServerError || got.Status == http.StatusRequestTimeout:
			return got, c.unanswered(ctx, method, fmt.Errorf("status %d", got.Status))
		default:
			return got, nil
		}
	}
}

// throttled says that nothing was done because there is too much to do.
func throttled(got answer) bool {
	return got.Status == http.StatusTooManyRequests || got.Status == http.StatusServiceUnavailable && got.Header.Get("Retry-After") != ""
}

func (c *client) once(ctx context.Context, method, path string, body content, header http.Header) (got answer, err error) {
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, http.NoBody)
	if err != nil {
		return got, err
	}
	if body.size > 0 {
		request.ContentLength = body.size
		request.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(body.from()), nil }
		request.Body = io.NopCloser(body.from())
	}
	for key, values := range header {
		request.Header[key] = values
	}
	request.Header.Set("Accept", "application/json")
	if body.size > 0 {
		request.Header.Set("Content-Type", body.mediaType)
	}
	c.token.SetAuthHeader(request)
	response, err := c.http.Do(request)
	if err != nil {
		return got, err
	}
	defer func() { _ = response.Body.Close() }() // it was read
	content, err := io.ReadAll(io.LimitReader(response.Body, largestAnswer))
	if err == nil && bytes.Count(content, []byte{','}) > mostValues {
		content, err = nil, errors.New("the answer has more values than any that is asked for")
	}
	return answer{Status: response.StatusCode, Header: response.Header, Body: content}, err
}

// unanswered says what is known where an answer is missing: of a request that only asks, or that never left, nothing was
// changed.
func (c *client) unanswered(ctx context.Context, method string, cause error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", method, ctx.Err())
	}
	var dial *net.OpError
	if method == http.MethodGet || errors.As(cause, &dial) && dial.Op == "dial" {
		return &exporters.SystemError{Problem: exporters.Unreachable, Cause: cause, Message: "Business Central cannot be reached, or failed to answer"}
	}
	return &exporters.SystemError{Problem: exporters.OutcomeUnknown, Cause: cause,
		Message: "Business Central did not answer whether it took what was sent; the next attempt looks it up"}
}

// logIn makes sure of a token that is valid for a while.
func (c *client) logIn(ctx context.Context) error {
	for !c.token.Valid() {
		token, err := c.config.Token(context.WithValue(ctx, oauth2.HTTPClient, c.http))
		if err == nil {
			c.token = token
			return nil
		}
		var refused *oauth2.RetrieveError
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("getting a token: %w", ctx.Err())
		case !errors.As(err, &refused):
			return &exporters.SystemError{Problem: exporters.Unreachable, Cause: err, Message: "the token endpoint of Microsoft Entra cannot be reached"}
		case throttled(answer{Status: refused.Response.StatusCode, Header: refused.Response.Header}):
			if err := wait(ctx, refused.Response.Header); err != nil {
				return err
			}
		case refused.Response.StatusCode >= http.StatusInternalServerError:
			return &exporters.SystemError{Problem: exporters.Unreachable, Cause: err, Message: "the token endpoint of Microsoft Entra failed"}
		default:
			return refusedCredentials("Microsoft Entra refuses the application's clientID and clientSecret", nil, err)
		}
	}
	return nil
}

func refusedCredentials(what string, body json.RawMessage, cause error) error {
	_, words := problem(body)
	if words != "" {
		what += ": " + words
	}
	return &exporters.SystemError{Problem: exporters.CredentialsRefused, Message: what + "; see spec.credentials and the application in Business Central", Cause: cause}
}

// wait does as Retry-After says, seconds or a date, if the context does not end before.
func wait(ctx context.Context, header http.Header) error {
	pause := retryAfter(header.Get("Retry-After"), time.Now())
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < pause {
		return &exporters.SystemError{Problem: exporters.Unreachable,
			Message: fmt.Sprintf("Business Central has too much to do and wants to be asked again in %s, which is after the attempt's deadline", pause)}
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for Business Central: %w", ctx.Err())
	}
}

// retryAfter is for how long a server wants to be left alone: seconds or a date, within bounds.
func retryAfter(text string, now time.Time) time.Duration {
	pause := usualWait
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil && seconds >= 0 {
		pause = time.Duration(min(seconds, int64(mostWait/time.Second))) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		pause = at.Sub(now) // which stops at the longest that there is
	}
	return min(max(pause, leastWait), mostWait)
}

// problem returns code and message of an error's body.
func problem(body json.RawMessage) (code, message string) {
	var e struct {
		Error struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"error"`
	}
	if json.Unmarshal(body, &e) != nil {
		return "", ""
	}
	message, _, _ = strings.Cut(e.Error.Message, "CorrelationId:")
	return e.Error.Code, strings.TrimSpace(message)
}
