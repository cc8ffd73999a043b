package receipts

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/destinations"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/outbound"
)

// server is a store of HTTP: each receipt is at a path below its URL.
type server struct {
	base   *url.URL
	token  string
	client *http.Client
}

// OpenHTTP opens a store of HTTP with a token, or without one if that is empty. Plain HTTP is refused unless it is allowed.
func OpenHTTP(at, token string, plain bool, policy *outbound.Policy) (destinations.Store, error) {
	base, err := url.Parse(at)
	if err != nil || base.Host == "" {
		return nil, failure.Stalled(v1alpha1.ReasonInvalidSpec, err, "spec.receipts.http.url is no URL")
	}
	if !strings.EqualFold(base.Scheme, "https") && !plain {
		return nil, failure.Stalled(v1alpha1.ReasonNotEncrypted, nil,
			"spec.receipts.http.url is plain HTTP: anyone in between can read the token and the receipts. Use https://; an administrator can allow it with --allow-plain-http")
	}
	client := policy.HTTPClient()
	client.Transport.(*http.Transport).MaxIdleConnsPerHost = Workers
	return &server{base: base, token: strings.TrimSpace(token), client: client}, nil
}

// Open implements destinations.Store.
func (s *server) Open(ctx context.Context, key string) (io.ReadCloser, error) {
	answer, err := s.ask(ctx, http.MethodGet, key)
	if err != nil {
		return nil, err
	}
	return answer.Body, nil
}

// Size implements destinations.Store. It is -1 if the server does not say.
func (s *server) Size(ctx context.Context, key string) (int64, error) {
	answer, err := s.ask(ctx, http.MethodHead, key)
	if errors.Is(err, errMethod) {
		answer, err = s.ask(ctx, http.MethodGet, key)
	}
	if err != nil {
		return 0, err
	}
	return answer.ContentLength, answer.Body.Close()
}

// Location implements destinations.Store.
func (s *server) Location(key string) string { return s.base.JoinPath(key).String() }

// Close implements destinations.Store.
func (s *server) Close() error {
	s.client.CloseIdleConnections()
	return nil
}

// ask asks for the object of a key, which stays below the URL whatever it is.
func (s *server) ask(ctx context.Context, method, key string) (*http.Response, error) {
	if destinations.ValidateKey(key) != nil {
		return nil, destinations.ErrNotFound
	}
	elements := strings.Split(key, "/")
	for i := range elements {
		elements[i] = url.PathEscape(elements[i])
	}
	request, err := http.NewRequestWithContext(ctx, method, s.base.JoinPath(elements...).String(), http.NoBody)
	if err != nil {
		return nil, err
	}
	if s.token != "" {
		request.Header.Set("Authorization", "Bearer "+s.token)
	}
	answer, err := s.client.Do(request)
	if err != nil {
		return nil, s.unreachable(err)
	}
	if answer.StatusCode == http.StatusOK {
		return answer, nil
	}
	return nil, errors.Join(s.refusal(answer.StatusCode, key), answer.Body.Close())
}

// errMethod: the server does not know what it was asked to do.
var errMethod = errors.New("the server knows no HEAD")

// plainKey is one that every server takes. Some refuse others before they look for anything: elements beyond 260 characters, or with
// characters that a file's name cannot have.
var plainKey = regexp.MustCompile(`^[A-Za-z0-9._/-]{1,128}$`)

// refusal is what an answer means that is no receipt.
func (s *server) refusal(status int, key string) error {
	switch {
	case status == http.StatusNotFound, status == http.StatusGone, status == http.StatusRequestURITooLong, status == http.StatusRequestHeaderFieldsTooLarge:
		return destinations.ErrNotFound
	case status == http.StatusBadRequest && !plainKey.MatchString(key): // it takes no such key, and has nothing under it
		return destinations.ErrNotFound
	case status == http.StatusMethodNotAllowed, status == http.StatusNotImplemented:
		return failure.Transient(v1alpha1.ReasonReceiptsUnreadable, errMethod, "the server %s does not answer GET (HTTP %d)", s.base.Host, status)
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return failure.Transient(v1alpha1.ReasonLoginRefused, nil, "the server %s refuses the token (HTTP %d); correct the Secret that spec.receipts.http.tokenSecretRef or tokenExternalSecretRef names", s.base.Host, status)
	case status >= http.StatusMultipleChoices && status < http.StatusBadRequest:
		return failure.Transient(v1alpha1.ReasonReceiptsUnreadable, nil, "the server %s leads elsewhere (HTTP %d), which is not followed; correct spec.receipts.http.url", s.base.Host, status)
	}
	return failure.Transient(v1alpha1.ReasonReceiptsUnreadable, nil, "the server %s does not return receipts at present (HTTP %d)", s.base.Host, status)
}

func (s *server) unreachable(err error) error {
	if refused := outbound.Refusal(err); refused != nil {
		return refused
	}
	return failure.Transient(v1alpha1.ReasonReceiptsUnreadable, err, "the server %s cannot be reached: %s", s.base.Host, destinations.Unreached(err, "spec.receipts.http.url"))
}
