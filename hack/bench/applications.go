package main

import (
	"context"
	"fmt"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/test/environment"
)

// startConsole starts the console of a cluster. Clients trust the authority, in PEM.
func startConsole(cluster *rest.Config, binary, directory string) (console *environment.Console, authority []byte, err error) {
	own, err := environment.NewAuthority("console")
	if err != nil {
		return nil, nil, err
	}
	port, err := environment.FreePort()
	if err != nil {
		return nil, nil, err
	}
	console, err = environment.RunConsole(cluster, binary, directory, port, own)
	return console, own.PEM, err
}

// applicationOf makes an account in a namespace that may do so much with runs, and returns its token.
func applicationOf(ctx context.Context, api client.Client, namespace string, verbs ...string) (token string, err error) {
	meta := metav1.ObjectMeta{Namespace: namespace, Name: namespace}
	account := &corev1.ServiceAccount{ObjectMeta: meta}
	group := []string{v1alpha1.GroupVersion.Group}
	for _, object := range []client.Object{
		account,
		&rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{
			{APIGroups: group, Resources: []string{"accountingexports"}, Verbs: []string{"get"}},
			{APIGroups: group, Resources: []string{"exportruns"}, Verbs: verbs},
		}},
		&rbacv1.RoleBinding{
			ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: namespace},
			Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: namespace}},
		},
	} {
		if err := api.Create(ctx, object); err != nil {
			return "", fmt.Errorf("creating %T %s: %w", object, namespace, err)
		}
	}
	request := &authenticationv1.TokenRequest{}
	err = api.SubResource("token").Create(ctx, account, request)
	return request.Status.Token, err
}
