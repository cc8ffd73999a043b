package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/test/environment"
)

// staging is a second cluster whose resources are a clone of some of the first's: it exports from the same database, to the same
// bucket, and to a volume of its own, and asks for runs of names that the first cluster uses, too.
type staging struct {
	directory    string
	controlPlane *environment.ControlPlane
	api          client.Client
	tenants      []tenant
	operator     *operator
}

// startStaging clones the tenants with two exports of one book into a cluster of its own.
func (w *world) startStaging(ctx context.Context) (err error) {
	assets, err := environment.ControlPlaneAssets(ctx, os.Stderr)
	if err != nil {
		return err
	}
	s := &staging{directory: filepath.Join(w.directory, "staging")}
	w.staging = s
	for _, t := range w.tenants {
		if !slices.Contains(t.exports, payments) {
			s.tenants = append(s.tenants, t)
		}
	}
	if s.controlPlane, err = environment.StartControlPlane(ctx, assets, os.Stderr); err != nil {
		return err
	}
	if s.api, err = client.New(s.controlPlane.Config, client.Options{Scheme: w.api.Scheme()}); err != nil {
		return err
	}
	s.operator = &operator{name: "operator-staging", leads: true, memory: memoryLimit, start: func(name string) (started, error) {
		return startOperator(s.controlPlane, w.binary, s.directory, name, nil, append(w.flags(), "--metrics-bind-address=0")...)
	}}
	if err := errors.Join(os.MkdirAll(s.directory, 0o750), s.operator.begin()); err != nil {
		return err
	}
	database, err := w.databaseURL()
	if err != nil {
		return err
	}
	for _, t := range s.tenants {
		for _, object := range w.resources(t, database) {
			if err := s.api.Create(ctx, object); err != nil {
				return fmt.Errorf("cloning the resources of %s: %w", t.namespace, err)
			}
		}
	}
	return nil
}

func (s *staging) has(t tenant) bool {
	return slices.ContainsFunc(s.tenants, func(own tenant) bool { return own.namespace == t.namespace })
}

// cloneRun applies a run of the first cluster to the second one, under the same name.
func (w *world) cloneRun(ctx context.Context, t tenant, which int) error {
	var list v1alpha1.ExportRunList
	if err := w.api.List(ctx, &list, client.InNamespace(t.namespace)); err != nil || len(list.Items) == 0 {
		return err
	}
	run := &list.Items[which%len(list.Items)]
	return w.staging.api.Create(ctx, &v1alpha1.ExportRun{ObjectMeta: metav1.ObjectMeta{Namespace: run.Namespace, Name: run.Name}, Spec: run.Spec})
}

// stop ends the second cluster.
func (s *staging) stop() {
	if s.operator != nil {
		_ = s.operator.stop() // how it ends says nothing any more
	}
	if s.controlPlane != nil {
		s.controlPlane.Stop()
	}
}

// clusterID is what the records of a cluster's runs name it by: the UID of its namespace kube-system.
func clusterID(ctx context.Context, api client.Client) (string, error) {
	var system corev1.Namespace
	err := api.Get(ctx, types.NamespacedName{Name: "kube-system"}, &system)
	return string(system.UID), err
}
