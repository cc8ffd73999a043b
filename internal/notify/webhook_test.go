package notify

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/credentials"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/outbound"
)

// Keys of receivers, which no output has.
const (
	oldKey = "whsec_c2VjcmV0LW9mLXdlYmhvb2tzLXRoYXQtd2FzLW9sZA=="
	newKey = "whsec_c2VjcmV0LW9mLXdlYmhvb2tzLXRoYXQtaXMtbmV3LQ=="
)

func TestASignedEventIsVerifiedByTheLibraryOfTheScheme(t *testing.T) {
	t.Parallel()
	var body []byte
	var header http.Header
	receiver := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ = io.ReadAll(r.Body)
		header = r.Header
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(receiver.Close)
	if err := send(t, targets(t, receiver, oldKey+"\n"+newKey), hook(receiver.URL)); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{oldKey, newKey} {
		verifier, err := standardwebhooks.NewWebhook(key)
		must(t, err)
		if err := verifier.Verify(body, header); err != nil {
			t.Errorf("with %d keys: %s", len(strings.Fields(header.Get("Webhook-Signature"))), err)
		}
		if err := verifier.Verify(append(body, ' '), header); err == nil {
			t.Error("a body that was changed is verified")
		}
	}
	var event map[string]any
	must(t, json.Unmarshal(body, &event))
	for name, want := range map[string]any{
		"specversion": "1.0", "id": "run-uid-succeeded", "type": "dev.ledgerport.run.succeeded", "subject": "monthly-1", "time": "2026-11-01T06:00:05Z",
		"source": "/apis/accounting.ledgerport.dev/v1alpha1/namespaces/acme/accountingexports/monthly", "datacontenttype": "application/json",
	} {
		if event[name] != want {
			t.Errorf("%s is %v, want %v", name, event[name], want)
		}
	}
	data := event["data"].(map[string]any)
	if data["debit"] != "1234.50" || data["claims"] != 3.0 || data["sha256"] != "abc" || header.Get("Webhook-Id") != event["id"] ||
		header.Get("Content-Type") != "application/cloudevents+json; charset=utf-8" || data["links"].(map[string]any)["page"] != "https://books.example.com/acme/monthly/monthly-1" {
		t.Errorf("data are %v, headers %v", data, header)
	}
}

// TestWhatAReceiverAnswers has receivers that do harm. None takes longer than an attempt may, and nothing of what it says is repeated.
func TestWhatAReceiverAnswers(t *testing.T) {
	t.Parallel()
	const words = "words-of-the-receiver"
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the redirect was followed") }))
	t.Cleanup(elsewhere.Close)
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		reason v1alpha1.Reason
		later  time.Duration
	}{
		"it is taken":            {code(http.StatusNoContent), "", 0},
		"a fault":                {code(http.StatusInternalServerError), v1alpha1.ReasonTargetRefused, 0},
		"the key is wrong":       {code(http.StatusUnauthorized), v1alpha1.ReasonTargetRefused, 0},
		"gone":                   {code(http.StatusGone), v1alpha1.ReasonTargetGone, 0},
		"a redirect":             {http.RedirectHandler(elsewhere.URL, http.StatusPermanentRedirect).ServeHTTP, v1alpha1.ReasonTargetRefused, 0},
		"later":                  {after("120"), v1alpha1.ReasonTargetRefused, 2 * time.Minute},
		"never":                  {after("99999999999999999999"), v1alpha1.ReasonTargetRefused, time.Hour},
		"in a hundred years":     {after("Fri, 01 Jan 2126 00:00:00 GMT"), v1alpha1.ReasonTargetRefused, time.Hour},
		"before now":             {after("Fri, 01 Jan 2010 00:00:00 GMT"), v1alpha1.ReasonTargetRefused, 0},
		"a delay that is none":   {after("-5"), v1alpha1.ReasonTargetRefused, 0},
		"it hangs up":            {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, v1alpha1.ReasonTargetUnreachable, 0},
		"a header without end":   {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 1<<20)) }, v1alpha1.ReasonTargetUnreachable, 0},
		"a body without end":     {endless, "", 0},
		"a refusal without end":  {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusBadRequest); endless(w, r) }, v1alpha1.ReasonTargetRefused, 0},
		"words in what is wrong": {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, words, http.StatusTeapot) }, v1alpha1.ReasonTargetRefused, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			receiver := httptest.NewTLSServer(test.answer)
			t.Cleanup(func() { receiver.CloseClientConnections(); receiver.Close() })
			err := send(t, targets(t, receiver, newKey), hook(receiver.URL))
			var later *Later
			_ = errors.As(err, &later)
			if (later != nil) != (test.later > 0) || later != nil && later.Wait != test.later {
				t.Errorf("it waits with %v, want %s", later, test.later)
			}
			switch {
			case err == nil && test.reason == "":
			case err == nil || failure.From(err).Reason != test.reason || strings.Contains(err.Error(), words) || strings.Contains(err.Error(), "whsec"):
				t.Errorf("%v, want %s", err, test.reason)
			}
		})
	}
}

// TestASlowReceiverTakesNoLongerThanAnAttempt waits for as long as one may last.
func TestASlowReceiverTakesNoLongerThanAnAttempt(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { // a byte of a header now and then
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n")
				for tick := time.NewTicker(100 * time.Millisecond); err == nil; <-tick.C {
					_, err = io.WriteString(conn, "x")
				}
			}()
		}
	}()
	began := time.Now()
	all := targets(t, nil, newKey)
	all.PlainHTTP = true
	err = send(t, all, hook("http://"+listener.Addr().String()))
	if took := time.Since(began); failure.From(err).Reason != v1alpha1.ReasonTargetUnreachable || took > attemptTimeout+2*time.Second || !strings.Contains(err.Error(), "it was reached, and did not answer in time") {
		t.Errorf("after %s: %v", took, err)
	}
}

