package pages

import (
	"net/http"

	"github.com/go-logr/logr"
)

// Entrance shows what is for people who are not known. It shows nothing of the cluster.
type Entrance struct{ *desk }

// NewEntrance returns the entrance of a console in which people log in at /login.
func NewEntrance(log logr.Logger) *Entrance {
	return &Entrance{newDesk(Options{Log: log})}
}

// Assets answers for style sheet, script and icon, which are below /assets/ and nobody's secret.
func (e *Entrance) Assets() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /assets/{name}", e.serveAsset)
	return mux
}

// entry is what a page of the entrance has.
type entry struct {
	// Say is a text, and Wrong what the API server or the provider said, in English; either may be empty.
	Say, Wrong string
	// Form asks for a token; else there is a link to the login.
	Form bool
	// Return is the path that was wanted.
	Return string
}

// AskForToken shows the form for a token. Wrong says why the last one was refused, and is empty for the first.
func (e *Entrance) AskForToken(w http.ResponseWriter, r *http.Request, code int, wanted, wrong string) {
	v := e.visit(w, r)
	v.showEntry(code, v.T("login"), entry{Wrong: wrong, Form: true, Return: wanted})
}

// Refuse says that a login at a provider has failed, and why.
func (e *Entrance) Refuse(w http.ResponseWriter, r *http.Request, code int, wrong string) {
	v := e.visit(w, r)
	v.showEntry(code, v.T("login.failed"), entry{Wrong: wrong})
}

// LoggedOut says that a session has ended. It does not lead on by itself: a provider that still knows the person would begin another.
func (e *Entrance) LoggedOut(w http.ResponseWriter, r *http.Request) {
	v := e.visit(w, r)
	v.showEntry(http.StatusOK, v.T("loggedout"), entry{Say: v.T("loggedout.provider")})
}

func (e *Entrance) visit(w http.ResponseWriter, r *http.Request) *visit {
	return &visit{desk: e.desk, locale: localeOf(r.Header.Get("Accept-Language")), r: r, w: w, ctx: r.Context()}
}

func (v *visit) showEntry(code int, title string, content entry) {
	if err := v.show(code, "login", shown{Title: title, Content: content}); err != nil {
		v.Log.Error(err, "a page for a login could not be made")
		http.Error(v.w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
	}
}
