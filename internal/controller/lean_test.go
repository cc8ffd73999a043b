package controller

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sync/semaphore"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/yaml"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/config/crd"
	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/internal/footprint"
)

func TestTheCacheKeepsWhatIsRead(t *testing.T) {
	t.Parallel()
	of := metav1.ObjectMeta{
		Name: "claims", GenerateName: "claims-", Labels: map[string]string{"team": "books"},
		ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl"}},
		Annotations:   map[string]string{"kubectl.kubernetes.io/last-applied-configuration": strings.Repeat("x", 200_000), v1alpha1.AcceptedLedgerAnnotation: "id"},
		Finalizers:    []string{"example.com/theirs"}, OwnerReferences: []metav1.OwnerReference{{Name: "theirs"}},
	}
	source := &v1alpha1.ClaimSource{ObjectMeta: *of.DeepCopy()}
	kept, err := lean(source)
	want := metav1.ObjectMeta{
		Name: "claims", Annotations: map[string]string{v1alpha1.AcceptedLedgerAnnotation: "id", largeAsStored: ""}, Finalizers: of.Finalizers, OwnerReferences: of.OwnerReferences,
	}
	if kept != source || err != nil || !equality.Semantic.DeepEqual(source.ObjectMeta, want) {
		t.Errorf("it is %+v (%v)", source.ObjectMeta, err)
	}
	namespace := &corev1.Namespace{ObjectMeta: *of.DeepCopy()}
	if _, err := lean(namespace); err != nil || namespace.Labels["team"] != "books" || namespace.Finalizers != nil || namespace.OwnerReferences != nil {
		t.Errorf("a namespace is %+v (%v): a ClaimSource may admit it by its labels", namespace.ObjectMeta, err)
	}
	export := &v1alpha1.AccountingExport{}
	export.Spec.Exporter.Options = &runtime.RawExtension{Raw: []byte(`{"a":"` + strings.Repeat("x", 1<<20) + `"}`)}
	leaveOutUnread(export)
	if cap(export.Spec.Exporter.Options.Raw) > 2*exporters.MaxOptionsSize || len(export.Spec.Exporter.Options.Raw) <= exporters.MaxOptionsSize {
		t.Errorf("%d bytes of options are left, want just more than may be", len(export.Spec.Exporter.Options.Raw))
	}
	run := &v1alpha1.ExportRun{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{v1alpha1.ImportedAnnotation: "4711" + strings.Repeat("x", 200_000)}}}
	for range 2 { // it is called more than once for some objects
		leaveOutUnread(run)
		if reference := run.Annotations[v1alpha1.ImportedAnnotation]; !strings.HasPrefix(reference, "4711x") || len(reference) > longestAnnotation {
			t.Errorf("of a long reference %d bytes are left", len(reference))
		}
	}
	if kept, err := lean("no object"); kept != "no object" || err != nil {
		t.Errorf("of what is no object comes %v (%v)", kept, err)
	}
}

// large is an object of 1.4 MB, and whether the cache keeps a part of it: it does not where nothing is read of what is large.
type large struct {
	what   string
	object client.Object
	inPart bool
}

