package command

import (
	"errors"
	"net/http"
	"net/http/pprof" // and nothing serves the mux that it registers itself with
)

// profilePath is below what profiles of this process are served: a role names it.
const profilePath = "/debug/pprof/"

// profileHandlers are what the server of metrics has besides, behind the same authentication. The command line is left out: who may
// read the pod reads it there.
func (o *managerOptions) profileHandlers() map[string]http.Handler {
	if !o.profiling {
		return map[string]http.Handler{}
	}
	return map[string]http.Handler{
		profilePath:             http.HandlerFunc(pprof.Index),
		profilePath + "profile": http.HandlerFunc(pprof.Profile),
		profilePath + "trace":   http.HandlerFunc(pprof.Trace),
	}
}

// checkProfiling refuses to serve profiles to everyone, or nowhere.
func (o *managerOptions) checkProfiling() error {
	switch {
	case !o.profiling:
		return nil
	case o.metricsAddress == noAddress || o.metricsAddress == "":
		return errors.New("--profiling needs --metrics-bind-address, such as :8443: profiles are served there")
	case !o.metricsAuthentication:
		return errors.New("--profiling needs --metrics-authentication: profiles are served to readers that the API server knows, and to no others")
	}
	return nil
}
