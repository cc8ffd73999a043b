package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"k8s.io/utils/clock"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
)

// What Standard Webhooks says of keys, and how many sign an event at most.
const (
	keyPrefix   = "whsec_"
	shortestKey = 24
	longestKey  = 64
	mostKeys    = 4
)

// longestRetryAfter is how long a receiver may keep an event from being sent again.
const longestRetryAfter = time.Hour

type webhook struct {
	url, host string
	keys      [][]byte
	client    *http.Client
	clock     clock.PassiveClock
}

func (t *Targets) webhook(ctx context.Context, export *v1alpha1.AccountingExport, spec *v1alpha1.WebhookTarget) (Target, error) {
	at, err := url.Parse(spec.URL)
	if err != nil || at.Hostname() == "" || at.User != nil {
		return nil, failure.Stalled(v1alpha1.ReasonInvalidSpec, nil, "webhook.url is not a URL with a host, or has a user")
	}
	if !strings.EqualFold(at.Scheme, "https") && (!t.PlainHTTP || !strings.EqualFold(at.Scheme, "http")) {
		return nil, failure.Stalled(v1alpha1.ReasonNotEncrypted, nil,
			"webhook.url is plain HTTP: anyone in between can read and change events. Use https://; an administrator can allow it with --allow-plain-http")
	}
	found, err := t.secret(ctx, export, spec.KeySecretRef.Name, spec.KeySecretRef.Key)
	if err != nil {
		return nil, err
	}
	keys, err := parseKeys(found[spec.KeySecretRef.Key])
	if err != nil {
		return nil, err
	}
	client := t.Outbound.HTTPClient()
	transport := client.Transport.(*http.Transport)
	if t.Roots != nil {
		transport.TLSClientConfig = t.tlsConfig("")
	}
	transport.ResponseHeaderTimeout = attemptTimeout
	return &webhook{url: at.String(), host: at.Hostname(), keys: keys, client: client, clock: t.Clock}, nil
}

// parseKeys reads the keys of Standard Webhooks, one or more with space in between.
func parseKeys(text []byte) (keys [][]byte, err error) {
	for _, word := range bytes.Fields(text) {
		encoded, prefixed := bytes.CutPrefix(word, []byte(keyPrefix))
		key, err := base64.StdEncoding.DecodeString(string(encoded))
		if !prefixed || err != nil || len(key) < shortestKey || len(key) > longestKey || len(keys) == mostKeys {
			keys = nil
			break
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, failure.Transient(v1alpha1.ReasonMalformedKey, nil,
			"the Secret of webhook.keySecretRef has no key of Standard Webhooks, which is %s and %d to %d bytes in Base64, such as from: echo %s$(openssl rand -base64 32); at most %d of them",
			keyPrefix, shortestKey, longestKey, keyPrefix, mostKeys)
	}
	return keys, nil
}

// sign returns the header of the signatures of a body.
func sign(keys [][]byte, id string, at time.Time, body []byte) string {
	signatures := make([]string, 0, len(keys))
	for _, key := range keys {
		mac := hmac.New(sha256.New, key)
		_, _ = mac.Write([]byte(id + "." + strconv.FormatInt(at.Unix(), 10) + ".")) // a hash takes everything
		_, _ = mac.Write(body)
		signatures = append(signatures, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	return strings.Join(signatures, " ")
}

// Send implements Target. An answer of 2xx is all that counts; its body is not read.
func (w *webhook) Send(ctx context.Context, message *Message) error {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	body, err := message.cloudEvent()
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(body))
	if err != nil {
		return failure.Stalled(v1alpha1.ReasonInvalidSpec, err, "webhook.url is not one that a request can be sent to")
	}
	now := w.clock.Now()
	request.Header.Set("Content-Type", "application/cloudevents+json; charset=utf-8")
	request.Header.Set("User-Agent", "Ledgerport")
	request.Header.Set("Webhook-Id", message.ID)
	request.Header.Set("Webhook-Timestamp", strconv.FormatInt(now.Unix(), 10))
	request.Header.Set("Webhook-Signature", sign(w.keys, message.ID, now, body))
	answer, err := w.client.Do(request)
	if err != nil {
		return unreachable("the host "+w.host, "webhook.url", err)
	}
	if err := answer.Body.Close(); err != nil && answer.StatusCode/100 != 2 {
		return unreachable("the host "+w.host, "webhook.url", err)
	}
	return w.judge(answer, now)
}

// judge says what an answer means.
func (w *webhook) judge(answer *http.Response, now time.Time) error {
	status := answer.StatusCode
	switch {
	case status/100 == 2:
		return nil
	case status == http.StatusGone:
		return failure.Stalled(v1alpha1.ReasonTargetGone, nil, "the host %s answers 410 Gone, and wants no more; remove the target, or correct webhook.url", w.host)
	case status/100 == 3:
		return failure.Transient(v1alpha1.ReasonTargetRefused, nil, "the host %s leads elsewhere (HTTP %d), which is not followed; correct webhook.url", w.host, status)
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return failure.Transient(v1alpha1.ReasonTargetRefused, nil, "the host %s does not accept the event (HTTP %d); compare the key that it has with the Secret of webhook.keySecretRef", w.host, status)
	}
	refused := failure.Transient(v1alpha1.ReasonTargetRefused, nil, "the host %s does not take the event (HTTP %d); see its log", w.host, status)
	if wait := retryAfter(answer.Header.Get("Retry-After"), now); wait > 0 {
		return &Later{refused, wait}
	}
	return refused
}

// retryAfter reads the header of that name: seconds, or a time.
func retryAfter(header string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(header, 10, 31); err == nil {
		return min(time.Duration(seconds)*time.Second, longestRetryAfter)
	} else if errors.Is(err, strconv.ErrRange) {
		return longestRetryAfter
	}
	at, err := http.ParseTime(header)
	if err != nil {
		return 0
	}
	return min(at.Sub(now), longestRetryAfter)
}

// Close implements Target.
func (w *webhook) Close() { w.client.CloseIdleConnections() }