// largeObjects have metadata and specs that the API server stores.
func largeObjects() (objects []large) {
	const size = 1_400_000
	text := func(n int) string { return strings.Repeat("x", n) }
	many := func(each int, do func(i int)) {
		for i := range size / each {
			do(i)
		}
	}
	annotated, labelled, finalized, owned, managed := metav1.ObjectMeta{Annotations: map[string]string{}}, metav1.ObjectMeta{Labels: map[string]string{}}, metav1.ObjectMeta{}, metav1.ObjectMeta{}, metav1.ObjectMeta{}
	many(100, func(i int) {
		annotated.Annotations[fmt.Sprintf("%s/%d", v1alpha1.GroupVersion.Group, i)] = text(60)
		labelled.Labels[fmt.Sprintf("example.com/%d", i)] = text(60)
		finalized.Finalizers = append(finalized.Finalizers, fmt.Sprintf("example.com/%d%s", i, text(60)))
		owned.OwnerReferences = append(owned.OwnerReferences, metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: text(60), UID: types.UID(fmt.Sprint(i))})
		managed.ManagedFields = append(managed.ManagedFields, metav1.ManagedFieldsEntry{Manager: text(60), FieldsV1: metav1.NewFieldsV1(`{"f:spec":{}}`)})
	})
	everyKind := func(what string, of metav1.ObjectMeta, ours, namespaces, others bool) {
		of.Name, of.Namespace = "large", "theirs"
		objects = append(objects,
			large{what, &v1alpha1.AccountingExport{ObjectMeta: of}, ours}, large{what, &v1alpha1.ExportRun{ObjectMeta: of}, ours},
			large{what, &v1alpha1.ChartOfAccounts{ObjectMeta: of}, ours}, large{what, &v1alpha1.ClaimSource{ObjectMeta: of}, ours},
			large{what, &v1alpha1.ExportDestination{ObjectMeta: of}, ours}, large{what, &corev1.Namespace{ObjectMeta: of}, namespaces},
			large{what, &metav1.PartialObjectMetadata{ObjectMeta: of}, others})
	}
	everyKind("annotations", annotated, true, false, false)
	everyKind("one annotation", metav1.ObjectMeta{Annotations: map[string]string{v1alpha1.RequestedAtAnnotation: text(size)}}, false, false, false)
	everyKind("labels", labelled, false, true, false)
	everyKind("finalizers", finalized, true, false, false)
	everyKind("owners", owned, true, false, false)
	everyKind("managed fields", managed, false, false, false)
	var linked metav1.ObjectMeta
	linked.SetSelfLink(text(size))
	everyKind("a self link", linked, false, false, false)
	everyKind("an owner", metav1.ObjectMeta{OwnerReferences: []metav1.OwnerReference{
		{APIVersion: text(size / 4), Kind: text(size / 4), Name: text(size / 4), UID: types.UID(text(size / 4)), Controller: ptr.To(true)},
	}}, true, false, false)
	run, chart, source, destination, export := &v1alpha1.ExportRun{}, &v1alpha1.ChartOfAccounts{}, &v1alpha1.ClaimSource{}, &v1alpha1.ExportDestination{}, &v1alpha1.AccountingExport{}
	run.Spec.Claims = &v1alpha1.NamedClaims{}
	destination.Spec.SFTP = &v1alpha1.SFTPDestination{KnownHosts: text(size)}
	export.Spec.Exporter.Options = &runtime.RawExtension{Raw: []byte(`{"a":"` + text(size) + `"}`)}
	source.Spec.Postgres.CABundle = text(size)
	accessible := &v1alpha1.ClaimSource{Spec: v1alpha1.ClaimSourceSpec{Access: []v1alpha1.AccessRule{{}}}}
	shared := &v1alpha1.ExportDestination{Spec: v1alpha1.ExportDestinationSpec{Access: []v1alpha1.DestinationAccessRule{{}}}}
	shared.Spec.Access[0].NamespaceSelector.MatchLabels = labelled.Labels
	many(1000, func(i int) { run.Spec.Claims.IDs = append(run.Spec.Claims.IDs, fmt.Sprint(i, text(900))) })
	many(100, func(i int) {
		chart.Spec.Rules = append(chart.Spec.Rules, v1alpha1.MappingRule{Account: "1", Match: v1alpha1.RuleMatch{Expression: text(90)}})
		accessible.Spec.Access[0].OrganizationIDs = append(accessible.Spec.Access[0].OrganizationIDs, fmt.Sprint(i, text(90)))
	})
	return append(objects, large{"claims", run, true}, large{"rules", chart, true}, large{"certificates", source, true}, large{"organisations", accessible, true},
		large{"host keys", destination, true}, large{"selectors", shared, true}, large{"options", export, true})
}

