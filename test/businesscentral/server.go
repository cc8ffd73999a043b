// Package businesscentral is an HTTP server that holds clients to the documented contract of the parts of the Business
// Central API that Ledgerport uses: journals, their lines and posting, general ledger entries, attachments, transactional $batch
// requests, client credentials. It is strict: what the documentation does not allow is refused.
package businesscentral

import (
	"crypto/rand"
	"encoding/json"
	mathrand "math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cockroachdb/apd/v3"
)

// What a client needs to know.
const (
	Tenant       = "contoso.example"
	Company      = "5d115c9c-44e3-ea11-bb43-000d3a2feca1"
	ClientID     = "6f7a1bd4-0000-4000-8000-00000000c1d0"
	ClientSecret = "s3cret-0f-the-application"

	tokenPath = "/" + Tenant + "/oauth2/v2.0/token"
	apiPath   = "/v2.0/" + Tenant + "/production/api/v2.0/"
	scope     = "https://api.businesscentral.dynamics.com/.default"
)

// Fault is what the server does to a request instead of answering it.
type Fault int

const (
	// None: it answers.
	None Fault = iota
	// Throttle: 429, to be asked again at once.
	Throttle
	// Fail: 500, and nothing was done.
	Fail
	// CutBefore and CutAfter: the connection ends without an answer, before or after the request had its effect.
	CutBefore
	CutAfter
	// FailAfter: 504, and the request had its effect.
	FailAfter
	// ExpireToken: the token is not valid any more.
	ExpireToken
)

// Server is one environment with one company.
type Server struct {
	*httptest.Server
	mu       sync.Mutex
	settings Settings
	tokens   map[string]bool
	journals map[string]*journal // by id
	entries  []Entry
	requests int
	// incoming are the incoming documents: their place is their number, from 1.
	incoming []*incoming
	// unlinked are attachments that belong to nothing.
	unlinked []*attachment
}

// Settings of the company, and what goes wrong.
type Settings struct {
	// Accounts of the general ledger; others are refused. All are there where it is nil.
	Accounts []string
	// PostingFrom is the first day on which may be posted, as YYYY-MM-DD.
	PostingFrom string
	// NoAttachments refuses every attachment.
	NoAttachments bool
	// TokenLife in seconds; an hour where it is zero.
	TokenLife int
	// Faults says what happens to a request, by its number from 1 and its path.
	Faults func(request int, path string) Fault
}

// Entry is a general ledger entry.
type Entry struct {
	Number                                      int64
	PostingDate, Document, AccountType, Account string
	Amount                                      apd.Decimal
	Description                                 string
	Dimensions                                  []Dimension
	id                                          string
}

// Dimension of a line or entry.
type Dimension struct {
	Code      string `json:"code"`
	ValueCode string `json:"valueCode"`
}

type journal struct {
	id, code, name string
	lines          map[int]line // by their number
}

// New starts a server. Close ends it.
func New(settings Settings) *Server {
	s := &Server{settings: settings, tokens: map[string]bool{}, journals: map[string]*journal{}}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	return s
}

// BaseURL and TokenURL are what the options of an exporter say.
func (s *Server) BaseURL() string { return s.URL + "/v2.0" }

// TokenURL is where tokens are.
func (s *Server) TokenURL() string { return s.URL + tokenPath }

// Change changes the settings.
func (s *Server) Change(settings Settings) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settings = settings
}

// Requests counts what was asked so far, tokens included.
func (s *Server) Requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

// Posted returns the general ledger.
func (s *Server) Posted() []Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Entry(nil), s.entries...)
}

// Waiting returns the lines in journals, by journal and line number.
func (s *Server) Waiting() []Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	var waiting []Entry
	for _, j := range s.journals {
		for _, number := range j.numbers() {
			waiting = append(waiting, j.lines[number].entry())
		}
	}
	return waiting
}

