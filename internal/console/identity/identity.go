// Package identity is on whose behalf a request is answered. The server finds it out and puts it into the context; whatever answers the
// request reaches the cluster as that caller, and in no other way.
package identity

import (
	"context"
	"strings"

	"k8s.io/client-go/rest"
)

// Caller is a person or a program that the API server knows.
type Caller struct {
	// Name and Groups as Kubernetes has them, with their prefixes.
	Name   string
	Groups []string
	// Session is true if a browser has logged in, and false if the request brought a token of its own.
	Session bool
}

type key struct{}

// With returns a context of requests of a caller.
func With(ctx context.Context, caller Caller) context.Context {
	return context.WithValue(ctx, key{}, caller)
}

// From returns the caller of a request; false if nobody has logged in.
func From(ctx context.Context) (Caller, bool) {
	caller, known := ctx.Value(key{}).(Caller)
	return caller, known
}

// Clusters reaches the API server.
type Clusters interface {
	// As returns a configuration that acts as the caller of a context: with the caller's own token, or by impersonation. It has no limit
	// of requests of its own, and shares its connections with all others. It fails if the context has no caller.
	As(ctx context.Context) (*rest.Config, error)
}

// Share is under which name what a caller does is counted: that of a person, or of the namespace of a service account, of which somebody who
// may make one may make many.
func (c Caller) Share() string {
	of, is := strings.CutPrefix(c.Name, serviceAccount)
	if !is {
		return c.Name
	}
	namespace, _, _ := strings.Cut(of, ":")
	return serviceAccount + namespace
}

// serviceAccount is how Kubernetes names one, before its namespace and its own name.
const serviceAccount = "system:serviceaccount:"
