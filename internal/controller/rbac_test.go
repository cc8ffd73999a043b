package controller_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"

	"github.com/ledgerport/ledgerport/test/environment"
	"github.com/ledgerport/ledgerport/test/rights"
)

// operatorAccount makes the account that every operator of these tests has: one with the roles that are installed, and nothing
// else.
func operatorAccount(ctx context.Context) (*rest.Config, error) {
	manifests, err := environment.Render(ctx, "config/rbac")
	if err != nil {
		return nil, err
	}
	jobs, err := environment.Render(ctx, "config/jobs")
	if err != nil {
		return nil, err
	}
	for _, object := range jobs { // beside what config/rbac has, too
		if object.GetNamespace() == jobNamespace || object.GetName() == jobNamespace || object.GetName() == attemptAccount {
			manifests = append(manifests, object)
		}
	}
	return rights.Install(ctx, api.config, manifests)
}

// beingDeleted reports whether an API server refused to create something because its namespace is being deleted, which is no
// matter of rights. The answer can be read again.
func beingDeleted(answer *http.Response) bool {
	body, err := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	answer.Body = io.NopCloser(bytes.NewReader(body))
	return err == nil && bytes.Contains(body, []byte("being terminated"))
}

func (l *writeLog) wasRefused() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.refused) > 0 && !l.mayBeRefused
}

// reportRefusals fails the test where the operator asked for what its role does not allow.
func (l *writeLog) reportRefusals(w *world) {
	w.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.refused) > 0 && !l.mayBeRefused {
		w.Errorf("the operator's role does not allow what it asked for: %q", l.refused[:min(len(l.refused), 5)])
	}
}

// TestNobodyGetsMoreOfSecretsThanGet reads every role that is installed, people's too.
func TestNobodyGetsMoreOfSecretsThanGet(t *testing.T) {
	t.Parallel()
	manifests, err := environment.Render(t.Context(), "config/default")
	if err != nil {
		t.Fatal(err)
	}
	var roles int
	for _, object := range manifests {
		if !strings.HasSuffix(object.GetKind(), "Role") {
			continue
		}
		roles++
		var role rbacv1.ClusterRole // a Role has the same fields
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &role); err != nil {
			t.Fatal(err)
		}
		for _, rule := range role.Rules {
			ofOperator := role.Name == rights.Account && slices.Equal(rule.Verbs, []string{"get"})
			if slices.Contains(rule.Resources, "secrets") && !ofOperator {
				t.Errorf("%s may %q Secrets", role.Name, rule.Verbs)
			}
			if slices.Contains(rule.Resources, "*") || slices.Contains(rule.Verbs, "*") || slices.Contains(rule.APIGroups, "*") {
				t.Errorf("a rule of %s has a wildcard: %v", role.Name, rule)
			}
		}
	}
	if roles < 6 {
		t.Errorf("%d roles are installed: that is no test", roles)
	}
}