func TestWhatOneObjectCostsTheCacheIsBounded(t *testing.T) {
	t.Parallel()
	for _, test := range largeObjects() {
		t.Run(fmt.Sprintf("%s, %s", test.what, reflect.TypeOf(test.object).Elem().Name()), func(t *testing.T) {
			t.Parallel()
			stored, err := json.Marshal(test.object)
			if err != nil || len(stored) < 1_000_000 {
				t.Fatalf("the object has %d bytes (%v)", len(stored), err)
			}
			decoded := reflect.New(reflect.TypeOf(test.object).Elem()).Interface().(client.Object)
			if err := json.Unmarshal(stored, decoded); err != nil {
				t.Fatal(err)
			}
			for range 2 { // the second time, as it is
				if kept, err := lean(decoded); err != nil || kept != decoded {
					t.Fatalf("of the object comes %v (%v)", kept, err)
				}
				if bytes := footprint.Of(decoded); bytes > 8<<10 {
					t.Errorf("it takes %d bytes", bytes)
				}
				if isInPart(decoded) != test.inPart {
					t.Errorf("it is kept in part: %t", isInPart(decoded))
				}
			}
		})
	}
}

func TestAnHonestObjectIsKeptWhole(t *testing.T) {
	t.Parallel()
	ids := make([]string, 100)
	for i := range ids {
		ids[i] = fmt.Sprintf("3f2c9a1e-0000-4000-8000-%012d", i)
	}
	owned := metav1.ObjectMeta{Name: "small", OwnerReferences: []metav1.OwnerReference{{Name: "a", UID: "1"}, {Name: "b", UID: "2", Controller: ptr.To(true)}}, Finalizers: []string{v1alpha1.RunFinalizer, "example.com/theirs"}}
	run := &v1alpha1.ExportRun{ObjectMeta: owned, Spec: v1alpha1.ExportRunSpec{Claims: &v1alpha1.NamedClaims{IDs: ids}}}
	run.Status.HeldClaims = slices.Repeat([]v1alpha1.HeldClaim{{Message: strings.Repeat("x", 300)}}, 20)
	chart := &v1alpha1.ChartOfAccounts{ObjectMeta: owned}
	chart.Spec.Accounts = slices.Repeat([]v1alpha1.Account{{Number: "4650", Name: "Entertainment of customers and partners"}}, 500)
	export := &v1alpha1.AccountingExport{ObjectMeta: owned}
	export.Spec.Exporter.Options = &runtime.RawExtension{Raw: []byte(`{"a":"` + strings.Repeat("x", 40_000) + `"}`)}
	for _, object := range []client.Object{run, chart, export} {
		before := object.DeepCopyObject()
		if kept, err := lean(object); err != nil || !equality.Semantic.DeepEqual(kept, before) {
			t.Errorf("of %T %+v is kept (%v)", object, kept, err)
		}
	}
}

