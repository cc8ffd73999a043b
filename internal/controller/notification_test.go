package controller_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

// webhookKey is what the tests' receiver verifies with.
const webhookKey = "whsec_c2VjcmV0LW9mLXdlYmhvb2tzLW9mLXRoZS1vcGVyYXRvcg=="

// receiver takes events, and refuses them while a test wants that.
type receiver struct {
	*httptest.Server
	answers atomic.Int32 // with this code; 0 is 204

	mu    sync.Mutex
	taken []string // types and subjects, in their order
	wrong []string // what is not as it is to be
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{}
	verifier, err := standardwebhooks.NewWebhook(webhookKey)
	if err != nil {
		t.Fatal(err)
	}
	r.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if code := r.answers.Load(); code > 0 {
			w.WriteHeader(int(code))
			return
		}
		body, err := io.ReadAll(request.Body)
		var event struct{ Type, Subject string }
		if err == nil {
			err = json.Unmarshal(body, &event)
		}
		if err == nil {
			err = verifier.Verify(body, request.Header)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if err != nil {
			r.wrong = append(r.wrong, err.Error())
		}
		r.taken = append(r.taken, strings.TrimPrefix(event.Type, "dev.ledgerport.")+" "+event.Subject)
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(r.Close)
	return r
}

// took waits until exactly these events have come, in this order.
func (r *receiver) took(w *world, want ...string) {
	w.Helper()
	w.until(func(context.Context) string {
		r.mu.Lock()
		defer r.mu.Unlock()
		if !slices.Equal(r.taken, want) || len(r.wrong) > 0 {
			return fmt.Sprintf("taken are %v, want %v; wrong are %v", r.taken, want, r.wrong)
		}
		return ""
	})
}

// trusts returns what lets an operator of a test know the certificate of the receiver.
func (r *receiver) trusts(w *world) {
	w.told.Roots = &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
	w.told.Roots.RootCAs.AddCert(r.Certificate())
}

// telling is the export with a target for each of these URLs.
func (w *world) telling(urls ...string) *v1alpha1.AccountingExport {
	export := w.export()
	for i, url := range urls {
		export.Spec.Notify = append(export.Spec.Notify, v1alpha1.NotificationTarget{
			Name: fmt.Sprintf("erp-%d", i), Webhook: &v1alpha1.WebhookTarget{URL: url, KeySecretRef: v1alpha1.SecretKeyReference{Name: "notify", Key: "key"}},
		})
	}
	return export
}

func (w *world) notifySecret() *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "notify"}, StringData: map[string]string{"key": webhookKey}}
}

func notified(status metav1.ConditionStatus, reason string, words ...string) func(*v1alpha1.AccountingExport) string {
	return func(export *v1alpha1.AccountingExport) string {
		return condition(export.Status.Conditions, v1alpha1.ConditionNotified, status, reason, words...)
	}
}

// saidOfAll returns a check that all notifications of a run are in a state, and that there are so many.
func saidOfAll(count int, state v1alpha1.NotificationState) func(*v1alpha1.ExportRun) string {
	return func(run *v1alpha1.ExportRun) string {
		for _, one := range run.Status.Notifications {
			if one.State != state {
				return fmt.Sprintf("the notifications are %+v, want %s", run.Status.Notifications, state)
			}
		}
		if len(run.Status.Notifications) != count {
			return fmt.Sprintf("there are %d notifications, want %d", len(run.Status.Notifications), count)
		}
		return ""
	}
}

