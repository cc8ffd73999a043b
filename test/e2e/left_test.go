//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

// nothingIsLeft waits until no object of any kind is the operator's: by its name, its label or its group.
func (c *cluster) nothingIsLeft() {
	c.Helper()
	config := rest.CopyConfig(c.config)
	config.WarningHandler = rest.NoWarnings{} // of kinds that are deprecated
	objects, err := metadata.NewForConfig(config)
	c.must(err)
	looked := 0
	c.until(time.Minute, func(ctx context.Context) string {
		_, lists, err := c.pods.Discovery().ServerGroupsAndResources()
		if err != nil { // also while an API is registered that nobody serves
			return err.Error()
		}
		looked = 0
		for _, list := range lists {
			version, err := schema.ParseGroupVersion(list.GroupVersion)
			c.must(err)
			for _, kind := range list.APIResources {
				if kind.Name == "events" || !slices.Contains(kind.Verbs, "list") {
					continue
				}
				found, err := objects.Resource(version.WithResource(kind.Name)).List(ctx, metav1.ListOptions{})
				if err != nil {
					return fmt.Sprintf("%s of %s: %s", kind.Name, version, err)
				}
				for i := range found.Items {
					looked++
					if object := &found.Items[i]; ours(version, object) {
						return fmt.Sprintf("%s %s/%s is left", kind.Kind, object.Namespace, object.Name)
					}
				}
			}
		}
		return ""
	})
	if looked < 100 {
		c.Errorf("only %d objects were looked at", looked)
	}
}

func ours(version schema.GroupVersion, object *metav1.PartialObjectMetadata) bool {
	return strings.HasSuffix(version.Group, v1alpha1.GroupVersion.Group) || strings.Contains(object.Name, "ledgerport") || object.Labels["app.kubernetes.io/name"] == "ledgerport"
}
