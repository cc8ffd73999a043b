package door

import (
	"net/http"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	books "github.com/ledgerport/ledgerport/api/books/v1alpha1"
)

// documents say what is served here, by their paths. The API server reads them, and so does kubectl.
var documents = map[string]any{
	"/apis": &metav1.APIGroupList{
		TypeMeta: metav1.TypeMeta{Kind: "APIGroupList", APIVersion: "v1"}, Groups: []metav1.APIGroup{group},
	},
	"/apis/" + books.GroupVersion.Group: &group,
	"/apis/" + books.GroupVersion.String(): &metav1.APIResourceList{
		TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: books.GroupVersion.String(),
		APIResources: []metav1.APIResource{
			resource(books.ExportRuns, books.Files, "FileList"),
			resource(books.ExportRuns, books.Vouchers, "VoucherList"),
			resource(books.AccountingExports, books.HeldClaims, "HeldClaimList"),
			resource(books.AccountingExports, books.Claims, "ClaimStatusList"),
		},
	},
	"/openapi/v2": map[string]any{"swagger": "2.0", "info": openAPIInfo, "paths": map[string]any{}},
	"/openapi/v3": map[string]any{"paths": map[string]any{}},
}

var openAPIInfo = map[string]string{"title": "Ledgerport: files, vouchers and held claims", "version": books.GroupVersion.Version}

var group = metav1.APIGroup{
	TypeMeta: metav1.TypeMeta{Kind: "APIGroup", APIVersion: "v1"}, Name: books.GroupVersion.Group,
	Versions: []metav1.GroupVersionForDiscovery{version}, PreferredVersion: version,
}

var version = metav1.GroupVersionForDiscovery{GroupVersion: books.GroupVersion.String(), Version: books.GroupVersion.Version}

// resource describes a subresource. What it is of is not served here: kubectl must find that in the other group alone.
func resource(of, name, kind string) metav1.APIResource {
	return metav1.APIResource{Name: of + "/" + name, Namespaced: true, Kind: kind, Verbs: metav1.Verbs{"get"}}
}

// describe answers what is no question about a resource.
func describe(w http.ResponseWriter, path string) {
	if document, known := documents[path]; known {
		writeJSON(w, http.StatusOK, document)
		return
	}
	refused(http.StatusNotFound, metav1.StatusReasonNotFound, "nothing is served here").write(w)
}
