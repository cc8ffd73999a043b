package controller_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	lua "github.com/yuin/gopher-lua"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

// verdicts are what GitOps tools say of every state that the resources of a namespace go through.
type verdicts struct {
	scripts map[string]string // of Argo CD, by kind

	mu   sync.Mutex
	seen map[string]bool // "kind verdict-of-kstatus verdict-of-argocd"
	bad  []string
}

var ourKinds = []string{"AccountingExport", "ChartOfAccounts", "ClaimSource", "ExportDestination", "ExportRun"}

// watchVerdicts follows the resources of the test's namespace from before they are created.
func (w *world) watchVerdicts() *verdicts {
	w.Helper()
	v := &verdicts{scripts: shippedScripts(w.T), seen: map[string]bool{}}
	watching, err := client.NewWithWatch(api.config, client.Options{Scheme: newScheme()})
	w.must(err)
	for _, kind := range ourKinds {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind + "List"))
		stream, err := watching.Watch(w.Context(), list, client.InNamespace(w.namespace))
		w.must(err)
		w.Cleanup(stream.Stop)
		go func() {
			for event := range stream.ResultChan() {
				if object, is := event.Object.(*unstructured.Unstructured); is && event.Type != "DELETED" {
					v.judge(object)
				}
			}
		}()
	}
	return v
}

// shippedScripts are those that config/argocd gives to Argo CD, by kind.
func shippedScripts(t *testing.T) map[string]string {
	t.Helper()
	content, err := os.ReadFile("../../config/argocd/kustomization.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var kustomization struct {
		ConfigMapGenerator []struct{ Files []string }
	}
	if err := yaml.Unmarshal(content, &kustomization); err != nil {
		t.Fatal(err)
	}
	scripts := map[string]string{}
	for _, file := range kustomization.ConfigMapGenerator[0].Files {
		key, path, _ := strings.Cut(file, "=")
		script, err := os.ReadFile(filepath.Join("../../config/argocd", path))
		if err != nil {
			t.Fatal(err)
		}
		scripts[strings.TrimPrefix(key, "resource.customizations.health."+v1alpha1.GroupVersion.Group+"_")] = string(script)
	}
	return scripts
}

func (v *verdicts) judge(object *unstructured.Unstructured) {
	v.mu.Lock()
	defer v.mu.Unlock()
	ready := false
	_, found, _ := unstructured.NestedSlice(object.Object, "status", "conditions") // it is as the API server gave it
	if found {
		typed := &v1alpha1.ChartOfAccounts{} // the status of all kinds begins alike
		content, _ := yaml.Marshal(map[string]any{"status": map[string]any{"conditions": object.Object["status"].(map[string]any)["conditions"]}})
		_ = yaml.Unmarshal(content, typed)
		for _, condition := range typed.Status.Conditions {
			ready = ready || condition.Type == v1alpha1.ConditionReady && condition.Status == metav1.ConditionTrue && condition.ObservedGeneration == object.GetGeneration()
		}
	}
	computed, err := status.Compute(object)
	if err != nil {
		v.bad = append(v.bad, err.Error())
		return
	}
	health, err := argoHealth(v.scripts[object.GetKind()], object)
	if err != nil {
		v.bad = append(v.bad, err.Error())
		return
	}
	v.seen[object.GetKind()+" "+computed.Status.String()+" "+health] = true
	current, healthy := computed.Status == status.CurrentStatus, health == "Healthy" || health == "Suspended"
	if current != healthy || current && !ready {
		v.bad = append(v.bad, fmt.Sprintf("%s %s is %s (%s) and %s, and ready is %t: %v", object.GetKind(), object.GetName(), computed.Status, computed.Message, health, ready, object.Object["status"]))
	}
}