func TestOfALargeObjectTheCacheKeepsWhatItIsFoundBy(t *testing.T) {
	t.Parallel()
	of := metav1.ObjectMeta{
		Name: "large", Namespace: "theirs", UID: "1", ResourceVersion: "7", Generation: 3, Labels: map[string]string{"a": "b"},
		Annotations:     map[string]string{v1alpha1.RequestedAtAnnotation: "now", v1alpha1.GroupVersion.Group + "/other": "x"},
		Finalizers:      []string{"example.com/theirs", v1alpha1.RunFinalizer},
		OwnerReferences: []metav1.OwnerReference{{Name: strings.Repeat("x", 200_000)}, {APIVersion: "a/v1", Kind: "K", Name: "monthly", UID: "2", Controller: ptr.To(true), BlockOwnerDeletion: ptr.To(true)}},
	}
	want := metav1.ObjectMeta{
		Name: "large", Namespace: "theirs", UID: "1", ResourceVersion: "7", Generation: 3,
		Annotations:     map[string]string{v1alpha1.RequestedAtAnnotation: "now", keptInPart: "", largeAsStored: ""},
		Finalizers:      []string{v1alpha1.RunFinalizer},
		OwnerReferences: []metav1.OwnerReference{{APIVersion: "a/v1", Kind: "K", Name: "monthly", UID: "2", Controller: ptr.To(true)}},
	}
	run := &v1alpha1.ExportRun{ObjectMeta: *of.DeepCopy()}
	run.Spec = v1alpha1.ExportRunSpec{ExportRef: v1alpha1.LocalReference{Name: "monthly"}, Type: v1alpha1.RunReversal, Reverses: &v1alpha1.RunReference{Name: "r"}, Claims: &v1alpha1.NamedClaims{IDs: []string{"c"}}}
	run.Status.Phase = v1alpha1.RunPending
	spec := *run.Spec.DeepCopy()
	spec.Claims = &v1alpha1.NamedClaims{} // that some are named is kept
	if _, err := lean(run); err != nil || !equality.Semantic.DeepEqual(run, &v1alpha1.ExportRun{ObjectMeta: want, Spec: spec, Status: v1alpha1.ExportRunStatus{Phase: v1alpha1.RunPending}}) {
		t.Errorf("%+v is kept (%v)", run, err)
	}
	external := &v1alpha1.ExternalSecretKeyReference{ExternalSecretReference: v1alpha1.ExternalSecretReference{Name: "e"}}
	source := &v1alpha1.ClaimSource{ObjectMeta: *of.DeepCopy()}
	source.Spec.Postgres.ConnectionExternalSecretRef, source.Spec.Receipts = external, &v1alpha1.ReceiptsSource{Table: &v1alpha1.ReceiptsTable{Table: "t"}, HTTP: &v1alpha1.ReceiptsHTTP{TokenExternalSecretRef: external}}
	if _, err := lean(source); err != nil || source.Spec.Postgres.ConnectionExternalSecretRef.Name != "e" || source.Spec.Receipts.HTTP.TokenExternalSecretRef.Name != "e" {
		t.Errorf("%+v is kept (%v)", source, err)
	}
}

// TestWhatIsLeftOfALargeSpecIsBoundedByItsSchema looks at fields that are new, too.
func TestWhatIsLeftOfALargeSpecIsBoundedByItsSchema(t *testing.T) {
	t.Parallel()
	for file, object := range map[string]client.Object{
		"accountingexports": &v1alpha1.AccountingExport{}, "exportruns": &v1alpha1.ExportRun{}, "chartsofaccounts": &v1alpha1.ChartOfAccounts{},
		"claimsources": &v1alpha1.ClaimSource{}, "exportdestinations": &v1alpha1.ExportDestination{},
	} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			content, err := crd.Bases.ReadFile("bases/" + v1alpha1.GroupVersion.Group + "_" + file + ".yaml")
			if err != nil {
				t.Fatal(err)
			}
			var definition apiextensionsv1.CustomResourceDefinition
			if err := yaml.Unmarshal(content, &definition); err != nil {
				t.Fatal(err)
			}
			schema := definition.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"]
			filled, err := json.Marshal(map[string]any{"spec": fill(&schema)})
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(filled, object); err != nil {
				t.Fatal(err)
			}
			object.(interface{ LeaveOutLarge() }).LeaveOutLarge()
			if filled, err = json.Marshal(object); err != nil {
				t.Fatal(err)
			}
			var left map[string]any
			if err := json.Unmarshal(filled, &left); err != nil {
				t.Fatal(err)
			}
			bytes := mostBytes(t, &schema, left["spec"], "spec")
			t.Logf("at most %d bytes", bytes)
			if bytes > mostOfObject {
				t.Errorf("a spec without its large parts may have %d bytes, more than %d", bytes, mostOfObject)
			}
		})
	}
}

