package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/test/environment"
	"github.com/ledgerport/ledgerport/test/rights"
)

// People, with their roles in the namespaces whose exports need approvals. The restorer is a service account that applies backups.
const (
	chief      = "chief"
	controller = "controller"
	approver   = "approver"
	restorer   = "system:serviceaccount:default:restorer"
)

// roles of the people. The chief asks for runs and approves those of others, the controller asks alone, and the approver approves alone.
var roles = map[string]string{chief: "ledgerport-admin", controller: "ledgerport-editor", approver: "ledgerport-approver"}

// applicationAccount is the service account of each tenant that asks the console for runs.
const applicationAccount = "application"

// accountOf is the name of the account of a tenant's application.
func accountOf(namespace string) string {
	return "system:serviceaccount:" + namespace + ":" + applicationAccount
}

// kubeconfig is the operators' login, and certificates those that they serve files with.
func (w *world) kubeconfig() string   { return filepath.Join(w.directory, "operator.kubeconfig") }
func (w *world) certificates() string { return filepath.Join(w.directory, "books-certificates") }

// openDoors lets the operators work with the rights of config/rbac alone, and serve files through the API server.
func (w *world) openDoors(ctx context.Context) error {
	manifests, err := environment.Render(ctx, "config/rbac")
	if err != nil {
		return err
	}
	login, err := rights.Install(ctx, w.controlPlane.Config, manifests)
	if err != nil {
		return err
	}
	for range 2 {
		port, err := environment.FreePort()
		if err != nil {
			return err
		}
		w.served = append(w.served, net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	}
	if w.toBooks, err = newLine(loopback, w.served...); err != nil {
		return err
	}
	if err := errors.Join(
		rights.WriteKubeconfig(login, w.kubeconfig()),
		os.Mkdir(w.certificates(), 0o700),
	); err != nil {
		return err
	}
	return environment.PassBooks(ctx, w.controlPlane.Config, w.toBooks.address(), w.certificates())
}

// admit lets the API server compare names and approvals, and makes those known who have them.
func (w *world) admit(ctx context.Context) error {
	return errors.Join(w.applyPolicies(ctx), w.applyFinance(ctx), w.admitPeople(ctx))
}

// financeManifests are what config/books has for people and applications that ask for runs.
var financeManifests = []string{
	"ClusterRole/ledgerport-finance",
	"ValidatingAdmissionPolicy/ledgerport-reversal", "ValidatingAdmissionPolicyBinding/ledgerport-reversal",
	"ValidatingAdmissionPolicy/ledgerport-mark", "ValidatingAdmissionPolicyBinding/ledgerport-mark",
}

// applyFinance applies those where operators are pods. They serve no files there, for which in-process ones have all of config/books.
func (w *world) applyFinance(ctx context.Context) error {
	if w.pods == nil {
		return nil
	}
	manifests, err := environment.Render(ctx, "config/books")
	if err != nil {
		return err
	}
	applied := 0
	for _, object := range manifests {
		if slices.Contains(financeManifests, object.GetKind()+"/"+object.GetName()) {
			applied++
			if err := w.makeForAll(ctx, object); err != nil {
				return err
			}
		}
	}
	if applied != len(financeManifests) {
		return fmt.Errorf("config/books has %d of %q", applied, financeManifests)
	}
	return nil
}

// makeForAll makes an object that belongs to no namespace, which goes with the world.
func (w *world) makeForAll(ctx context.Context, object client.Object) error {
	if err := w.api.Create(ctx, object); err != nil {
		return fmt.Errorf("%T %s: %w", object, object.GetName(), err)
	}
	w.made = append(w.made, object)
	return nil
}

// applyPolicies applies those of config/admission that compare names and approvals.
func (w *world) applyPolicies(ctx context.Context) error {
	root, err := environment.ModuleRoot()
	if err != nil {
		return err
	}
	for _, name := range []string{"who.yaml", "approval.yaml"} {
		file, err := os.Open(filepath.Join(root, "config/admission", name))
		if err != nil {
			return err
		}
		policies, err := environment.Decode(file)
		if err := errors.Join(err, file.Close()); err != nil {
			return err
		}
		for _, policy := range policies {
			if err := w.makeForAll(ctx, policy); err != nil {
				return err
			}
		}
	}
	return nil
}

// admitPeople makes clients of everybody, and gives the restorer the rights of an administrator.
func (w *world) admitPeople(ctx context.Context) error {
	w.people = map[string]client.Client{}
	names := []string{restorer}
	for name := range roles {
		names = append(names, name)
	}
	for _, t := range w.tenants {
		names = append(names, accountOf(t.namespace))
	}
	for _, name := range names {
		config := rest.CopyConfig(w.config)
		config.Impersonate = rest.ImpersonationConfig{UserName: name}
		person, err := client.New(config, client.Options{Scheme: w.api.Scheme(), Mapper: w.api.RESTMapper()})
		if err != nil {
			return err
		}
		w.people[name] = person
	}
	return w.makeForAll(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "restorer"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: restorer}},
	})
}