// argoHealth runs a script as Argo CD does: with few libraries, and the object as obj.
func argoHealth(script string, object *unstructured.Unstructured) (string, error) {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for name, open := range map[string]lua.LGFunction{lua.LoadLibName: lua.OpenPackage, lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable} {
		if err := state.CallByParam(lua.P{Fn: state.NewFunction(open), Protect: true}, lua.LString(name)); err != nil {
			return "", err
		}
	}
	state.SetGlobal("obj", luaValue(state, object.Object))
	if err := state.DoString(script); err != nil {
		return "", err
	}
	answer, is := state.Get(-1).(*lua.LTable)
	if !is || answer.RawGetString("message").Type() != lua.LTString {
		return "", fmt.Errorf("the script for %s returns no status with a message", object.GetKind())
	}
	return answer.RawGetString("status").String(), nil
}

func luaValue(state *lua.LState, value any) lua.LValue {
	switch v := value.(type) {
	case map[string]any:
		table := state.NewTable()
		for key, item := range v {
			table.RawSetString(key, luaValue(state, item))
		}
		return table
	case []any:
		table := state.NewTable()
		for _, item := range v {
			table.Append(luaValue(state, item))
		}
		return table
	case string:
		return lua.LString(v)
	case bool:
		return lua.LBool(v)
	case int64:
		return lua.LNumber(v)
	case float64:
		return lua.LNumber(v)
	}
	return lua.LNil
}

// saw waits until a kind was seen in a state.
func (v *verdicts) saw(w *world, kind, kstatus, argo string) {
	w.Helper()
	state := kind + " " + kstatus + " " + argo
	w.until(func(_ context.Context) string {
		v.mu.Lock()
		defer v.mu.Unlock()
		if v.seen[state] {
			return ""
		}
		return fmt.Sprintf("no %s was %s for kstatus and %s for Argo CD; seen are %v", kind, kstatus, argo, v.seen)
	})
}

// TestGitOpsToolsAreToldTheTruth follows the resources from their creation to their end: in no state does kstatus, which Flux
// and kubectl plugins use, or the health check for Argo CD take for ready what is not.
func TestGitOpsToolsAreToldTheTruth(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill(2)
	said := w.watchVerdicts()
	chart, destination, source, export := w.chart(), w.destination(), w.source(), w.export()
	source.Annotations, export.Annotations = map[string]string{}, map[string]string{}
	all := []client.Object{chart, destination, source, export}
	for _, object := range all {
		object.SetFinalizers([]string{"example.com/seen"}) // it is seen while it is being deleted
	}
	w.create(all...)
	for _, kind := range ourKinds[:4] {
		said.saw(w, kind, "InProgress", "Progressing") // source and export wait for a Secret
	}
	w.create(w.secret())
	for _, kind := range ourKinds[:4] {
		said.saw(w, kind, "Current", "Healthy")
	}
	run := w.run("once")
	run.Finalizers = []string{"example.com/seen"}
	w.create(run)
	said.saw(w, "ExportRun", "InProgress", "Progressing")
	said.saw(w, "ExportRun", "Current", "Healthy")

	w.merge(chart, `{"spec":{"rules":[{"account":"9999","taxCode":"9"}]}}`)
	said.saw(w, "ChartOfAccounts", "Failed", "Degraded")
	w.merge(export, `{"spec":{"schedule":"never"}}`)
	said.saw(w, "AccountingExport", "Failed", "Degraded")
	w.merge(export, `{"spec":{"schedule":"","suspend":true}}`)
	w.merge(chart, `{"spec":{"rules":[{"account":"4000","taxCode":"9"}]}}`)
	said.saw(w, "AccountingExport", "Current", "Suspended")

	for _, object := range append(all, run) {
		w.must(api.client.Delete(t.Context(), object))
	}
	for _, kind := range ourKinds {
		said.saw(w, kind, "Terminating", "Progressing")
	}
	for _, object := range append(all, run) {
		w.merge(object, `{"metadata":{"finalizers":null}}`)
	}
	for _, problem := range said.bad {
		t.Error(problem)
	}
}
