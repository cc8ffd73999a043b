// Package api is the API for applications: it asks for runs, follows them, and passes on files and held claims. Everything is done as the
// caller of the request, and decided by the API server. api/openapi.json describes it.
package api

import (
	"crypto/sha256"
	_ "embed"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/books"
	"github.com/ledgerport/ledgerport/internal/console/burden"
	"github.com/ledgerport/ledgerport/internal/console/identity"
	"github.com/ledgerport/ledgerport/internal/console/problem"
)

// DocumentPath is where the description of the API is.
const DocumentPath = "/api/v1/openapi.json"

//go:embed openapi.json
var document []byte

// Limits bound what is done at the same time.
type Limits struct {
	// Waiting are requests that wait for a run to change, and those of one caller.
	Waiting, WaitingOfOne int
	// Watches that tell them, one for each login and namespace, and those of one caller. Each has every change of its namespace sent and decoded, and
	// somebody who may make tokens makes as many logins as they like.
	Watches, WatchesOfOne int
	// Transfers of files, and those of one caller.
	Transfers, TransfersOfOne int
	// LongestWait is how long a request may wait, and LongestStream how long it may be told of changes.
	LongestWait, LongestStream time.Duration
	// Alive is how often a stream without changes says that it is one.
	Alive time.Duration
}

// DefaultLimits are those of a server with a quarter of a gigabyte.
var DefaultLimits = Limits{
	Waiting: 2000, WaitingOfOne: 1000, Watches: 1000, WatchesOfOne: 100, Transfers: 64, TransfersOfOne: 8,
	LongestWait: time.Minute, LongestStream: 10 * time.Minute, Alive: 15 * time.Second,
}

// Options of the API.
type Options struct {
	Clusters identity.Clusters
	// Limits; the zero value has defaults.
	Limits Limits
}

// api answers requests of callers that are known.
type api struct {
	Options
	scheme             *runtime.Scheme
	mapper             meta.RESTMapper
	waiting, transfers *places
	watches            *watches
}

// Handler answers below /api/v1/.
func Handler(options Options) (http.Handler, error) {
	if options.Limits == (Limits{}) {
		options.Limits = DefaultLimits
	}
	limits := options.Limits
	a := &api{
		Options: options, scheme: runtime.NewScheme(), mapper: mapper(),
		waiting: newPlaces(limits.Waiting, limits.WaitingOfOne), transfers: newPlaces(limits.Transfers, limits.TransfersOfOne),
	}
	a.watches = newWatches(newPlaces(limits.Watches, limits.WatchesOfOne))
	if err := v1alpha1.AddToScheme(a.scheme); err != nil {
		return nil, err
	}
	const export = "/api/v1/namespaces/{namespace}/exports/{export}"
	mux := http.NewServeMux()
	for pattern, answer := range map[string]func(http.ResponseWriter, *asked) error{
		"POST " + export + "/runs":                   a.request,
		"GET " + export + "/runs/{run}":              a.follow,
		"PUT " + export + "/runs/{run}/imported":     a.markImported,
		"DELETE " + export + "/runs/{run}/imported":  a.takeImportBack,
		"GET " + export + "/runs/{run}/files":        a.files,
		"GET " + export + "/runs/{run}/files/{file}": a.download,
		"GET " + export + "/held":                    a.held,
		"GET " + export + "/claims/{claim}":          a.claim,
	} {
		mux.HandleFunc(pattern, a.answering(answer))
	}
	return known{mux}, nil
}

// known answers as a program expects it what no pattern is for.
type known struct{ *http.ServeMux }

// ServeHTTP implements http.Handler.
func (k known) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, pattern := k.Handler(r); pattern != "" {
		k.ServeMux.ServeHTTP(w, r)
		return
	}
	var answered []string
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
		other := r.Clone(r.Context())
		other.Method = method
		if _, pattern := k.Handler(other); pattern != "" {
			answered = append(answered, method)
		}
	}
	if len(answered) > 0 {
		w.Header().Set("Allow", strings.Join(answered, ", "))
		problem.New(http.StatusMethodNotAllowed, problem.MethodNotAllowed, "only %s is answered here", strings.Join(answered, " and ")).Write(w)
		return
	}
	problem.New(http.StatusNotFound, problem.NotFound, "nothing is served here; /api/v1/openapi.json says what is").Write(w)
}

