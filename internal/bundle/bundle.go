// Package bundle is what a person gives to those who are to find out what is wrong: the resources of a namespace, what happened to
// them, and what the operator says of them, without secrets, bank accounts and names of claimants.
package bundle

import (
	"archive/tar"
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/document"
	"github.com/ledgerport/ledgerport/internal/overview"
	"github.com/ledgerport/ledgerport/internal/references"
)

// Request says what is to be in a bundle.
type Request struct {
	Cluster client.Client
	// API has the version of the API server, and the operator's log.
	API kubernetes.Interface
	// Namespace of the exports, and the one of the operator.
	Namespace, Operator string
	// Program is the version of this one.
	Program string
	Now     time.Time
}

// kinds are those of the API, by their plural.
var kinds = map[string]string{
	"accountingexports": "AccountingExport", "exportruns": "ExportRun", "chartsofaccounts": "ChartOfAccounts",
	"claimsources": "ClaimSource", "exportdestinations": "ExportDestination",
}

// mostLog bounds what is read of the log of one container, in bytes.
const mostLog = 64 << 20

// writer writes a bundle.
type writer struct {
	Request
	archive *tar.Writer
	missing []string // what could not be read, and why
}

// Write writes a bundle: a compressed tar archive. What the person may not read is named in it, and is no error.
func Write(ctx context.Context, out io.Writer, request Request) (missing []string, err error) {
	compressed := gzip.NewWriter(out)
	w := &writer{Request: request, archive: tar.NewWriter(compressed)}
	for _, part := range []func(context.Context) error{w.resources, w.elsewhere, w.events, w.logs, w.about} {
		if err := part(ctx); err != nil {
			return nil, err
		}
	}
	if err := w.archive.Close(); err != nil {
		return nil, err
	}
	return w.missing, compressed.Close()
}

// file writes one file.
func (w *writer) file(name string, content []byte) error {
	if err := w.archive.WriteHeader(&tar.Header{Name: path.Join("ledgerport-report", name), Mode: 0o600, Size: int64(len(content)), ModTime: w.Now}); err != nil {
		return err
	}
	_, err := w.archive.Write(content)
	return err
}

// yaml writes a resource, redacted.
func (w *writer) yaml(name string, content map[string]any) error {
	data, err := document.YAML(Object(content))
	if err != nil {
		w.lacks(name, err)
		return nil
	}
	return w.file(name, data)
}

func (w *writer) lacks(what string, err error) {
	w.missing = append(w.missing, fmt.Sprintf("%s: %s", what, Text(err.Error())))
}