// Journals returns the codes of the journals.
func (s *Server) Journals() (codes []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, j := range s.journals {
		codes = append(codes, j.code)
	}
	return codes
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	fault := None
	if s.settings.Faults != nil {
		fault = s.settings.Faults(s.requests, r.URL.Path)
	}
	switch fault {
	case Throttle:
		w.Header().Set("Retry-After", "0")
		refuse(w, http.StatusTooManyRequests, "Application_TooManyRequests", "Too many requests")
		return
	case Fail:
		refuse(w, http.StatusInternalServerError, "Internal_ServerError", "An internal error has occurred")
		return
	case CutBefore:
		panic(http.ErrAbortHandler)
	case CutAfter:
		s.handle(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	case FailAfter:
		s.handle(httptest.NewRecorder(), r)
		refuse(w, http.StatusGatewayTimeout, "", "")
		return
	case ExpireToken:
		clear(s.tokens)
	case None:
	}
	s.handle(w, r)
}

func (s *Server) handle(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == tokenPath {
		s.token(w, r)
		return
	}
	if !s.tokens[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")] {
		refuse(w, http.StatusUnauthorized, "Authentication_InvalidCredentials", "The server has rejected the client credentials.")
		return
	}
	path, ok := strings.CutPrefix(r.URL.Path, apiPath)
	switch {
	case !ok:
		refuse(w, http.StatusNotFound, "BadRequest_NotFound", "Not Found")
	case path == "$batch":
		s.batch(w, r)
	case s.attachmentRequest(w, r, path):
	default:
		if r.URL.RawQuery != "" {
			path += "?" + r.URL.RawQuery
		}
		var body json.RawMessage
		if r.Method == http.MethodPost && r.ContentLength != 0 {
			if r.Header.Get("Content-Type") != "application/json" || json.NewDecoder(r.Body).Decode(&body) != nil {
				refuse(w, http.StatusBadRequest, "BadRequest", "Invalid Request Body")
				return
			}
		}
		got := s.execute(r.Method, path, body)
		reply(w, got.Status, got.Body)
	}
}

// token is the client credentials grant of the Microsoft identity platform.
func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil || r.Method != http.MethodPost || r.PostForm.Get("grant_type") != "client_credentials" || r.PostForm.Get("scope") != scope {
		reply(w, http.StatusBadRequest, map[string]string{"error": "invalid_request"})
		return
	}
	if r.PostForm.Get("client_id") != ClientID || r.PostForm.Get("client_secret") != ClientSecret {
		reply(w, http.StatusUnauthorized, map[string]string{"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret provided."})
		return
	}
	life := s.settings.TokenLife
	if life == 0 {
		life = int(time.Hour.Seconds())
	}
	token := rand.Text()
	s.tokens[token] = true
	reply(w, http.StatusOK, map[string]any{"token_type": "Bearer", "expires_in": life, "access_token": token})
}

// batch executes at most 100 operations in their order, up to the first that fails, unless the client wants to go on; with
// Isolation: snapshot a failure undoes all of them.
func (s *Server) batch(w http.ResponseWriter, r *http.Request) {
	var batch struct {
		Requests []struct {
			ID      string            `json:"id"`
			Method  string            `json:"method"`
			URL     string            `json:"url"`
			Headers map[string]string `json:"headers"`
			Body    json.RawMessage   `json:"body"`
		} `json:"requests"`
	}
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" || r.Header.Get("Accept") != "application/json" ||
		decoder.Decode(&batch) != nil || len(batch.Requests) == 0 || len(batch.Requests) > 100 {
		refuse(w, http.StatusBadRequest, "BadRequest", "Invalid Request Body")
		return
	}
	before := s.snapshot()
	responses := []response{}
	for _, operation := range batch.Requests {
		if operation.Method == http.MethodPost && operation.Headers["Content-Type"] != "application/json" {
			refuse(w, http.StatusBadRequest, "BadRequest", "Invalid Request Body")
			return
		}
		got := s.execute(operation.Method, operation.URL, operation.Body)
		got.ID = operation.ID
		responses = append(responses, got)
		if got.Status < http.StatusBadRequest {
			continue
		}
		if r.Header.Get("Isolation") == "snapshot" {
			s.journals = before
		}
		if r.Header.Get("Prefer") != "odata.continue-on-error" {
			break
		}
	}
	// OData JSON Format 4.01, 19.4: responses may come in any order.
	mathrand.Shuffle(len(responses), func(i, j int) { responses[i], responses[j] = responses[j], responses[i] })
	reply(w, http.StatusOK, map[string]any{"responses": responses})
}

func (s *Server) snapshot() map[string]*journal {
	copied := map[string]*journal{}
	for id, j := range s.journals {
		lines := map[int]line{}
		for number, l := range j.lines {
			lines[number] = l
		}
		copied[id] = &journal{id: j.id, code: j.code, name: j.name, lines: lines}
	}
	return copied
}

// response to an operation.
type response struct {
	ID      string            `json:"id"`
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers"`
	Body    any               `json:"body,omitempty"`
}

func refusal(status int, code, message string) response {
	return response{Status: status, Headers: map[string]string{}, Body: errorBody(code, message)}
}

func errorBody(code, message string) any {
	return map[string]any{"error": map[string]string{"code": code, "message": message + "  CorrelationId:  0d5b1d0e-55a4-4d0f-9b4b-3f2f5f0c8d4e."}}
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	reply(w, status, errorBody(code, message))
}

func reply(w http.ResponseWriter, status int, body any) {
	if body == nil {
		w.WriteHeader(status)
		return
	}
	w.Header().Set("Content-Type", "application/json; odata.metadata=minimal")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client is gone otherwise
}

func newID() string {
	text := strings.ToLower(rand.Text() + rand.Text())
	hexadecimal := []byte("0123456789abcdef")
	id := make([]byte, 32)
	for i := range id {
		id[i] = hexadecimal[text[i]%16]
	}
	return strings.Join([]string{string(id[:8]), string(id[8:12]), string(id[12:16]), string(id[16:20]), string(id[20:])}, "-")
}

func atoi(text string) int64 {
	n, _ := strconv.ParseInt(text, 10, 64)
	return n
}
