package pipeline_test

import (
	"context"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failpoint"
	"github.com/ledgerport/ledgerport/internal/pipeline"
)

// TestANewerOperatorResumesARunWithTheBytesOfTheOneThatBeganIt has a format that names the version of the program.
func TestANewerOperatorResumesARunWithTheBytesOfTheOneThatBeganIt(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	older, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	_, err := s.operator("v1.0", func(point failpoint.Point) {
		if point == failpoint.Record.After() {
			interrupt()
		}
	}).Run(older, task(1), &pipeline.Progress{})
	if err == nil || s.state(task(1).RunID) != "rendered" || len(s.files()) > 0 {
		t.Fatalf("the first attempt was to end after it recorded its artifact: %v, %s, %v", err, s.state(task(1).RunID), s.files())
	}
	outcome, err := s.operator("v2.0", nil).Run(t.Context(), task(2), &pipeline.Progress{})
	if err != nil || !outcome.Committed {
		t.Fatalf("a newer operator ended it with %+v (%v)", outcome, err)
	}
	named := false
	for name, file := range s.files() {
		named = named || strings.Contains(file.content, "v1.0")
		if strings.Contains(file.content, "v2.0") {
			t.Errorf("%s names the version that resumed the run", name)
		}
	}
	if !named {
		t.Error("no file names the version that began the run")
	}
}

// operator is one of a version, for an export in a format that names it.
func (s *stage) operator(version string, hook failpoint.Hook) *pipeline.Pipeline {
	s.Helper()
	objects := resources(s.database).(client.Client)
	var export v1alpha1.AccountingExport
	s.must(objects.Get(s.Context(), types.NamespacedName{Namespace: "acme", Name: "monthly"}, &export))
	export.Spec.Exporter.Type = "hledger"
	s.must(objects.Update(s.Context(), &export))
	p := newPipeline(s.database, s.exports, version, hook)
	p.ProgramVersion, p.Resolver.Objects, p.Resolver.Secrets.API = version, objects, objects
	return p
}