// resources writes those of the namespace, and the tree of each export.
func (w *writer) resources(ctx context.Context) error {
	for plural, kind := range kinds {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind + "List"))
		if err := w.Cluster.List(ctx, list, client.InNamespace(w.Namespace)); err != nil {
			w.lacks(plural+" of "+w.Namespace, err)
			continue
		}
		for _, item := range list.Items {
			if err := w.yaml(path.Join(w.Namespace, plural, item.GetName()+".yaml"), item.Object); err != nil {
				return err
			}
			if kind == "AccountingExport" {
				if err := w.tree(ctx, client.ObjectKeyFromObject(&item)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// tree writes what the command status prints.
func (w *writer) tree(ctx context.Context, key types.NamespacedName) error {
	var text strings.Builder
	node, err := overview.Of(ctx, w.Cluster, key, 10)
	if err != nil {
		w.lacks("status of "+key.String(), err)
		return nil
	}
	for i := range node.Children {
		for j := range node.Children[i].Notes {
			if node.Children[i].Namespace != key.Namespace { // what its own namespace is told of tables and hosts
				node.Children[i].Notes[j].Message = redacted
			}
		}
	}
	err = node.Changed(func(note overview.Note) overview.Note {
		if note.Message != "" && (note.OfClaim || quoting[note.Reason]) {
			note.Message = redacted
		}
		return note
	}).Write(&text)
	if err != nil {
		return err
	}
	return w.file(path.Join(key.Namespace, "status", key.Name+".txt"), []byte(Text(text.String())))
}

// elsewhere writes how sources and destinations of other namespaces are that exports refer to. A tenant may name any.
func (w *writer) elsewhere(ctx context.Context) error {
	var exports v1alpha1.AccountingExportList
	if err := w.Cluster.List(ctx, &exports, client.InNamespace(w.Namespace)); err != nil {
		return nil //nolint:nilerr // resources has named it
	}
	written := map[string]bool{}
	for i := range exports.Items {
		for plural, key := range map[string]types.NamespacedName{
			"claimsources": references.SourceKey(&exports.Items[i]), "exportdestinations": references.DestinationKey(&exports.Items[i]),
		} {
			name := path.Join(key.Namespace, plural, key.Name+".yaml")
			if key.Namespace == w.Namespace || written[name] {
				continue
			}
			written[name] = true
			object := &unstructured.Unstructured{}
			object.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kinds[plural]))
			if err := w.Cluster.Get(ctx, key, object); err != nil {
				w.lacks(plural+" "+key.String(), err)
				continue
			}
			if err := w.yaml(name, seenFromElsewhere(object)); err != nil {
				return err
			}
		}
	}
	return nil
}

// seenFromElsewhere is what another namespace may be told of an object: that it exists, and of each condition how it is and since when.
func seenFromElsewhere(object *unstructured.Unstructured) map[string]any {
	metadata := map[string]any{"name": object.GetName(), "namespace": object.GetNamespace(), "generation": object.GetGeneration()}
	seen := []any{}
	conditions, _, _ := unstructured.NestedSlice(object.Object, "status", "conditions") // what is not a list says nothing
	for _, condition := range conditions {
		of, _ := condition.(map[string]any)
		told := map[string]any{}
		for _, field := range []string{"type", "status", "reason", "lastTransitionTime", "observedGeneration"} {
			if value, has := of[field]; has {
				told[field] = value
			}
		}
		seen = append(seen, told)
	}
	return map[string]any{"apiVersion": object.GetAPIVersion(), "kind": object.GetKind(), "metadata": metadata, "status": map[string]any{"conditions": seen}}
}

// events writes those about our resources.
func (w *writer) events(ctx context.Context) error {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(eventsv1.SchemeGroupVersion.WithKind("EventList"))
	if err := w.Cluster.List(ctx, list, client.InNamespace(w.Namespace)); err != nil {
		w.lacks("events of "+w.Namespace, err)
		return nil
	}
	var all bytes.Buffer
	for _, item := range list.Items {
		about, _, _ := unstructured.NestedString(item.Object, "regarding", "apiVersion")
		if !strings.HasPrefix(about, v1alpha1.GroupVersion.Group+"/") {
			continue
		}
		data, err := document.YAML(Object(item.Object))
		if err != nil {
			w.lacks("event "+item.GetName(), err)
			continue
		}
		all.WriteString("---\n")
		all.Write(data)
	}
	return w.file(path.Join(w.Namespace, "events.yaml"), all.Bytes())
}

// logs writes the lines of the operator's containers that are about the namespace, or about none.
func (w *writer) logs(ctx context.Context) error {
	var broken error // the archive
	unread, err := Logs(ctx, w.API, w.Operator, func(name string, log io.Reader) error {
		lines, err := w.lines(log)
		broken = errors.Join(broken, w.file(path.Join(w.Operator, name), lines))
		return err
	})
	if err != nil {
		w.lacks("pods of "+w.Operator, err)
	}
	for _, log := range unread {
		w.lacks("log of "+log.Pod, log.Err)
	}
	return broken
}

// Unread is a log that could not be read.
type Unread struct {
	Pod string
	Err error
}

// Logs reads the logs of the pods of an operator, of each container that of the one before its last restart first, and returns those that
// could not be read. The name that it passes on is of a file.
func Logs(ctx context.Context, api kubernetes.Interface, operator string, read func(name string, log io.Reader) error) (unread []Unread, err error) {
	pods, err := api.CoreV1().Pods(operator).List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=ledgerport"})
	if err != nil {
		return nil, err
	}
	for i := range pods.Items {
		pod := pods.Items[i].Name
		for _, previous := range []bool{true, false} {
			stream, err := api.CoreV1().Pods(operator).GetLogs(pod, &corev1.PodLogOptions{Previous: previous, LimitBytes: new(int64(mostLog))}).Stream(ctx)
			if err == nil {
				err = read(pod+map[bool]string{true: ".previous.log", false: ".log"}[previous], stream)
				_ = stream.Close() // it was only read
			} else if previous { // of most there is no former container
				continue
			}
			if err != nil {
				unread = append(unread, Unread{pod, err})
			}
		}
	}
	return unread, nil
}

// lines are those of a log that concern the namespace, or no namespace.
func (w *writer) lines(log io.Reader) ([]byte, error) {
	var kept bytes.Buffer
	scanner := bufio.NewScanner(log)
	scanner.Buffer(nil, 1<<20)
	of := `"namespace":"` + w.Namespace + `"`
	for scanner.Scan() {
		if line := scanner.Text(); strings.Contains(line, of) || !strings.Contains(line, `"namespace":"`) {
			kept.WriteString(logLine(line) + "\n")
		}
	}
	return kept.Bytes(), scanner.Err()
}

// about says what the bundle is of, and what it lacks.
func (w *writer) about(context.Context) error {
	var text strings.Builder
	fmt.Fprintf(&text, "namespace: %s\nmade: %s\nprogram: %s\n", w.Namespace, w.Now.UTC().Format(time.RFC3339), w.Program)
	server := "unknown"
	if version, err := w.API.Discovery().ServerVersion(); err == nil {
		server = version.GitVersion
	}
	fmt.Fprintf(&text, "API server: %s\n", cmp.Or(server, "unknown"))
	for _, what := range w.missing {
		fmt.Fprintf(&text, "not read: %s\n", what)
	}
	return w.file("about.txt", []byte(text.String()))
}
