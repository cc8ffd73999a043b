// Package rights lets tests run the operator with the rights that config gives it, and with no others.
package rights

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Account is the operator's own, of config/rbac.
const Account, Namespace = "ledgerport-manager", "ledgerport-system"

// WithoutRule is a variable with the rule that the account lacks in this run of the tests, as Rule.String returns it. Some test
// must then fail: hack/rbac-rules tries each.
const WithoutRule = "LEDGERPORT_TEST_WITHOUT_RULE"

// tokenLifetime is longer than anything runs for.
const tokenLifetime = 24 * time.Hour

// Rule is one of a Role or ClusterRole.
type Rule struct {
	rbacv1.PolicyRule
	Role   string
	number int
}

// String names the rule, such as ledgerport-manager/3.
func (r Rule) String() string { return r.Role + "/" + strconv.Itoa(r.number) }

// Of returns the rules that manifests bind the operator's account to.
func Of(manifests []*unstructured.Unstructured) (rules []Rule, err error) {
	var bound []string
	for _, object := range manifests {
		var binding rbacv1.ClusterRoleBinding // a RoleBinding has the same fields
		if strings.HasSuffix(object.GetKind(), "RoleBinding") {
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &binding); err != nil {
				return nil, err
			}
		}
		if slices.ContainsFunc(binding.Subjects, func(s rbacv1.Subject) bool { return s.Name == Account && s.Namespace == Namespace }) {
			bound = append(bound, binding.RoleRef.Name)
		}
	}
	for _, object := range manifests {
		if !slices.Contains(bound, object.GetName()) || !strings.HasSuffix(object.GetKind(), "Role") {
			continue
		}
		var role rbacv1.ClusterRole // a Role has the same fields
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &role); err != nil {
			return nil, err
		}
		for number, rule := range role.Rules {
			rules = append(rules, Rule{rule, role.Name, number})
		}
	}
	return rules, nil
}

// Install makes the operator's account, with the roles of the manifests and the bindings to them, and returns its configuration.
// All else among the manifests is left out; namespaces are made if they are missing.
func Install(ctx context.Context, admin *rest.Config, manifests []*unstructured.Unstructured) (*rest.Config, error) {
	cluster, err := client.New(admin, client.Options{})
	if err != nil {
		return nil, err
	}
	left, err := withoutRule(manifests)
	if err != nil {
		return nil, err
	}
	for _, object := range left {
		if object.GetKind() != "ServiceAccount" && object.GroupVersionKind().Group != rbacv1.GroupName {
			continue
		}
		for _, needed := range []*unstructured.Unstructured{namespaceOf(object), object} {
			if needed == nil {
				continue
			}
			if err := cluster.Apply(ctx, client.ApplyConfigurationFromUnstructured(needed), client.FieldOwner("rights"), client.ForceOwnership); err != nil {
				return nil, fmt.Errorf("%s %s: %w", needed.GetKind(), needed.GetName(), err)
			}
		}
	}
	accounts := kubernetes.NewForConfigOrDie(admin).CoreV1().ServiceAccounts(Namespace)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: ptr.To(int64(tokenLifetime / time.Second))}}
	token, err := accounts.CreateToken(ctx, Account, request, metav1.CreateOptions{})
	if err != nil {
		return nil, err
	}
	config := rest.AnonymousClientConfig(admin)
	config.BearerToken, config.QPS, config.Burst = token.Status.Token, -1, -1
	return config, nil
}

func namespaceOf(object *unstructured.Unstructured) *unstructured.Unstructured {
	if object.GetNamespace() == "" {
		return nil
	}
	namespace := &unstructured.Unstructured{}
	namespace.SetAPIVersion("v1")
	namespace.SetKind("Namespace")
	namespace.SetName(object.GetNamespace())
	return namespace
}

// withoutRule takes the rule away that the environment names.
func withoutRule(manifests []*unstructured.Unstructured) (left []*unstructured.Unstructured, err error) {
	named := os.Getenv(WithoutRule)
	if named == "" {
		return manifests, nil
	}
	role, number, _ := strings.Cut(named, "/")
	without, err := strconv.Atoi(number)
	taken := false
	for _, object := range manifests {
		if object.GetName() == role && strings.HasSuffix(object.GetKind(), "Role") {
			object = object.DeepCopy()
			rules, _, _ := unstructured.NestedSlice(object.Object, "rules")
			if without >= 0 && without < len(rules) {
				taken = true
				err = errors.Join(err, unstructured.SetNestedSlice(object.Object, slices.Delete(rules, without, without+1), "rules"))
			}
		}
		left = append(left, object)
	}
	if err == nil && !taken {
		err = fmt.Errorf("%s is %q, which is no rule of a role", WithoutRule, named)
	}
	return left, err
}

// WriteKubeconfig writes a file from which a program takes a configuration that Install gave.
func WriteKubeconfig(config *rest.Config, path string) error {
	const name = "ledgerport"
	return clientcmd.WriteToFile(api.Config{
		Clusters:       map[string]*api.Cluster{name: {Server: config.Host, CertificateAuthorityData: config.CAData, CertificateAuthority: config.CAFile}},
		AuthInfos:      map[string]*api.AuthInfo{name: {Token: config.BearerToken}},
		Contexts:       map[string]*api.Context{name: {Cluster: name, AuthInfo: name}},
		CurrentContext: name,
	}, path)
}
