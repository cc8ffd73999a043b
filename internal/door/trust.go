package door

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/authenticatorfactory"
	"k8s.io/apiserver/pkg/authentication/request/headerrequest"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// Where a cluster says how its API server is known to those that serve a part of its API.
const (
	trustName = "extension-apiserver-authentication"
	clientCA  = "requestheader-client-ca-file"
)

// rightsKnownFor is how long an answer of the API server about somebody's rights is gone by.
const rightsKnownFor = 10 * time.Second

// trust is who is believed, and whom the API server lets do what.
type trust struct {
	ca            *dynamiccertificates.ConfigMapCAController
	headers       *headerrequest.RequestHeaderAuthRequestController
	authenticator authenticator.Request
	authorizer    authorizer.Authorizer
	requests      request.RequestInfoFactory
}

// newTrust reads how the API server is known.
func newTrust(ctx context.Context, config *rest.Config) (*trust, error) {
	api, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	t := &trust{requests: request.RequestInfoFactory{APIPrefixes: sets.NewString("apis"), GrouplessAPIPrefixes: sets.NewString()}}
	if t.ca, err = dynamiccertificates.NewDynamicCAFromConfigMapController("client-ca", metav1.NamespaceSystem, trustName, clientCA, api); err != nil {
		return nil, err
	}
	t.headers = headerrequest.NewRequestHeaderAuthRequestController(trustName, metav1.NamespaceSystem, api,
		"requestheader-username-headers", "requestheader-uid-headers", "requestheader-group-headers", "requestheader-extra-headers-prefix", "requestheader-allowed-names")
	if err := errors.Join(t.ca.RunOnce(ctx), t.headers.RunOnce(ctx)); err != nil {
		return nil, fmt.Errorf("reading how the API server is known (ConfigMap %s/%s): %w", metav1.NamespaceSystem, trustName, err)
	}
	// Nobody else is believed: no token is looked at, and no certificate of a client but the API server's.
	t.authenticator, _, err = authenticatorfactory.DelegatingAuthenticatorConfig{RequestHeaderConfig: &authenticatorfactory.RequestHeaderConfig{
		CAContentProvider:   t.ca,
		UsernameHeaders:     headerrequest.StringSliceProviderFunc(t.headers.UsernameHeaders),
		UIDHeaders:          headerrequest.StringSliceProviderFunc(t.headers.UIDHeaders),
		GroupHeaders:        headerrequest.StringSliceProviderFunc(t.headers.GroupHeaders),
		ExtraHeaderPrefixes: headerrequest.StringSliceProviderFunc(t.headers.ExtraHeaderPrefixes),
		AllowedClientNames:  headerrequest.StringSliceProviderFunc(t.headers.AllowedClientNames),
	}}.New()
	if err != nil {
		return nil, err
	}
	t.authorizer, err = authorizerfactory.DelegatingAuthorizerConfig{
		SubjectAccessReviewClient: api.AuthorizationV1(), AllowCacheTTL: rightsKnownFor, DenyCacheTTL: rightsKnownFor,
		WebhookRetryBackoff: &wait.Backoff{Duration: 200 * time.Millisecond, Factor: 1.5, Jitter: 0.2, Steps: 3},
	}.New()
	return t, err
}

// run follows what the cluster says.
func (t *trust) run(ctx context.Context) error {
	go t.headers.Run(ctx, 1)
	t.ca.Run(ctx, 1)
	return nil
}

// tls lets nobody in who is not known to be the API server. HTTP/2 would gain nothing, and let one connection ask for much at once.
func (t *trust) tls(certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, GetCertificate: certificate, NextProtos: []string{"http/1.1"}, SessionTicketsDisabled: true,
		ClientAuth: tls.RequireAnyClientCert, VerifyConnection: (&guard{trusted: t.ca.VerifyOptions}).verify,
	}
}

// longestChain of certificates that a client may send: its own, and those between it and the authority.
const longestChain = 4

// guard looks at certificates of anybody. To verify a chain costs a signature for each way through it, by keys that the client has chosen, and it has
// proven nothing by then: long ones are refused unseen, and one is verified after the other, from the authority down, so that nothing is computed with
// a key that the authority does not vouch for.
type guard struct {
	trusted   func() (x509.VerifyOptions, bool)
	verifying sync.Mutex
}

func (g *guard) verify(state tls.ConnectionState) error {
	options, known := g.trusted()
	switch {
	case !known:
		return errors.New("it is not known who the API server is")
	case len(state.PeerCertificates) == 0 || len(state.PeerCertificates) > longestChain:
		return errors.New("no certificate, or more than an API server has")
	}
	options.Intermediates = x509.NewCertPool()
	g.verifying.Lock()
	defer g.verifying.Unlock()
	for _, between := range slices.Backward(state.PeerCertificates[1:]) { // a client sends its own first
		if _, err := between.Verify(options); err == nil {
			options.Intermediates.AddCert(between)
		}
	}
	_, err := state.PeerCertificates[0].Verify(options)
	return err
}

// identify returns on whose behalf the API server asks, or nil.
func (t *trust) identify(r *http.Request) user.Info {
	answer, known, err := t.authenticator.AuthenticateRequest(r)
	if err != nil || !known {
		return nil
	}
	return answer.User
}

// admits asks the API server whether somebody may do what a request asks for.
func (t *trust) admits(ctx context.Context, who user.Info, asked *request.RequestInfo) (bool, error) {
	decision, _, err := t.authorizer.Authorize(ctx, authorizer.AttributesRecord{
		User: who, Verb: asked.Verb, Namespace: asked.Namespace, Name: asked.Name, Path: asked.Path,
		APIGroup: asked.APIGroup, APIVersion: asked.APIVersion, Resource: asked.Resource, Subresource: asked.Subresource, ResourceRequest: true,
	})
	return decision == authorizer.DecisionAllow, err
}