// bind gives somebody a role in a namespace.
func (w *world) bind(ctx context.Context, namespace, user, role string) error {
	return w.api.Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "role-" + strings.ReplaceAll(user, ":", "-")},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	})
}

// startConsole starts the console, and an application of each tenant that knows its token. It is a process of this machine where operators are pods,
// too: what it needs of a cluster is its API server.
func (w *world) startConsole(ctx context.Context) error {
	if err := w.untilBuilt(); err != nil {
		return err
	}
	authority, err := environment.NewAuthority("console")
	if err != nil {
		return err
	}
	port, err := environment.FreePort()
	if err != nil {
		return err
	}
	at := "https://" + net.JoinHostPort("localhost", strconv.Itoa(port))
	w.console = &operator{name: "console", memory: consoleMemory, start: func(string) (started, error) {
		probes, err := freeAddress()
		if err != nil {
			return started{}, err
		}
		console, err := environment.RunConsole(w.config, w.binary, w.directory, port, authority, "--health-probe-bind-address="+probes)
		if err != nil {
			return started{}, err
		}
		return started{console, "http://" + probes}, nil
	}}
	if err := w.console.begin(); err != nil {
		return err
	}
	for _, t := range w.tenants {
		token, err := w.admitApplication(ctx, t)
		if err != nil {
			return err
		}
		w.scan.Plant("the token of the application of "+t.namespace, token)
		w.applications = append(w.applications, newApplicant(w, t, at, token, authority))
	}
	return nil
}

// admitApplication makes the account of a tenant's application, and returns its token.
func (w *world) admitApplication(ctx context.Context, t tenant) (token string, err error) {
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: t.namespace, Name: applicationAccount}}
	if err := errors.Join(w.api.Create(ctx, account), w.bind(ctx, t.namespace, accountOf(t.namespace), "ledgerport-finance")); err != nil {
		return "", err
	}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: ptr.To[int64](24 * 60 * 60)}}
	err = w.api.SubResource("token").Create(ctx, account, request)
	return request.Status.Token, err
}

// disturbConsole kills the console every few seconds, or stops it for a while.
func (w *world) disturbConsole(ctx context.Context, random *rand.Rand) {
	for ctx.Err() == nil {
		pause(ctx, time.Duration(2000+random.IntN(6000))*time.Millisecond)
		if ctx.Err() != nil {
			return
		}
		w.disturbances.Add(1)
		if random.IntN(3) > 0 {
			w.console.signal(syscall.SIGKILL)
			continue
		}
		w.console.signal(syscall.SIGSTOP)
		pause(ctx, time.Duration(500+random.IntN(4000))*time.Millisecond)
		w.console.signal(syscall.SIGCONT)
	}
}
