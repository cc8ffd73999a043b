//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

// TestUpgradeFromTheReleaseBefore deploys an older release, and does what docs/upgrading.md says: an upgrade with a run under way, the operator alone
// back to the release before, and another upgrade.
func TestUpgradeFromTheReleaseBefore(t *testing.T) {
	if os.Getenv("E2E_BEFORE") == "" && os.Getenv("CI") == "" {
		t.Skip("E2E_BEFORE is not set: call `make e2e` with BEFORE=directory and BEFORE_IMAGE=name of a release before")
	}
	c := connect(t)
	c.beginsAlone()
	before, imageBefore, image := required(c, "E2E_BEFORE"), required(c, "E2E_BEFORE_IMAGE"), required(c, "E2E_IMAGE")
	postgres, store := c.startServers()
	t.Cleanup(func() { c.tidy() })
	var older int64
	c.step("the release before exports", func(c *cluster) {
		c.deploy(before, imageBefore)
		c.applyPlain()
		c.exportSaysWithin(time.Minute, metav1.ConditionTrue, v1alpha1.ReasonReady)
		c.checkManifest(store, c.run("first"), claims)
		older = c.schemaVersion(postgres)
	})
	c.step("an upgrade takes over a run that is under way", func(c *cluster) {
		c.meanwhile(postgres, store, "upgraded", 2, func() { c.deploy("../..", image) })
		c.exportSaysWithin(time.Minute, metav1.ConditionTrue, v1alpha1.ReasonReady)
		c.Logf("the schema had version %d, and has %d", older, c.schemaVersion(postgres))
	})
	c.step("the release before loses nothing of what a newer one has recorded", func(c *cluster) {
		c.fill(postgres, meanwhileClaims, 3)
		unlock := c.begin(postgres, "taken-back")
		defer unlock()
		c.kubectl("set", "image", "--namespace="+operatorNamespace, "deployment/ledgerport-manager", "manager="+imageBefore)
		c.available(operatorNamespace, "ledgerport-manager")
		unlock()
		if c.schemaVersion(postgres) == older {
			c.checkManifest(store, c.succeeds(c.runNamed("taken-back")), meanwhileClaims)
			return
		}
		took := c.until(time.Minute, func(ctx context.Context) string {
			var source v1alpha1.ClaimSource
			if missing := c.get(ctx, &source, tenant, "claims"); missing != "" {
				return missing
			}
			return differs(source.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonSchemaTooNew)
		})
		c.Logf("that it knows an older schema is told after %s", took.Round(time.Millisecond))
	})
	c.step("another upgrade goes on", func(c *cluster) {
		c.deploy("../..", image, "FORCE=1") // the image is that of kubectl set
		c.exportSaysWithin(time.Minute, metav1.ConditionTrue, v1alpha1.ReasonReady)
		c.checkManifest(store, c.succeeds(c.runNamed("taken-back")), meanwhileClaims)
	})
	c.step("every claim was exported once", func(c *cluster) { c.checkExported(postgres, claims+2*meanwhileClaims) })
	c.step("it goes without a trace", func(c *cluster) {
		c.make("undeploy")
		c.must(c.client.Delete(c.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: tenant}}))
		c.gone(&corev1.Namespace{}, "", tenant)
		c.nothingIsLeft()
	})
}

// deploy applies config/default of a directory with the sources of a release, with the flags for servers without TLS.
func (c *cluster) deploy(sources, image string, more ...string) {
	c.Helper()
	directory := c.TempDir()
	absolute, err := filepath.Abs(sources)
	c.must(err)
	resource, err := filepath.Rel(directory, filepath.Join(absolute, "config/default"))
	c.must(err)
	var add []map[string]string
	for _, flag := range withoutTLS {
		add = append(add, map[string]string{"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": flag})
	}
	patch, err := json.Marshal(add)
	c.must(err)
	content, err := json.Marshal(map[string]any{
		"resources": []string{resource}, "patches": []any{map[string]any{"target": map[string]string{"kind": "Deployment"}, "patch": string(patch)}},
	})
	c.must(err)
	c.must(os.WriteFile(filepath.Join(directory, "kustomization.yaml"), content, 0o600))
	c.make(append([]string{"deploy", "CONFIG=" + directory, "IMAGE=" + image}, more...)...)
	c.available(operatorNamespace, "ledgerport-manager")
	for _, pod := range c.operatorPods() {
		if have := pod.Spec.Containers[0].Image; pod.DeletionTimestamp == nil && strings.TrimPrefix(have, "docker.io/") != image {
			c.Errorf("pod %s has the image %s", pod.Name, have)
		}
	}
}

// schemaVersion is that of the schema in the database.
func (c *cluster) schemaVersion(postgres string) (version int64) {
	c.Helper()
	c.sql(postgres, func(ctx context.Context, conn *pgx.Conn) error {
		return conn.QueryRow(ctx, `select max(version_id) from ledgerport.schema_version`).Scan(&version)
	})
	return version
}
