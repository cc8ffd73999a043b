package server

import (
	"context"
	"errors"
	"net/http"

	"k8s.io/client-go/rest"

	"github.com/ledgerport/ledgerport/internal/console/burden"
	"github.com/ledgerport/ledgerport/internal/console/identity"
	"github.com/ledgerport/ledgerport/internal/nesting"
)

// credential is how a caller is known to the API server: by a token of its own, or else by name and groups that this server vouches for.
type credential struct {
	token string
	as    rest.ImpersonationConfig
}

type credentialKey struct{}

// clusters implements identity.Clusters.
type clusters struct {
	// anonymous says where the API server is; vouching also has the login that may impersonate.
	anonymous, vouching *rest.Config
}

func newClusters(config *rest.Config) (*clusters, error) {
	if config == nil {
		return nil, errors.New("it is not known where the API server is")
	}
	vouching := rest.CopyConfig(config)
	vouching.QPS, vouching.UserAgent = -1, "ledgerport-console" // callers are limited one by one
	vouching.Wrap(nesting.Limit)
	vouching.Wrap(burden.Answers)
	vouching.WarningHandler = rest.NoWarnings{} // they would be of callers
	anonymous := rest.AnonymousClientConfig(vouching)
	anonymous.WrapTransport, anonymous.WarningHandler = vouching.WrapTransport, vouching.WarningHandler
	return &clusters{anonymous: anonymous, vouching: vouching}, nil
}

// as returns a configuration of a credential.
func (c *clusters) as(of credential) *rest.Config {
	if of.token != "" {
		config := rest.CopyConfig(c.anonymous)
		config.BearerToken = of.token
		return config
	}
	config := rest.CopyConfig(c.vouching)
	config.Impersonate = of.as
	return config
}

// As implements identity.Clusters. Without a caller there is no configuration, so that nothing is ever done with the login of this server.
func (s *Server) As(ctx context.Context) (*rest.Config, error) {
	of, known := ctx.Value(credentialKey{}).(credential)
	if !known || of.token == "" && of.as.UserName == "" {
		return nil, errors.New("the request has no caller")
	}
	return s.clusters.as(of), nil
}

// with returns a request of a caller.
func with(r *http.Request, caller identity.Caller, of credential) *http.Request {
	return r.WithContext(context.WithValue(identity.With(r.Context(), caller), credentialKey{}, of))
}
