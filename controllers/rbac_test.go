package controllers_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// withoutRule is the number, from 0, of a rule that the operator's role lacks in this run of the tests. Some test must then
// fail: hack/rbac-rules tries each.
const withoutRule = "LEDGERPORT_TEST_WITHOUT_RULE"

// operatorAccount makes the account that every operator of these tests has: one with the role that is installed, and nothing
// else.
func operatorAccount(ctx context.Context) (*rest.Config, error) {
	role, err := installedRole()
	if err != nil {
		return nil, err
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "ledgerport-manager", Namespace: "default"}}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: role.Name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: account.Name, Namespace: account.Namespace}},
	}
	for _, object := range []client.Object{role, account, binding} {
		if err := api.client.Create(ctx, object); err != nil {
			return nil, err
		}
	}
	var token authenticationv1.TokenRequest
	if err := api.client.SubResource("token").Create(ctx, account, &token); err != nil {
		return nil, err
	}
	config := rest.AnonymousClientConfig(api.config)
	config.BearerToken, config.QPS, config.Burst = token.Status.Token, -1, -1
	return config, nil
}

// installedRole is config/rbac's, without the rule that the environment names.
func installedRole() (*rbacv1.ClusterRole, error) {
	content, err := os.ReadFile("../config/rbac/operator/role.yaml")
	if err != nil {
		return nil, err
	}
	var role rbacv1.ClusterRole
	if err := yaml.UnmarshalStrict(content, &role); err != nil {
		return nil, err
	}
	if named := os.Getenv(withoutRule); named != "" {
		rule, err := strconv.Atoi(named)
		if err != nil || rule < 0 || rule >= len(role.Rules) {
			return nil, fmt.Errorf("%s is %q, and the role has %d rules", withoutRule, named, len(role.Rules))
		}
		role.Rules = slices.Delete(role.Rules, rule, rule+1)
	}
	return &role, nil
}

// beingDeleted says whether an API server refused to create something because its namespace is being deleted, which is no
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
	return len(l.refused) > 0
}

// reportRefusals fails the test where the operator asked for what its role does not allow.
func (l *writeLog) reportRefusals(w *world) {
	w.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.refused) > 0 {
		w.Errorf("the operator's role does not allow what it asked for: %q", l.refused[:min(len(l.refused), 5)])
	}
}

// TestNobodyGetsMoreOfSecretsThanGet reads every role that is installed.
func TestNobodyGetsMoreOfSecretsThanGet(t *testing.T) {
	t.Parallel()
	role, err := installedRole()
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range role.Rules {
		if slices.Contains(rule.Resources, "secrets") && !slices.Equal(rule.Verbs, []string{"get"}) {
			t.Errorf("the operator may %q Secrets", rule.Verbs)
		}
		if slices.Contains(rule.Resources, "*") || slices.Contains(rule.Verbs, "*") || slices.Contains(rule.APIGroups, "*") {
			t.Errorf("a rule has a wildcard: %v", rule)
		}
	}
}
