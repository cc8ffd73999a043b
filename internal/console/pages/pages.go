// Package pages is the console of those who keep the books: pages of exports, runs, held claims and vouchers, and forms that ask for
// runs. Everything is read and done through the API server as the caller of a request, so that Kubernetes decides. Nothing that is shown is
// trusted, and everything works without script.
package pages

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"html/template"
	"io/fs"
	"math"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/ledgerport/ledgerport/internal/console/burden"
	"github.com/ledgerport/ledgerport/internal/console/identity"
	"github.com/ledgerport/ledgerport/texts"
)

// Options of the console's pages.
type Options struct {
	Clusters identity.Clusters
	// Namespaces are looked into for those who may not list exports of all namespaces, and see the ones in which they may.
	Namespaces []string
	// LogOut is the path of the form that ends a session; empty if there are no sessions.
	LogOut string
	Log    logr.Logger
	// Now is the clock; nil is that of the machine.
	Now func() time.Time
}

// ContentSecurityPolicy is what the pages need: style sheet and script from this server, forms that go to it, and nothing else.
const ContentSecurityPolicy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

const (
	// longestQuery of a URL, and largestForm, in bytes.
	longestQuery = 8 << 10
	largestForm  = 64 << 10
	// pageTime is what a page may take; one that reads files may take longer.
	pageTime  = 20 * time.Second
	checkTime = 50 * time.Second
)

//go:embed templates assets
var files embed.FS

// desk is what answers all requests.
type desk struct {
	Options
	templates map[string]*template.Template
	assets    map[string]asset
}

type asset struct {
	content         []byte
	mediaType, hash string
}

// Handler returns the pages, from the root of a server on. Who asks is in the context of a request; that a form was sent from a page of this
// server is for the server to see to, and so are headers such as ContentSecurityPolicy.
func Handler(options Options) http.Handler {
	d := newDesk(options)
	mux := http.NewServeMux()
	const namespace = "/namespaces/{namespace}"
	const export, run = namespace + "/exports/{export}", namespace + "/runs/{run}"
	for pattern, show := range map[string]func(*visit) error{
		"GET /{$}":                           (*visit).everyExport,
		"GET /namespaces":                    (*visit).openNamespace,
		"GET " + namespace:                   (*visit).exportsOfNamespace,
		"GET " + namespace + "/audit":        (*visit).audit,
		"GET " + namespace + "/audit.csv":    (*visit).auditFile,
		"GET " + export:                      (*visit).export,
		"GET " + export + "/held":            (*visit).held,
		"GET " + export + "/request/{type}":  (*visit).confirm,
		"POST " + export + "/request/{type}": (*visit).request,
		"GET " + run:                         (*visit).run,
		"GET " + run + "/voucher":            (*visit).voucher,
		"GET " + run + "/files/{file}":       (*visit).download,
		"GET " + run + "/approval":           (*visit).confirmApproval,
		"POST " + run + "/approval":          (*visit).approve,
		"GET " + run + "/cancellation":       (*visit).confirmCancellation,
		"POST " + run + "/cancellation":      (*visit).cancel,
		"GET " + run + "/imported":           (*visit).confirmImported,
		"POST " + run + "/imported":          (*visit).markImported,
		"GET " + run + "/unimported":         (*visit).confirmUnimported,
		"POST " + run + "/unimported":        (*visit).takeImportBack,
		"GET " + run + "/request/{type}":     (*visit).confirm,
		"POST " + run + "/request/{type}":    (*visit).request,
		"GET /":                              func(*visit) error { return errNoPage },
	} {
		mux.HandleFunc(pattern, d.serve(show))
	}
	mux.HandleFunc("GET /assets/{name}", d.serveAsset)
	return mux
}

func newDesk(options Options) *desk {
	d := &desk{Options: options, templates: map[string]*template.Template{}, assets: map[string]asset{}}
	if d.Now == nil {
		d.Now = time.Now
	}
	d.readAssets()
	d.readTemplates()
	return d
}

func (d *desk) readAssets() {
	entries, err := fs.ReadDir(files, "assets")
	for _, entry := range entries {
		var content []byte
		if content, err = files.ReadFile("assets/" + entry.Name()); err != nil {
			break
		}
		sum := sha256.Sum256(content)
		d.assets[entry.Name()] = asset{content, mime.TypeByExtension(path.Ext(entry.Name())), hex.EncodeToString(sum[:6])}
	}
	if err != nil {
		panic(err) // they are embedded
	}
}

func (d *desk) readTemplates() {
	with := template.FuncMap{
		"asset": func(name string) string { return "/assets/" + name + "?" + d.assets[name].hash },
		"cell":  func(label string, content any) labelled { return labelled{label, content} },
	}
	entries, err := fs.ReadDir(files, "templates")
	for _, entry := range entries {
		if name := strings.TrimSuffix(entry.Name(), ".html"); name != "layout" && name != "parts" {
			d.templates[name] = template.Must(template.New("layout.html").Funcs(with).ParseFS(files, "templates/layout.html", "templates/parts.html", "templates/"+entry.Name()))
		}
	}
	if err != nil {
		panic(err) // they are embedded
	}
}

// labelled is the content of a cell with the name of its column, for narrow windows.
type labelled struct {
	Label   string
	Content any
}

