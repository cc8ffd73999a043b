// Package admission_test asks a real API server what config/admission refuses and what config/rbac lets people do.
package admission_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/test/environment"
)

const (
	acme  = "3f2c9a1e-0000-4000-8000-000000000001"
	other = "3f2c9a1e-0000-4000-8000-000000000002"
	label = "accounting.ledgerport.dev/organization-id"
)

// cluster has the roles and the admission policies of config.
type cluster struct {
	*testing.T
	admin  client.Client
	config *rest.Config
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	assets, err := environment.ControlPlaneAssets(t.Context(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	controlPlane, err := environment.StartControlPlane(t.Context(), assets, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(controlPlane.Stop)
	c := &cluster{T: t, config: controlPlane.Config}
	c.admin = c.as("")
	for _, directory := range []string{"config/default", "config/admission", "config/network-policy"} {
		c.apply(directory)
	}
	return c
}

// as is a client of a user, or of the administrator where the name is empty.
func (c *cluster) as(user string) client.Client {
	c.Helper()
	scheme := runtime.NewScheme()
	_ = clientgoscheme.AddToScheme(scheme) // both only fail where a type is registered twice
	_ = v1alpha1.AddToScheme(scheme)
	config := rest.CopyConfig(c.config)
	config.Impersonate.UserName = user
	made, err := client.New(config, client.Options{Scheme: scheme})
	c.must(err)
	return made
}

func (c *cluster) must(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}

func (c *cluster) apply(directory string) {
	c.Helper()
	command := exec.CommandContext(c.Context(), "go", "tool", "-modfile=hack/tools/go.mod", "kustomize", "build", directory)
	command.Dir = "../.."
	rendered, err := command.Output()
	c.must(err)
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(rendered), 4096)
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(object)
		if errors.Is(err, io.EOF) {
			return
		}
		c.must(err)
		c.must(c.admin.Apply(c.Context(), client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("test"), client.ForceOwnership))
	}
}

func (c *cluster) namespace(name string, labels map[string]string) {
	c.Helper()
	c.must(c.admin.Create(c.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}))
}

// grant lets a user do what a rule says, everywhere.
func (c *cluster) grant(user string, rule rbacv1.PolicyRule) {
	c.Helper()
	c.must(c.admin.Create(c.Context(), &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: user}, Rules: []rbacv1.PolicyRule{rule}}))
	c.must(c.admin.Create(c.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: user},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: user},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	}))
}

func export(namespace, organization string) *v1alpha1.AccountingExport {
	return &v1alpha1.AccountingExport{
		ObjectMeta: metav1.ObjectMeta{Name: "monthly", Namespace: namespace},
		Spec: v1alpha1.AccountingExportSpec{
			OrganizationID: organization, SourceRef: v1alpha1.NamespacedReference{Name: "claims"},
			ChartOfAccountsRef: v1alpha1.LocalReference{Name: "books"}, DestinationRef: v1alpha1.NamespacedReference{Name: "files"},
			Exporter: v1alpha1.ExporterSpec{Type: "csv"},
		},
	}
}

// refusedWith waits until the API server refuses something: policies take effect a moment after they are created.
func (c *cluster) refusedWith(words string, try func() error) {
	c.Helper()
	c.eventually(fmt.Sprintf("the API server is to refuse with %q", words), func() error {
		switch err := try(); {
		case err == nil:
			return errors.New("it has taken it")
		case apierrors.IsForbidden(err) && strings.Contains(err.Error(), words):
			return nil
		default:
			return err
		}
	})
}

func TestWhatTheAPIServerRefusesAndWhatPeopleMayDo(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	for name, test := range map[string]func(*cluster){
		"an export is of the organisation of its namespace": (*cluster).exportsAreOfTheirNamespacesOrganisation,
		"only who may assign organisations sets the label":  (*cluster).labelsAreSetByWhoMayAssign,
		"what would cost all others":                        (*cluster).boundsHold,
		"roles of people":                                   (*cluster).rolesOfPeople,
	} {
		t.Run(name, func(t *testing.T) { test(&cluster{T: t, admin: c.admin, config: c.config}) })
	}
}