func TestTargetsThatCannotBeAreRefusedBeforeAnythingIsSent(t *testing.T) {
	t.Parallel()
	receiver := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("something was sent") }))
	t.Cleanup(receiver.Close)
	for name, test := range map[string]struct {
		change func(*Targets)
		key    string
		target v1alpha1.NotificationTarget
		reason v1alpha1.Reason
	}{
		"no Secret":               {nil, "", hook(receiver.URL), v1alpha1.ReasonSecretNotFound},
		"a key without prefix":    {nil, strings.TrimPrefix(newKey, keyPrefix), hook(receiver.URL), v1alpha1.ReasonMalformedKey},
		"a key that is too short": {nil, "whsec_c2hvcnQ=", hook(receiver.URL), v1alpha1.ReasonMalformedKey},
		"too many keys":           {nil, strings.Repeat(newKey+" ", 5), hook(receiver.URL), v1alpha1.ReasonMalformedKey},
		"nothing but space":       {nil, " \n", hook(receiver.URL), v1alpha1.ReasonMalformedKey},
		"plain HTTP":              {nil, newKey, hook("http://example.com"), v1alpha1.ReasonNotEncrypted},
		"another scheme":          {func(t *Targets) { t.PlainHTTP = true }, newKey, hook("file:///etc/passwd"), v1alpha1.ReasonInvalidSpec},
		"a user in the URL":       {nil, newKey, hook("https://user:word@example.com"), v1alpha1.ReasonInvalidSpec},
		"webhooks are off":        {func(t *Targets) { t.Allowed = []string{KindMail} }, newKey, hook(receiver.URL), v1alpha1.ReasonTypeNotAllowed},
		"mail is off":             {func(t *Targets) { t.Allowed = []string{KindWebhook} }, newKey, v1alpha1.NotificationTarget{Mail: &v1alpha1.MailTarget{}}, v1alpha1.ReasonTypeNotAllowed},
		"a host that is refused":  {func(t *Targets) { t.Outbound = nil }, newKey, hook(receiver.URL), v1alpha1.ReasonHostNotAllowed},
		"an authority that is not known": {func(t *Targets) { t.Roots = &tls.Config{RootCAs: x509.NewCertPool()} }, newKey, hook(receiver.URL),
			v1alpha1.ReasonTargetUnreachable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := targets(t, receiver, test.key)
			if test.change != nil {
				test.change(all)
			}
			if err := send(t, all, test.target); err == nil || failure.From(err).Reason != test.reason {
				t.Errorf("%v, want %s", err, test.reason)
			}
		})
	}
}

func code(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
}

func after(header string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", header)
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

// endless goes on until the other side hangs up.
func endless(w http.ResponseWriter, _ *http.Request) {
	for block := make([]byte, 64<<10); ; {
		if _, err := w.Write(block); err != nil {
			return
		}
	}
}

func hook(at string) v1alpha1.NotificationTarget {
	return v1alpha1.NotificationTarget{Name: "erp", Webhook: &v1alpha1.WebhookTarget{URL: at, KeySecretRef: v1alpha1.SecretKeyReference{Name: "notify", Key: "key"}}}
}

// targets trust the certificate of a server, reach loopback, and have a Secret with a key, unless that is empty, and a login.
func targets(t *testing.T, server *httptest.Server, key string) *Targets {
	t.Helper()
	policy, err := outbound.New([]string{"127.0.0.0/8"})
	must(t, err)
	objects := fake.NewClientBuilder()
	if key != "" {
		objects.WithObjects(&corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: "notify"},
			Data:       map[string][]byte{"key": []byte(key), "username": []byte("books"), "password": []byte("hunter2-of-mail"), "hosts": []byte("mail.example.com, 127.0.0.1")},
		})
	}
	all := &Targets{Secrets: credentials.Secrets{API: objects.Build()}, Outbound: policy, Clock: clock.RealClock{}}
	if server != nil {
		all.Roots = &tls.Config{RootCAs: x509.NewCertPool()}
		all.Roots.RootCAs.AddCert(server.Certificate())
	}
	return all
}

// send opens a target and sends one message.
func send(t *testing.T, all *Targets, target v1alpha1.NotificationTarget) error {
	t.Helper()
	run, export := anyRun()
	opened, err := all.Open(t.Context(), export, &target)
	if err != nil {
		return err
	}
	defer opened.Close()
	return opened.Send(t.Context(), MessageOf(run, export, v1alpha1.EventSucceeded, "https://books.example.com/{namespace}/{export}/{run}"))
}

func anyRun() (*v1alpha1.ExportRun, *v1alpha1.AccountingExport) {
	ended := metav1.NewTime(time.Date(2026, 11, 1, 6, 0, 5, 0, time.UTC))
	run := &v1alpha1.ExportRun{ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: "monthly-1", UID: "run-uid"}}
	run.Spec.ExportRef.Name = "monthly"
	run.Status = v1alpha1.ExportRunStatus{Phase: v1alpha1.RunSucceeded, CompletedAt: &ended, FirstVoucher: "E/2026/1", LastVoucher: "E/2026/3"}
	run.Status.RunResult = v1alpha1.RunResult{Claims: 3, Lines: 9, Held: 1, Debit: "1234.50", Currency: "EUR", Location: "s3://finance/acme/monthly/monthly-1/monthly-1.csv", SHA256: "abc"}
	export := &v1alpha1.AccountingExport{ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: "monthly"}}
	export.Spec.OrganizationID = "3f2c9a1e-0000-4000-8000-000000000001"
	return run, export
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