func TestATargetIsToldOfTheEndsOfRunsInTheirOrder(t *testing.T) {
	t.Parallel()
	erp := newReceiver(t)
	w := newWorldWith(t, erp.trusts)
	w.fill(3)
	w.create(w.secret(), w.notifySecret(), w.source(), w.chart(), w.destination(), w.telling(erp.URL))
	eventually(w, w.export(), notified(metav1.ConditionTrue, v1alpha1.ReasonReady))
	w.create(w.run("first"))
	eventually(w, w.run("first"), runIs(v1alpha1.RunSucceeded))
	eventually(w, w.run("first"), saidOfAll(1, v1alpha1.NotificationSent))
	erp.took(w, "run.succeeded first")

	w.create(w.reversal("back", "first"))
	eventually(w, w.run("back"), saidOfAll(1, v1alpha1.NotificationSent))
	preview := w.run("look")
	preview.Spec.Type = v1alpha1.RunPreview
	w.create(preview)
	eventually(w, preview, runIs(v1alpha1.RunSucceeded))
	cancelled := w.run("off")
	cancelled.Spec.Cancel = true
	w.create(cancelled)
	eventually(w, cancelled, saidOfAll(1, v1alpha1.NotificationSent))
	erp.took(w, "run.succeeded first", "run.reversed back", "run.cancelled off")
}

// TestATargetThatFailsKeepsNoRunWaiting has one that fails beside one that works, and runs that are deleted, and an operator that ends.
func TestATargetThatFailsKeepsNoRunWaiting(t *testing.T) {
	t.Parallel()
	broken, sound := newReceiver(t), newReceiver(t)
	broken.answers.Store(http.StatusServiceUnavailable)
	w := newWorldWith(t, broken.trusts)
	w.fill(3)
	w.create(w.secret(), w.notifySecret(), w.source(), w.chart(), w.destination(), w.telling(broken.URL, sound.URL), w.run("first"))
	eventually(w, w.run("first"), runIs(v1alpha1.RunSucceeded))
	sound.took(w, "run.succeeded first")
	eventually(w, w.export(), notified(metav1.ConditionFalse, v1alpha1.ReasonTargetRefused, "erp-0", "HTTP 503"))
	eventually(w, w.export(), exportIs(metav1.ConditionTrue, v1alpha1.ReasonReady))
	w.expectEvent("monthly", v1alpha1.ReasonTargetRefused)

	w.create(w.reversal("back", "first"))
	eventually(w, w.run("back"), runIs(v1alpha1.RunSucceeded))
	sound.took(w, "run.succeeded first", "run.reversed back")
	eventually(w, w.run("back"), func(run *v1alpha1.ExportRun) string { // what is not recorded when the operator ends is sent again
		for _, one := range run.Status.Notifications {
			if one.State == v1alpha1.NotificationSent {
				return ""
			}
		}
		return fmt.Sprintf("the notifications are %+v", run.Status.Notifications)
	})
	w.must(api.client.Delete(t.Context(), w.run("first")))
	w.stopOperator()
	broken.answers.Store(0)
	w.startOperator(w.namespace)
	broken.took(w, "run.succeeded first", "run.reversed back")
	w.gone(w.run("first"))
	eventually(w, w.export(), notified(metav1.ConditionTrue, v1alpha1.ReasonReady))
	sound.took(w, "run.succeeded first", "run.reversed back")
}

func TestATargetThatIsNotRightIsACondition(t *testing.T) {
	t.Parallel()
	erp := newReceiver(t)
	w := newWorldWith(t, func(w *world) { erp.trusts(w); w.told.Allowed = []string{"webhook"} })
	w.fill(1)
	w.create(w.secret(), w.source(), w.chart(), w.destination(), w.telling(erp.URL), w.run("first"))
	eventually(w, w.run("first"), runIs(v1alpha1.RunSucceeded))
	eventually(w, w.export(), notified(metav1.ConditionFalse, v1alpha1.ReasonSecretNotFound, "notify"))
	w.create(w.notifySecret())
	erp.took(w, "run.succeeded first") // without an edit
	eventually(w, w.export(), notified(metav1.ConditionTrue, v1alpha1.ReasonReady))

	w.merge(w.export(), `{"spec":{"notify":[{"name":"meta","events":["Empty"],"webhook":{"url":"https://169.254.169.254/","keySecretRef":{"name":"notify","key":"key"}}}]}}`)
	w.create(w.run("second"))
	eventually(w, w.export(), notified(metav1.ConditionFalse, v1alpha1.ReasonHostNotAllowed))
	w.merge(w.export(), `{"spec":{"notify":[{"name":"mail","mail":{"host":"mail.example.com","from":"a@example.com","to":["b@example.com"]}}]}}`)
	eventually(w, w.export(), notified(metav1.ConditionFalse, v1alpha1.ReasonTypeNotAllowed))
	w.merge(w.export(), `{"spec":{"notify":null}}`)
	eventually(w, w.export(), func(export *v1alpha1.AccountingExport) string {
		for _, one := range export.Status.Conditions {
			if one.Type == v1alpha1.ConditionNotified {
				return fmt.Sprintf("there is a condition %+v", one)
			}
		}
		return ""
	})
	eventually(w, w.run("second"), func(run *v1alpha1.ExportRun) string {
		for _, one := range run.Status.Notifications {
			if one.State != v1alpha1.NotificationDropped {
				return fmt.Sprintf("the notifications are %+v", run.Status.Notifications)
			}
		}
		return ""
	})
}

