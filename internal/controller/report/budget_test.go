package report

import (
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

func TestEventsOfANamespace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		written := events.NewFakeRecorder(3 * eventsAtOnce)
		recorder := Budget(written)
		write := func(namespace string) (all int) {
			before := len(written.Events)
			for range eventsAtOnce + 20 {
				recorder.Eventf(&v1alpha1.ChartOfAccounts{ObjectMeta: metav1.ObjectMeta{Namespace: namespace}}, nil, corev1.EventTypeWarning, "Why", "Check", "note")
			}
			return len(written.Events) - before
		}
		for _, test := range []struct {
			name, namespace string
			passed          time.Duration
			want            int
		}{
			{"are dropped when it has had many at once", "busy", 0, eventsAtOnce},
			{"are written again after a while", "busy", 3 * betweenEvents, 3},
			{"do not count for another", "other", 0, eventsAtOnce},
		} {
			time.Sleep(test.passed) //nolint:forbidigo // of the bubble
			if got := write(test.namespace); got != test.want {
				t.Errorf("%s: %d were written, want %d", test.name, got, test.want)
			}
		}
	})
}
