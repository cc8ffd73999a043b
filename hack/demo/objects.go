package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/test/environment"
)

// shownAtOnce is how many samples with an export are shown where no exporter is asked for: enough to see that they differ.
const shownAtOnce = 2

// readObjects reads the manifests of a directory: those that all exports need, and those of the exports with an exporter,
// or of the first few exports where that is empty. What is for kustomize alone is left out, and so is what waits for a person.
func readObjects(directory, exporter string) ([]*unstructured.Unstructured, error) {
	files, err := filepath.Glob(filepath.Join(directory, "*.yaml"))
	if err != nil {
		return nil, err
	}
	var objects []*unstructured.Unstructured
	var all []string
	shown := 0
	for _, file := range files {
		if filepath.Base(file) == "kustomization.yaml" {
			continue
		}
		read, err := readFile(file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if slices.ContainsFunc(read, waitsForAPerson) {
			continue
		}
		if types := exportersOf(read); len(types) > 0 {
			all = append(all, types...)
			if exporter == "" && shown == shownAtOnce || exporter != "" && !slices.Contains(types, exporter) {
				continue
			}
			shown++
		}
		objects = append(objects, read...)
	}
	if shown == 0 {
		return nil, fmt.Errorf("no export in %s has the exporter %q; there are %q", directory, exporter, all)
	}
	slices.SortStableFunc(objects, namespacesFirst)
	return objects, nil
}

// exportersOf returns the types of the exporters that the objects use.
func exportersOf(objects []*unstructured.Unstructured) (types []string) {
	for _, object := range objects {
		if exporter, found, _ := unstructured.NestedString(object.Object, "spec", "exporter", "type"); found {
			types = append(types, exporter)
		}
	}
	return types
}

// waitsForAPerson reports whether runs of an export wait for an approval.
func waitsForAPerson(object *unstructured.Unstructured) bool {
	approval, _, _ := unstructured.NestedString(object.Object, "spec", "approval")
	return approval == string(v1alpha1.ApprovalRequired)
}

func readFile(name string) ([]*unstructured.Unstructured, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // only read
	return environment.Decode(file)
}

func namespacesFirst(a, b *unstructured.Unstructured) int {
	rank := func(object *unstructured.Unstructured) int {
		if object.GetKind() == "Namespace" {
			return 0
		}
		return 1
	}
	return rank(a) - rank(b)
}

// apply creates or changes an object as kubectl apply --server-side does.
func apply(ctx context.Context, c client.Client, object *unstructured.Unstructured) error {
	object.SetManagedFields(nil)
	err := c.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("ledgerport-demo"), client.ForceOwnership)
	if err != nil {
		return fmt.Errorf("%s %s/%s: %w", object.GetKind(), object.GetNamespace(), object.GetName(), err)
	}
	return nil
}

// printTable prints what `kubectl get … --all-namespaces -o wide` prints, with kubectl where there is one.
func printTable(ctx context.Context, config *rest.Config, kubeconfig, kubectl string, resources ...string) error {
	if kubectl != "" {
		command := exec.CommandContext(ctx, kubectl, "get", strings.Join(resources, ","), "--all-namespaces", "-o", "wide") // #nosec G204 -- a path that the environment chose
		command.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig)
		command.Stdout, command.Stderr = os.Stdout, os.Stderr
		return command.Run()
	}
	for _, resource := range resources {
		table, err := getTable(ctx, config, resource)
		if err != nil {
			return err
		}
		if err := writeTable(os.Stdout, table); err != nil {
			return err
		}
	}
	return nil
}

// getTable asks the API server for its own table of a resource.
func getTable(ctx context.Context, config *rest.Config, resource string) (*metav1.Table, error) {
	config = rest.CopyConfig(config)
	config.GroupVersion = &v1alpha1.GroupVersion
	config.APIPath = "/apis"
	config.NegotiatedSerializer = clientgoscheme.Codecs.WithoutConversion()
	api, err := rest.RESTClientFor(config)
	if err != nil {
		return nil, err
	}
	raw, err := api.Get().Resource(resource).SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io").DoRaw(ctx)
	if err != nil {
		return nil, err
	}
	table := &metav1.Table{}
	return table, json.Unmarshal(raw, table)
}

func writeTable(to io.Writer, table *metav1.Table) error {
	w := tabwriter.NewWriter(to, 0, 8, 3, ' ', 0)
	header := []string{"NAMESPACE"}
	for _, column := range table.ColumnDefinitions {
		header = append(header, strings.ToUpper(column.Name))
	}
	fmt.Fprintln(w, strings.Join(header, "\t"))
	for _, row := range table.Rows {
		var object metav1.PartialObjectMetadata
		if err := json.Unmarshal(row.Object.Raw, &object); err != nil {
			return err
		}
		cells := []string{object.Namespace}
		for _, cell := range row.Cells {
			if cell == nil {
				cell = ""
			}
			cells = append(cells, fmt.Sprint(cell))
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	fmt.Fprintln(w)
	return w.Flush()
}