// TestTargetsThatHangKeepNoRunWaiting has more exports with targets that hang than there are workers that send.
func TestTargetsThatHangKeepNoRunWaiting(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	hanging := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(hanging.Close)
	t.Cleanup(func() { close(release) })
	w := newWorldWith(t, (&receiver{Server: hanging}).trusts)
	w.fill(1)
	w.create(w.secret(), w.notifySecret(), w.source(), w.chart(), w.destination())
	for i := range 20 {
		export := w.telling(hanging.URL)
		export.Name = fmt.Sprintf("export-%02d", i)
		run := w.run(export.Name + "-run")
		run.Spec.ExportRef.Name = export.Name
		w.create(export, run)
	}
	began := time.Now()
	for i := range 20 {
		eventually(w, w.run(fmt.Sprintf("export-%02d-run", i)), runIs(v1alpha1.RunSucceeded))
	}
	if took := time.Since(began); took > 45*time.Second {
		t.Errorf("the runs took %s", took)
	}
}

// TestTargetsThatNobodyCanHaveAreRefused asks the API server.
func TestTargetsThatNobodyCanHaveAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := `"keySecretRef":{"name":"notify","key":"key"}`
	mail := `"host":"mail.example.com","from":"a@example.com","to":["b@example.com"]`
	for name, target := range map[string]string{
		"neither":                `{"name":"a"}`,
		"both":                   `{"name":"a","webhook":{"url":"https://x.example.com",` + key + `},"mail":{` + mail + `}}`,
		"no host":                `{"name":"a","webhook":{"url":"https:///x",` + key + `}}`,
		"another scheme":         `{"name":"a","webhook":{"url":"ftp://x.example.com",` + key + `}}`,
		"a user":                 `{"name":"a","webhook":{"url":"https://u:p@x.example.com",` + key + `}}`,
		"a header in an address": `{"name":"a","mail":{"host":"mail.example.com","from":"a@example.com\r\nBcc: c@example.com","to":["b@example.com"]}}`,
		"nobody":                 `{"name":"a","mail":{"host":"mail.example.com","from":"a@example.com","to":[]}}`,
		"an event that is none":  `{"name":"a","events":["Paid"],"mail":{` + mail + `}}`,
		"a name with a path":     `{"name":"../a","mail":{` + mail + `}}`,
		"the same name twice":    `{"name":"a","mail":{` + mail + `}},{"name":"a","mail":{` + mail + `}}`,
	} {
		t.Run(name, func(t *testing.T) {
			export := w.export()
			export.Name, export.TypeMeta = "refused", metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "AccountingExport"}
			content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(export)
			if err != nil {
				t.Fatal(err)
			}
			object := &unstructured.Unstructured{Object: content}
			var targets []any
			if err := json.Unmarshal([]byte("["+strings.ReplaceAll(target, "\r\n", `\r\n`)+"]"), &targets); err != nil {
				t.Fatal(err)
			}
			object.Object["spec"].(map[string]any)["notify"] = targets
			if err := api.client.Create(t.Context(), object); err == nil {
				t.Error("it was taken")
			}
		})
	}
}
