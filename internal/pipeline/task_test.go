package pipeline

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

// TestNoNamespaceCanWriteWherePreviewsAre: the first element of a key is the run's namespace, or the directory of previews.
func TestNoNamespaceCanWriteWherePreviewsAre(t *testing.T) {
	t.Parallel()
	task := Task{Namespace: "preview", Export: "acme", Name: "monthly", Type: v1alpha1.RunPreview}
	directory, _, _ := strings.Cut(task.directory(), "/")
	if len(validation.IsDNS1123Label(directory)) == 0 {
		t.Errorf("previews are below %s/, and a namespace may have that name", directory)
	}
	task.Type = v1alpha1.RunExport
	if key := task.directory(); key != "preview/acme/monthly" {
		t.Errorf("the run of a namespace called preview is at %s", key)
	}
}