// fill returns a value with every field of a schema that decodes.
func fill(schema *apiextensionsv1.JSONSchemaProps) any {
	switch {
	case len(schema.Enum) > 0:
		return schema.Enum[0]
	case schema.Type == "string":
		return "x"
	case schema.Type == "integer":
		return 1
	case schema.Type == "boolean":
		return true
	case schema.Type == "array":
		return []any{fill(schema.Items.Schema)}
	case schema.AdditionalProperties != nil:
		return map[string]any{"x": fill(schema.AdditionalProperties.Schema)}
	}
	fields := map[string]any{}
	for name := range schema.Properties {
		field := schema.Properties[name]
		fields[name] = fill(&field)
	}
	return fields
}

// mostBytes is the most that a value with the fields of content may have in texts.
func mostBytes(t *testing.T, schema *apiextensionsv1.JSONSchemaProps, content any, path string) (bytes int) {
	t.Helper()
	bound := func(limit *int64) int {
		if limit == nil {
			t.Errorf("%s is not bounded", path)
			return 0
		}
		return int(*limit)
	}
	switch content := content.(type) {
	case string:
		const longestRune = 4
		switch fixed := len(schema.Enum) > 0 || schema.Pattern != "" && !strings.ContainsAny(schema.Pattern, "*+"); {
		case content == "":
		case fixed:
			return 64
		default:
			return longestRune * bound(schema.MaxLength)
		}
	case []any:
		if len(content) > 0 {
			return bound(schema.MaxItems) * (16 + mostBytes(t, schema.Items.Schema, content[0], path+"[]"))
		}
	case map[string]any:
		if schema.AdditionalProperties != nil {
			for _, value := range content {
				return bound(schema.MaxProperties) * (64 + mostBytes(t, schema.AdditionalProperties.Schema, value, path+".*"))
			}
		}
		for _, name := range slices.Sorted(maps.Keys(content)) {
			field := schema.Properties[name]
			bytes += 16 + mostBytes(t, &field, content[name], path+"."+name)
		}
	}
	return bytes
}

func TestAGetOfWhatIsKeptInPartReadsAllOfItsSpec(t *testing.T) {
	t.Parallel()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	run := &v1alpha1.ExportRun{ObjectMeta: metav1.ObjectMeta{
		Name: "large", Namespace: "theirs", Finalizers: []string{"example.com/theirs", v1alpha1.RunFinalizer}, Labels: map[string]string{"a": "b"},
	}}
	run.Spec.Claims = &v1alpha1.NamedClaims{IDs: []string{"one"}}
	for i := range 500 {
		run.OwnerReferences = append(run.OwnerReferences, metav1.OwnerReference{Name: "o", UID: types.UID(fmt.Sprint(i))})
	}
	part := run.DeepCopy()
	part.OwnerReferences = append(part.OwnerReferences, metav1.OwnerReference{Name: "before", UID: "before", Controller: ptr.To(true)})
	part.Spec.Reverses = &v1alpha1.RunReference{Name: "before"}
	if _, err := lean(part); err != nil || !isInPart(part) {
		t.Fatalf("it is not kept in part (%v)", err)
	}
	small := &v1alpha1.ExportRun{ObjectMeta: metav1.ObjectMeta{Name: "small", Namespace: "theirs"}}
	cached := fake.NewClientBuilder().WithScheme(scheme).WithObjects(part, small).Build()
	c := patient{cached, fake.NewClientBuilder().WithScheme(scheme).WithObjects(run).Build(), semaphore.NewWeighted(1)}
	var got v1alpha1.ExportRun
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(run), &got); err != nil || len(got.OwnerReferences) != 0 ||
		!slices.Equal(got.Finalizers, []string{v1alpha1.RunFinalizer}) || got.Labels != nil || got.Spec.Reverses != nil || got.Spec.Claims == nil || !isInPart(&got) {
		t.Errorf("it is %+v with %d owners (%v)", got.Spec, len(got.OwnerReferences), err)
	}
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(small), &got); err != nil || got.Name != "small" {
		t.Errorf("it is %+v (%v), and the cache has all of it", got, err)
	}
	if err := cached.Create(t.Context(), &v1alpha1.ExportRun{ObjectMeta: metav1.ObjectMeta{Name: "gone", Namespace: "theirs", Annotations: map[string]string{keptInPart: ""}}}); err != nil {
		t.Fatal(err)
	}
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: "theirs", Name: "gone"}, &got); client.IgnoreNotFound(err) != nil || err == nil {
		t.Errorf("of one that is gone since: %v", err)
	}
	if err := c.whole.Acquire(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Get(ended, client.ObjectKeyFromObject(run), &got); !errors.Is(err, context.Canceled) {
		t.Errorf("a large object is read while as many are as may be: %v", err)
	}
	if err := c.Patch(ended, part, client.MergeFrom(run)); !errors.Is(err, context.Canceled) {
		t.Errorf("a large object is written while as many are as may be: %v", err)
	}
	if err := c.Status().Patch(ended, part, client.MergeFrom(run)); !errors.Is(err, context.Canceled) {
		t.Errorf("the status of a large object is written while as many are as may be: %v", err)
	}
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(small), &got); err != nil {
		t.Errorf("a small one waits for it: %v", err)
	}
}