func (c *cluster) exportsAreOfTheirNamespacesOrganisation() {
	c.namespace("acme", map[string]string{label: acme})
	c.namespace("nobody", nil)
	c.namespace("several", map[string]string{"accounting.ledgerport.dev/several-organizations": "true"})
	create := func(namespace, organization string) func() error {
		return func() error { return c.admin.Create(c.Context(), export(namespace, organization), client.DryRunAll) }
	}
	c.refusedWith("must be the organisation of namespace acme, which is "+acme, create("acme", other))
	c.refusedWith("is no organisation's", create("nobody", acme))
	for _, namespace := range []string{"acme", "several"} {
		if err := create(namespace, acme)(); err != nil {
			c.Errorf("in %s: %v", namespace, err)
		}
	}
}

func (c *cluster) boundsHold() {
	c.namespace("bounded", map[string]string{label: acme})
	try := func(change func(*v1alpha1.AccountingExport)) func() error {
		return func() error {
			changed := export("bounded", acme)
			change(changed)
			return c.admin.Create(c.Context(), changed, client.DryRunAll)
		}
	}
	nested := func(levels int) func(*v1alpha1.AccountingExport) {
		return func(e *v1alpha1.AccountingExport) {
			raw := `{"a":` + strings.Repeat(`[{"b":`, levels/2) + "1" + strings.Repeat("}]", levels/2) + `}`
			e.Spec.Exporter.Options = &runtime.RawExtension{Raw: []byte(raw)}
		}
	}
	c.refusedWith("nested deeper than 7 levels", try(nested(8)))
	c.refusedWith("at most 100 labels", try(func(e *v1alpha1.AccountingExport) {
		e.Labels = map[string]string{}
		for i := range 101 {
			e.Labels[fmt.Sprint("l", i)] = ""
		}
	}))
	c.refusedWith("20 finalizers", try(func(e *v1alpha1.AccountingExport) {
		for i := range 21 {
			e.Finalizers = append(e.Finalizers, fmt.Sprintf("example.com/f%d", i))
		}
	}))
	if err := try(nested(6))(); err != nil {
		c.Errorf("options of seven levels: %v", err)
	}
	chart := &v1alpha1.ChartOfAccounts{ObjectMeta: metav1.ObjectMeta{Name: "books", Namespace: "bounded"}, Spec: v1alpha1.ChartOfAccountsSpec{
		Currency: "EUR", Accounts: []v1alpha1.Account{{Number: "1740", Name: "Owed"}}, Offset: v1alpha1.OffsetPosting{Account: "1740"},
	}}
	if err := c.admin.Create(c.Context(), chart, client.DryRunAll); err != nil {
		c.Errorf("a kind without options: %v", err)
	}
	c.boundsHoldOfWhatIsBeingDeleted()
}

// boundsHoldOfWhatIsBeingDeleted has an export edited that a finalizer of its owner keeps.
func (c *cluster) boundsHoldOfWhatIsBeingDeleted() {
	kept := export("bounded", acme)
	kept.Name, kept.Finalizers = "kept", []string{"example.com/a", "example.com/b"}
	c.must(c.admin.Create(c.Context(), kept))
	c.must(c.admin.Delete(c.Context(), kept))
	patch := func(metadata, spec string) func() error {
		return func() error {
			document := []byte(`{"metadata":{` + metadata + `},"spec":{` + spec + `}}`)
			return c.admin.Patch(c.Context(), kept.DeepCopy(), client.RawPatch(types.MergePatchType, document))
		}
	}
	entries := func(format string) string {
		var all []string
		for i := range 101 {
			all = append(all, fmt.Sprintf(format, i))
		}
		return strings.Join(all, ",")
	}
	c.refusedWith("at most 100 labels", patch(`"labels":{`+entries(`"l%d":""`)+`}`, ""))
	c.refusedWith("20 owners", patch(`"ownerReferences":[`+entries(`{"apiVersion":"v1","kind":"A","name":"a","uid":"%d"}`)+`]`, ""))
	c.refusedWith("at most 253 characters", patch(`"ownerReferences":[{"apiVersion":"v1","kind":"A","uid":"1","name":"`+strings.Repeat("o", 1000)+`"}]`, ""))
	c.refusedWith("nested deeper than 7 levels", patch("", `"exporter":{"options":`+strings.Repeat(`{"a":`, 4900)+"1"+strings.Repeat("}", 4900)+`}`))
	for what, edit := range map[string]func() error{
		"a label":                     patch(`"labels":{"a":"b"}`, ""),
		"options of one level":        patch("", `"exporter":{"options":{"delimiter":";"}}`),
		"one finalizer is taken away": patch(`"finalizers":["example.com/b"]`, ""),
	} {
		if err := edit(); err != nil {
			c.Errorf("%s: %v", what, err)
		}
	}
	c.must(patch(`"finalizers":null`, "")())
	if err := c.admin.Get(c.Context(), client.ObjectKeyFromObject(kept), kept); !apierrors.IsNotFound(err) {
		c.Errorf("the export does not go: %v", err)
	}
}

