package pipeline

import (
	"math"
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

// TestTheLongestKeyFits: elements into what file systems take, with what a destination puts around a name while it is written, and
// all of it into what S3 takes, behind the longest prefix.
func TestTheLongestKeyFits(t *testing.T) {
	t.Parallel()
	const longestRun, longestFile, longestPrefix, around = 128, 200, 512, 28 // by the schemas of the kinds, and a dot before, and a dot and 26 characters behind
	task := Task{
		Namespace: strings.Repeat("n", 63), Export: strings.Repeat("e", 52), Name: strings.Repeat("r", longestRun), Type: v1alpha1.RunPreview,
		RunID: "11111111-0000-4000-8000-000000000001", Number: math.MaxInt32,
	}
	for _, file := range []string{strings.Repeat("f", longestFile), "EXTF_" + task.Name + "_2026_100.csv"} {
		key := task.directory() + "/" + file
		if len(key) > 1024-longestPrefix-1 {
			t.Errorf("a key has %d bytes", len(key))
		}
		for element := range strings.SplitSeq(key, "/") {
			if len(element)+around > 255 {
				t.Errorf("an element of a key has %d bytes", len(element))
			}
		}
	}
}
