package exportdestination

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/controller/report"
	"github.com/ledgerport/ledgerport/internal/controller/watch"
	"github.com/ledgerport/ledgerport/internal/credentials"
	"github.com/ledgerport/ledgerport/internal/destinations"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/outbound"
	"github.com/ledgerport/ledgerport/internal/references"
)

// counted is a reader that counts what is read.
type counted struct {
	client.Reader
	read int
}

// Get implements client.Reader.
func (c *counted) Get(ctx context.Context, key client.ObjectKey, into client.Object, options ...client.GetOption) error {
	c.read++
	return c.Reader.Get(ctx, key, into, options...)
}

// naming is an export that delivers to the shared destination.
func naming(namespace, name string) *v1alpha1.AccountingExport {
	export := &v1alpha1.AccountingExport{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	export.Spec.DestinationRef = v1alpha1.NamespacedReference{Namespace: "expenses", Name: "books"}
	return export
}

// shared is a destination that admits namespaces, each of which has two exports, and mallory's, unless it is one of them.
func shared(t *testing.T, admits ...string) (*v1alpha1.ExportDestination, client.Client) {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	destination := &v1alpha1.ExportDestination{
		ObjectMeta: metav1.ObjectMeta{Namespace: "expenses", Name: "books"},
		Spec: v1alpha1.ExportDestinationSpec{
			Filesystem: &v1alpha1.FilesystemDestination{},
			Access:     []v1alpha1.DestinationAccessRule{{NamespaceSelector: metav1.LabelSelector{MatchLabels: map[string]string{"tenant": "admitted"}}}},
		},
	}
	objects := []client.Object{destination}
	for _, namespace := range admits {
		objects = append(objects, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace, Labels: map[string]string{"tenant": "admitted"}}},
			naming(namespace, "monthly"), naming(namespace, "weekly"))
	}
	if !slices.Contains(admits, "mallory") {
		objects = append(objects, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "mallory"}})
	}
	return destination, fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithIndex(&v1alpha1.AccountingExport{}, watch.DestinationIndex, func(object client.Object) []string {
		return []string{references.DestinationKey(object.(*v1alpha1.AccountingExport)).String()}
	}).Build()
}

// directories is a destination with a directory for each namespace, of which each does something of its own.
type directories struct {
	destinations.Destination
	do     map[string]func(context.Context) error
	looked []string
}

func (d *directories) Check(ctx context.Context, directory string) (checked destinations.Checked, err error) {
	d.looked = append(d.looked, directory)
	if do := d.do[directory]; do != nil {
		err = do(ctx)
	}
	return checked, err
}

// TestTheDirectoryOfOneTenantDoesNotMakeADestinationFailForOthers has a tenant put into theirs what a check does not come to the end of, or refuses.
func TestTheDirectoryOfOneTenantDoesNotMakeADestinationFailForOthers(t *testing.T) {
	t.Parallel()
	hang := func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}
	refuse := func(reason v1alpha1.Reason) func(context.Context) error {
		return func(context.Context) error { return failure.OnDestination.Transient(reason, nil, "it is a file") }
	}
	for name, test := range map[string]struct {
		do      map[string]func(context.Context) error
		refused []string
		looked  []string
		fails   bool
	}{
		"with one that takes any time": {map[string]func(context.Context) error{"mallory": hang}, nil, []string{"", "acme", "mallory", "zeta"}, false},
		"with two that do":             {map[string]func(context.Context) error{"acme": hang, "mallory": hang}, nil, []string{"", "acme", "mallory", "zeta"}, false},
		"with one that is a file":      {map[string]func(context.Context) error{"mallory": refuse(v1alpha1.ReasonNotWritable)}, []string{"mallory"}, []string{"", "acme", "mallory", "zeta", ""}, false},
		"with one that is a file, where the operator has the directories alone": {
			map[string]func(context.Context) error{"": refuse(v1alpha1.ReasonNotWritable), "mallory": refuse(v1alpha1.ReasonNotWritable)},
			[]string{"mallory"}, []string{"", "acme", "mallory", "zeta"}, false,
		},
		"but it fails where nothing can be written": {
			map[string]func(context.Context) error{
				"": refuse(v1alpha1.ReasonNotWritable), "acme": refuse(v1alpha1.ReasonNotWritable), "mallory": hang, "zeta": refuse(v1alpha1.ReasonNotWritable),
			}, nil, []string{"", "acme", "mallory", "zeta"}, true,
		},
		"and where its server is away, which is asked once": {
			map[string]func(context.Context) error{"": refuse(v1alpha1.ReasonDestinationUnreachable)}, nil, []string{""}, true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			destination, c := shared(t, "acme", "mallory", "zeta")
			synctest.Test(t, func(t *testing.T) {
				opened := &directories{do: test.do}
				types, err := destinations.NewRegistry(destinations.Type{
					Name: "filesystem", Scheme: "file", Directories: true, Named: func(*v1alpha1.ExportDestination) bool { return true },
					Open: func(context.Context, *v1alpha1.ExportDestination, map[string][]byte, *outbound.Policy) (destinations.Destination, error) {
						return opened, nil
					},
				})
				if err != nil {
					t.Fatal(err)
				}
				r := &Reconciler{Recorder: &report.Recorder{Client: c}, Resolver: &references.Resolver{Objects: c, Destinations: types}}
				ctx, cancel := context.WithTimeout(t.Context(), watch.CheckTimeout)
				defer cancel()
				_, err = r.check(ctx, destination, credentials.Credentials{})
				var refused []string
				for _, one := range destination.Status.Refused {
					refused = append(refused, one.Namespace)
				}
				if (err != nil) != test.fails || !slices.Equal(refused, test.refused) || !slices.Equal(opened.looked, test.looked) {
					t.Errorf("%q were looked at and %q are refused (%v), want %q and %q, and a failure: %t", opened.looked, refused, err, test.looked, test.refused, test.fails)
				}
			})
		})
	}
}

// Close implements destinations.Destination.
func (*directories) Close() error { return nil }

// TestExportsThatNameADestinationWhichDoesNotAdmitThemTakeNoTimeOfItsCheck has another tenant make very many of them.
func TestExportsThatNameADestinationWhichDoesNotAdmitThemTakeNoTimeOfItsCheck(t *testing.T) {
	t.Parallel()
	destination, c := shared(t, "acme")
	for i := range 100 {
		if err := c.Create(t.Context(), naming("mallory", fmt.Sprint("export-", i))); err != nil {
			t.Fatal(err)
		}
	}
	objectsRead := &counted{Reader: c}
	r := &Reconciler{Recorder: &report.Recorder{Client: c}, Resolver: &references.Resolver{Objects: objectsRead}}
	namespaces, err := r.delivering(t.Context(), destination)
	if err != nil || !slices.Equal(namespaces, []string{"acme"}) {
		t.Fatalf("%q deliver there (%v), want acme", namespaces, err)
	}
	if objectsRead.read > 4 {
		t.Errorf("%d objects are read to find out who is admitted, want the destination and the namespace once for each of two namespaces", objectsRead.read)
	}
}