// Document serves the description of the API, to everybody.
func Document() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(document) // a client that is gone needs none
	})
}

// asked is a question of a caller.
type asked struct {
	*http.Request
	caller  identity.Caller
	cluster client.WithWatch
	books   *books.Client
	login   [sha256.Size]byte
}

// export and run are what the question is about.
func (r *asked) export() types.NamespacedName {
	return types.NamespacedName{Namespace: r.PathValue("namespace"), Name: r.PathValue("export")}
}

func (r *asked) run() types.NamespacedName {
	return types.NamespacedName{Namespace: r.PathValue("namespace"), Name: r.PathValue("run")}
}

// label and name are what namespaces and resources are called.
var (
	label = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	name  = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)
)

// longestResourceName is that of Kubernetes.
const longestResourceName = 253

// answering lets a question be answered whose names are such.
func (a *api) answering(answer func(http.ResponseWriter, *asked) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		question, err := a.ask(r)
		if err == nil {
			err = answer(w, question)
		}
		if err != nil {
			problem.Of(err).Write(w)
		}
	}
}

func (a *api) ask(r *http.Request) (*asked, error) {
	if !label.MatchString(r.PathValue("namespace")) {
		return nil, problem.New(http.StatusNotFound, problem.NotFound, "there is no namespace of this name")
	}
	for what, given := range map[string]string{"export": r.PathValue("export"), "run": r.PathValue("run")} {
		if given != "" && (!name.MatchString(given) || len(given) > longestResourceName) {
			return nil, problem.New(http.StatusNotFound, problem.NotFound, "there is no %s of this name", what)
		}
	}
	caller, known := identity.From(r.Context())
	if !known {
		return nil, problem.New(http.StatusUnauthorized, problem.Unauthorized, "log in, or send a bearer token")
	}
	config, err := a.Clusters.As(r.Context())
	if err != nil {
		return nil, err
	}
	cluster, err := client.NewWithWatch(config, client.Options{Scheme: a.scheme, Mapper: a.mapper, FieldOwner: "ledgerport-console"})
	if err != nil {
		return nil, err
	}
	read, err := books.New(config)
	return &asked{Request: r, caller: caller, cluster: cluster, books: read, login: loginOf(config)}, err
}

// mapper knows the kinds that are spoken of, so that the API server need not be asked for each caller.
func mapper() meta.RESTMapper {
	mapper := meta.NewDefaultRESTMapper(nil)
	for _, kind := range []string{"AccountingExport", "ExportRun"} {
		mapper.Add(v1alpha1.GroupVersion.WithKind(kind), meta.RESTScopeNamespace)
	}
	return mapper
}

// write answers with a document.
func write(w http.ResponseWriter, r *asked, code int, document any) error {
	content, err := json.Marshal(document)
	if err != nil {
		return err
	}
	if err := burden.Settle(r.Context(), int64(len(content))); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(append(content, '\n')) // a client that is gone needs no answer
	return nil
}

// read decodes the body of a request, of which nothing is unknown.
func read(w http.ResponseWriter, r *http.Request, into any) error {
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, largestBody))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(into)
	if errors.Is(err, io.EOF) {
		return nil // nothing was sent, and nothing needs to be
	}
	var large *http.MaxBytesError
	switch {
	case errors.Is(err, burden.TooMuch):
		return burden.TooMuch
	case errors.As(err, &large):
		return problem.New(http.StatusRequestEntityTooLarge, problem.Invalid, "the body has more than %d bytes", largestBody)
	case err != nil:
		return problem.New(http.StatusBadRequest, problem.BadRequest, "the body is not a JSON document of this request: %s", err)
	case !errors.Is(decoder.Decode(&struct{}{}), io.EOF):
		return problem.New(http.StatusBadRequest, problem.BadRequest, "the body has something behind its JSON document")
	}
	return nil
}