func (d *desk) serveAsset(w http.ResponseWriter, r *http.Request) {
	found, is := d.assets[r.PathValue("name")]
	if !is {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", found.mediaType)
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	if r.URL.RawQuery != found.hash { // a page of another version
		w.Header().Set("Cache-Control", "no-cache")
	}
	_, _ = w.Write(found.content) // nobody is left to tell
}

// visit is one request for a page.
type visit struct {
	*desk
	locale
	*cluster
	r      *http.Request
	w      http.ResponseWriter
	ctx    context.Context //nolint:containedctx // it ends with the request
	caller identity.Caller
	// given are the parameters of the query, or of a form that was sent.
	given url.Values
}

// serve makes a handler of a page.
func (d *desk) serve(show func(*visit) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v := &visit{desk: d, locale: localeOf(r.Header.Get("Accept-Language")), r: r, w: w}
		v.caller, _ = identity.From(r.Context())
		limit := pageTime
		if r.URL.Query().Get("check") != "" {
			limit = checkTime
		}
		ctx, cancel := context.WithTimeout(r.Context(), limit)
		defer cancel()
		v.ctx = ctx
		if err := v.enter(show); err != nil {
			v.refuse(err)
		}
	}
}

// enter looks at what was sent before anything is done with it.
func (v *visit) enter(show func(*visit) error) error {
	if len(v.r.URL.RawQuery) > longestQuery {
		return errBadQuestion
	}
	for _, name := range []string{"namespace", "export", "run"} {
		if value := v.r.PathValue(name); value != "" && len(validation.IsDNS1123Subdomain(value)) > 0 {
			return errNoPage
		}
	}
	v.given = v.r.URL.Query()
	if v.r.Method == http.MethodPost {
		v.r.Body = http.MaxBytesReader(v.w, v.r.Body, largestForm)
		if err := v.r.ParseForm(); errors.Is(err, burden.TooMuch) {
			return err
		} else if err != nil {
			return errBadQuestion
		}
		v.given = v.r.PostForm
	}
	for _, values := range v.given {
		if len(values) > 1 || strings.ContainsFunc(values[0], func(r rune) bool { return r == 0 || r == '\uFFFD' }) {
			return errBadQuestion
		}
	}
	config, err := v.Clusters.As(v.ctx)
	if err != nil {
		return errNobody
	}
	if v.cluster, err = newCluster(config); err != nil {
		return err
	}
	return show(v)
}

func (v *visit) namespace() string { return v.r.PathValue("namespace") }

// link is a text that leads somewhere.
type link struct{ Text, To string }

// shown is what the layout shows of every page.
type shown struct {
	locale
	Title string
	// Trail leads back from the page.
	Trail []link
	// Person who is logged in, and how to end that.
	Person, LogOut string
	// Status is announced to those who do not see the page.
	Status string
	// Live says that the page changes soon by itself.
	Live    bool
	Content any
}

// show writes a page. Nothing of it is sent before all of it was made.
func (v *visit) show(code int, name string, page shown) error {
	page.locale, page.Person = v.locale, v.caller.Name
	if v.caller.Session {
		page.LogOut = v.LogOut
	}
	made := making{ctx: v.ctx}
	if err := v.templates[name].Execute(&made, page); err != nil {
		return err
	}
	clean := harmless(made.Bytes())
	if err := burden.Settle(v.ctx, int64(len(clean))); err != nil {
		return err
	}
	header := v.w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Cache-Control", "no-store")
	header.Set("Vary", "Accept-Language, Cookie, Authorization")
	header.Set("Content-Language", v.Language)
	v.w.WriteHeader(code)
	_, _ = v.w.Write(clean) // nobody is left to tell
	return nil
}

// largestPage is how many bytes one has at most: 200 exports, each with as much as the operator reports of one.
const largestPage = 8 << 20

// making is a page that is being made.
type making struct {
	bytes.Buffer
	ctx context.Context //nolint:containedctx // it ends with the request
}

// Write implements io.Writer.
func (m *making) Write(p []byte) (int, error) {
	if m.Len()+len(p) > largestPage {
		return 0, errLongPage
	}
	if err := burden.Make(m.ctx, int64(len(p))); err != nil {
		return 0, err
	}
	return m.Buffer.Write(p)
}

// harmless makes everything visible that a page has in its texts: control characters, and what changes how the text around it is shown.
// Markup is of ASCII, and stays.
func harmless(page []byte) []byte {
	clean := make([]byte, 0, len(page))
	for line := range bytes.Lines(page) {
		text, ended := bytes.CutSuffix(line, []byte("\n"))
		clean = append(clean, texts.Printable(string(text), math.MaxInt)...)
		if ended {
			clean = append(clean, '\n')
		}
	}
	return clean
}

// at builds a path; each part is one element of it.
func at(parts ...string) string {
	var built strings.Builder
	for _, part := range parts {
		built.WriteString("/" + url.PathEscape(part))
	}
	return built.String()
}

// with adds parameters to a path; what is empty is left out.
func with(place string, pairs ...string) string {
	query := url.Values{}
	name := ""
	for i, text := range pairs {
		switch {
		case i%2 == 0:
			name = text
		case text != "":
			query.Set(name, text)
		}
	}
	if len(query) == 0 {
		return place
	}
	return place + "?" + query.Encode()
}

func exportPath(namespace, export string, more ...string) string {
	return at(append([]string{"namespaces", namespace, "exports", export}, more...)...)
}

func runPath(namespace, run string, more ...string) string {
	return at(append([]string{"namespaces", namespace, "runs", run}, more...)...)
}