func TestAListIsReadInPagesAndMadeLean(t *testing.T) {
	t.Parallel()
	const count = 5*objectsOfPage + 3
	var pages []metav1.ListOptions
	server := &cache.ListWatch{ListWithContextFunc: func(_ context.Context, options metav1.ListOptions) (runtime.Object, error) {
		pages = append(pages, options)
		list, from := &v1alpha1.ExportRunList{ListMeta: metav1.ListMeta{ResourceVersion: "7"}}, 0
		_, _ = fmt.Sscan(options.Continue, &from)
		for i := from; i < min(from+int(options.Limit), count); i++ {
			run := v1alpha1.ExportRun{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint(i), Labels: map[string]string{"a": "b"}}}
			run.Spec.Claims = &v1alpha1.NamedClaims{IDs: []string{strings.Repeat("x", 100_000)}}
			list.Items = append(list.Items, run)
		}
		if next := from + int(options.Limit); next < count {
			list.Continue, list.RemainingItemCount = fmt.Sprint(next), ptr.To(int64(count-next))
		}
		return list, nil
	}}
	listed, err := listInPages(t.Context(), server, metav1.ListOptions{ResourceVersion: "0", Limit: 500, ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan})
	list, is := listed.(*v1alpha1.ExportRunList)
	if err != nil || !is || len(list.Items) != count || list.Continue != "" || list.ResourceVersion != "7" || list.RemainingItemCount != nil {
		t.Fatalf("the list is %+v (%v)", listed, err)
	}
	for i := range list.Items {
		if run := &list.Items[i]; run.Name != fmt.Sprint(i) || !isInPart(run) || footprint.Of(run) > mostOfRun {
			t.Errorf("run %d is %+v", i, run)
		}
	}
	for _, page := range pages {
		if page.Limit != objectsOfPage || page.ResourceVersion != "" || page.ResourceVersionMatch != "" {
			t.Errorf("a page was asked for as %+v: the server's own cache has no pages", page)
		}
	}
}

// TestAListCopiesNothingAndWaitsForNobody looks at what the cache is asked for.
func TestAListCopiesNothingAndWaitsForNobody(t *testing.T) {
	t.Parallel()
	asked := &listing{}
	if err := (patient{Client: asked}).List(t.Context(), &v1alpha1.ExportRunList{}, client.InNamespace("acme")); err != nil {
		t.Fatal(err)
	}
	var options client.ListOptions
	options.ApplyOptions(asked.options)
	if options.Namespace != "acme" || options.UnsafeDisableDeepCopy == nil || !*options.UnsafeDisableDeepCopy ||
		!options.DisableReadYourWritesConsistency {
		t.Errorf("the options are %+v", options)
	}
}

// listing remembers the options of a list.
type listing struct {
	client.Client
	options []client.ListOption
}

// List implements client.Reader.
func (l *listing) List(_ context.Context, _ client.ObjectList, options ...client.ListOption) error {
	l.options = options
	return nil
}