func (c *cluster) labelsAreSetByWhoMayAssign() {
	every := rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"namespaces"}, Verbs: []string{"*"}}
	c.grant("tenant", every)
	tenant := c.as("tenant")
	labelled := func(to string) error {
		return tenant.Create(c.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "mine", Labels: map[string]string{label: to}}}, client.DryRunAll)
	}
	c.refusedWith("may assign organizations", func() error { return labelled(other) })
	c.must(tenant.Create(c.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "mine", Labels: map[string]string{"team": "a"}}}))
	c.refusedWith("may assign organizations", func() error {
		return tenant.Patch(c.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "mine"}},
			client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"`+label+`":"`+other+`"}}}`)))
	})
	c.refusedWith("may assign organizations", func() error {
		return tenant.Patch(c.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "mine"}},
			client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"accounting.ledgerport.dev/approval":"Required"}}}`)))
	})
	c.grant("assigner", every)
	c.must(c.admin.Patch(c.Context(), &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "assigner"}}, client.RawPatch("application/json-patch+json",
		[]byte(`[{"op":"add","path":"/rules/-","value":{"apiGroups":["accounting.ledgerport.dev"],"resources":["organizations"],"verbs":["assign"]}}]`))))
	c.must(c.as("assigner").Patch(c.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "mine"}},
		client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"`+label+`":"`+other+`"}}}`))))
}

// rolesOfPeople binds each role in a namespace, because no controller aggregates roles in a bare control plane.
func (c *cluster) rolesOfPeople() {
	tests := []struct {
		role    string
		allowed []string // verb/resource
		refused []string
	}{
		{"ledgerport-viewer", []string{"get/accountingexports", "list/exportruns", "watch/claimsources"},
			[]string{"create/exportruns", "patch/accountingexports", "get/secrets", "update/exportruns/status"}},
		{"ledgerport-editor", []string{"create/exportruns", "patch/accountingexports", "update/chartsofaccounts", "get/claimsources"},
			[]string{"create/claimsources", "patch/exportdestinations", "get/secrets", "patch/accountingexports/status"}},
		{"ledgerport-admin", []string{"create/claimsources", "patch/exportdestinations", "delete/accountingexports"},
			[]string{"get/secrets", "patch/claimsources/status", "assign/organizations"}},
	}
	c.namespace("people", nil)
	for _, test := range tests {
		var role rbacv1.ClusterRole
		c.must(c.admin.Get(c.Context(), client.ObjectKey{Name: test.role}, &role))
		to := strings.TrimPrefix(test.role, "ledgerport-")
		if aggregated := map[string]string{"viewer": "view", "editor": "edit", "admin": "admin"}[to]; role.Labels["rbac.authorization.k8s.io/aggregate-to-"+aggregated] != "true" {
			c.Errorf("%s is not part of %s", test.role, aggregated)
		}
		c.must(c.admin.Create(c.Context(), &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: test.role, Namespace: "people"},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: test.role},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: test.role}},
		}))
		for _, what := range test.allowed {
			c.expect(test.role, what, true)
		}
		for _, what := range test.refused {
			c.expect(test.role, what, false)
		}
	}
}

// expect asks the API server's own authorizer, which learns of a binding a moment after it was created.
func (c *cluster) expect(user, what string, allowed bool) {
	c.Helper()
	parts := strings.SplitN(what, "/", 3)
	attributes := &authorizationv1.ResourceAttributes{Namespace: "people", Verb: parts[0], Resource: parts[1], Group: v1alpha1.GroupVersion.Group}
	if len(parts) == 3 {
		attributes.Subresource = parts[2]
	}
	if attributes.Resource == "secrets" {
		attributes.Group = ""
	}
	ctx, cancel := context.WithTimeout(c.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: user, ResourceAttributes: attributes}}
		c.must(c.admin.Create(c.Context(), review))
		if review.Status.Allowed == allowed {
			return
		}
		select {
		case <-ctx.Done():
			c.Errorf("%s: %s is allowed: %t, want %t", user, what, !allowed, allowed)
			return
		case <-tick.C:
		}
	}
}
