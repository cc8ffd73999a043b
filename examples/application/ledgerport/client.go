// Package ledgerport asks Ledgerport for exports. An application can copy it as it is: it needs nothing but the standard library.
package ledgerport

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Client speaks for the application about one export.
type Client struct {
	// URL of the console, such as https://ledgerport-console.ledgerport-system.svc.
	URL string
	// Namespace and Export that are asked about.
	Namespace, Export string
	// Token returns the application's token. Kubernetes renews the file of a service account, so that it is read each time.
	Token func() (string, error)
	// HTTP reaches the console.
	HTTP *http.Client
}

// Run is what the application shows of a run. The API tells more.
type Run struct {
	ID       string `json:"id"`
	Phase    string `json:"phase"`
	Finished bool   `json:"finished"`
	Message  string `json:"message"`
	Claims   int64  `json:"claims"`
	Held     int64  `json:"held"`
	Progress *struct {
		Claims int64  `json:"claims"`
		Total  *int64 `json:"total"`
	} `json:"progress"`
	Total *struct {
		Amount   string `json:"amount"`
		Currency string `json:"currency"`
	} `json:"total"`
	Links struct {
		Self  string `json:"self"`
		Files string `json:"files"`
	} `json:"links"`
}

// File is one that a run has delivered.
type File struct {
	Name      string `json:"name"`
	Size      int64  `json:"size"`
	MediaType string `json:"mediaType"`
	SHA256    string `json:"sha256"`
	Link      string `json:"link"`
}

// Problem is what the API answers if it does not do what was asked.
type Problem struct {
	Status int    `json:"status"`
	Code   string `json:"code"`
	Detail string `json:"detail"`

	after time.Duration
}

// Error implements error.
func (p *Problem) Error() string { return fmt.Sprintf("%s: %s", p.Code, p.Detail) }

// Request asks for a run. The same key has the same run, however often it is asked for.
func (c *Client) Request(ctx context.Context, key string) (run Run, err error) {
	err = c.do(ctx, http.MethodPost, c.path("runs"), http.Header{"Idempotency-Key": {key}}, &run)
	return run, err
}

// Wait returns a run as it is when it has finished, or when the time is over.
func (c *Client) Wait(ctx context.Context, id string, most time.Duration) (run Run, err error) {
	err = c.do(ctx, http.MethodGet, c.path("runs", id)+"?wait="+most.String(), nil, &run)
	return run, err
}

// Files lists what a run has delivered.
func (c *Client) Files(ctx context.Context, id string) ([]File, error) {
	var list struct {
		Items []File `json:"items"`
	}
	err := c.do(ctx, http.MethodGet, c.path("runs", id, "files"), nil, &list)
	return list.Items, err
}

// Open returns the content of a file. It ends with an error if it is not what the run has delivered.
func (c *Client) Open(ctx context.Context, file File) (io.ReadCloser, error) {
	answer, err := c.send(ctx, http.MethodGet, file.Link, nil)
	if err != nil {
		return nil, err
	}
	return answer.Body, nil
}

func (c *Client) path(below ...string) string {
	parts := []string{"/api/v1/namespaces", url.PathEscape(c.Namespace), "exports", url.PathEscape(c.Export)}
	for _, part := range below {
		parts = append(parts, url.PathEscape(part))
	}
	return strings.Join(parts, "/")
}

// do decodes an answer. While the console is away or busy it asks again, until the context ends: everything here can be repeated.
func (c *Client) do(ctx context.Context, method, path string, header http.Header, into any) error {
	for {
		answer, err := c.send(ctx, method, path, header)
		if err == nil {
			err = json.NewDecoder(answer.Body).Decode(into)
			_ = answer.Body.Close()
		}
		after, passing := again(err)
		if !passing || ctx.Err() != nil {
			return err
		}
		select {
		case <-time.After(after):
		case <-ctx.Done():
			return err
		}
	}
}

// again reports whether the same request may be answered later, and when.
func again(err error) (time.Duration, bool) {
	var problem *Problem
	switch {
	case err == nil:
		return 0, false
	case !errors.As(err, &problem):
		return 200 * time.Millisecond, true // nobody has answered, or not to the end
	}
	return max(problem.after, 200*time.Millisecond), problem.Status == http.StatusTooManyRequests || problem.Status >= http.StatusInternalServerError
}

// send returns an answer that is what was asked for.
func (c *Client) send(ctx context.Context, method, path string, header http.Header) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.URL, "/")+path, bytes.NewReader(nil))
	if err != nil {
		return nil, err
	}
	token, err := c.Token()
	if err != nil {
		return nil, err
	}
	for name, values := range header {
		request.Header[name] = values
	}
	request.Header.Set("Authorization", "Bearer "+token)
	answer, err := c.HTTP.Do(request)
	if err != nil || answer.StatusCode < http.StatusBadRequest {
		return answer, err
	}
	defer func() { _ = answer.Body.Close() }()
	problem := &Problem{Status: answer.StatusCode}
	_ = json.NewDecoder(io.LimitReader(answer.Body, 64<<10)).Decode(problem) // a proxy in between may answer with a page
	seconds, _ := strconv.Atoi(answer.Header.Get("Retry-After"))             // none is 0
	problem.after = time.Duration(seconds) * time.Second
	return nil, problem
}
