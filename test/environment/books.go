package environment

import (
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"slices"
	"strconv"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// booksManifests are those of config/books that config/default has not, and that an API server without cert-manager takes.
var booksManifests = []string{
	"Namespace/ledgerport-system", "RoleBinding/ledgerport-books-authentication", "ClusterRole/ledgerport-finance",
	"ValidatingAdmissionPolicy/ledgerport-reversal", "ValidatingAdmissionPolicyBinding/ledgerport-reversal",
	"ValidatingAdmissionPolicy/ledgerport-mark", "ValidatingAdmissionPolicyBinding/ledgerport-mark",
	"Service/ledgerport-books", "APIService/v1alpha1.books.accounting.ledgerport.dev",
}

// PassBooks applies config/books to an API server, so that it passes requests on to an operator that listens at an address of this machine, and
// writes the certificate for that into a directory. One operator at a time can have it.
func PassBooks(ctx context.Context, admin *rest.Config, address, certificates string) error {
	authority, err := NewAuthority("serving")
	if err != nil {
		return err
	}
	if err := authority.WriteServing(certificates, "ledgerport-books.ledgerport-system.svc"); err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	number, err := strconv.ParseInt(port, 10, 32)
	if err != nil {
		return err
	}
	cluster, err := client.New(admin, client.Options{})
	if err != nil {
		return err
	}
	manifests, err := Render(ctx, "config/books")
	if err != nil {
		return err
	}
	applied := 0
	for _, object := range manifests {
		if !slices.Contains(booksManifests, object.GetKind()+"/"+object.GetName()) {
			continue
		}
		applied++
		switch object.GetKind() {
		case "APIService":
			err = unstructured.SetNestedField(object.Object, base64.StdEncoding.EncodeToString(authority.PEM), "spec", "caBundle")
			if err == nil {
				err = unstructured.SetNestedField(object.Object, number, "spec", "service", "port")
			}
		case "Service": // there is no network of pods
			err = unstructured.SetNestedMap(object.Object, map[string]any{"type": "ExternalName", "externalName": "localhost"}, "spec")
		}
		if err == nil {
			err = cluster.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("test"), client.ForceOwnership)
		}
		if err != nil {
			return fmt.Errorf("%s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
	if applied != len(booksManifests) {
		return fmt.Errorf("config/books has %d of %q", applied, booksManifests)
	}
	return nil
}
