// Package openapi compares what the API for applications answers with the OpenAPI document that it serves, by a validator that others write. It is
// a module of its own, so that the validator is no dependency of the product.
package openapi

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"
	"github.com/pb33f/libopenapi-validator/errors"

	"github.com/ledgerport/ledgerport/test/leaks"
	"github.com/ledgerport/ledgerport/test/stage"
)

// application asks, and has each answer compared with the document.
type application struct {
	*stage.Stage
	http  *http.Client
	token string
	valid validator.Validator
	asked map[string]bool // operations that were answered as they promise
	scan  *leaks.Scan     // of all that is answered
}

// ask sends a request; what is sent and what is answered must be as the document has it.
func (a *application) ask(operation, method, path, body string, code int, headers ...string) []byte {
	a.Helper()
	return a.send(true, operation, method, path, body, code, headers...)
}

// wrong sends a request that is not as the document has it. The answer must be all the same.
func (a *application) wrong(operation, method, path, body string, code int, headers ...string) {
	a.Helper()
	a.send(false, operation, method, path, body, code, headers...)
}

func (a *application) send(right bool, operation, method, path, body string, code int, headers ...string) []byte {
	a.Helper()
	request, err := http.NewRequestWithContext(a.Context(), method, a.URL+path, strings.NewReader(body))
	a.Must(err)
	request.Header.Set("Authorization", "Bearer "+a.token)
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	answer, err := a.http.Do(request)
	a.Must(err)
	content, err := io.ReadAll(answer.Body)
	a.Must(err)
	a.Must(answer.Body.Close())
	a.scan.Text("answer", method+" "+path, content, leaks.BankAccount, leaks.Name)
	if answer.StatusCode != code {
		a.Fatalf("%s %s: %s %s, want %d", method, path, answer.Status, content, code)
	}
	request.Body, answer.Body = io.NopCloser(strings.NewReader(body)), io.NopCloser(bytes.NewReader(content))
	if is, problems := a.valid.ValidateHttpRequest(request); is != right {
		a.Errorf("%s %s: that the request is right is %t\n%s", method, path, is, told(problems))
	}
	if is, problems := a.valid.ValidateHttpResponse(request, answer); !is {
		a.Errorf("%s %s is answered %s %s\n%s", method, path, answer.Status, content, told(problems))
	}
	if right && code < http.StatusBadRequest {
		a.asked[operation] = true
	}
	return content
}

func told(problems []*errors.ValidationError) string {
	var text strings.Builder
	for _, problem := range problems {
		text.WriteString(problem.Error() + "\n")
	}
	return text.String()
}

func TestTheAPIAnswersAsItsDocumentSays(t *testing.T) {
	t.Parallel()
	a := &application{Stage: stage.Set(t), asked: map[string]bool{}, scan: leaks.New()}
	a.http, a.token = a.HTTP(), a.Token("application", "ledgerport-finance")
	a.Must(a.scan.PlantPassword("the database", a.Database))
	a.scan.Plant("the token of the application", a.token)
	answer, err := a.http.Get(a.URL + "/api/v1/openapi.json")
	a.Must(err)
	content, err := io.ReadAll(answer.Body)
	a.Must(err)
	a.Must(answer.Body.Close())
	document, err := libopenapi.NewDocument(content)
	a.Must(err)
	var problems []error
	if a.valid, problems = validator.NewValidator(document, config.WithFormatAssertions()); len(problems) > 0 {
		t.Fatal(problems)
	}
	if is, problems := a.valid.ValidateDocument(); !is {
		t.Fatalf("it is not an OpenAPI document:\n%s", told(problems))
	}
	a.Approve(20)
	first := a.runs()
	a.imports(first)
	a.lies(first)
	a.refusals()
	for _, operation := range operations(content) {
		if !a.asked[operation] {
			t.Errorf("the operation %s was not tested", operation)
		}
	}
	if found := a.scan.Found(); len(found) > 0 || a.scan.Looked("answer") < 20 {
		t.Errorf("of %d answers some have what nobody is to see: %q", a.scan.Looked("answer"), found)
	}
}

const export = "/api/v1/namespaces/" + stage.Namespace + "/exports/" + stage.Export

// run is what is needed of one here.
type run struct {
	ID       string
	Finished bool
	Phase    string
	Links    struct{ Self, Files string }
}

// lies has a destination hold another file than the run has delivered.
func (a *application) lies(first run) {
	a.Helper()
	a.WithDatabase(func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, `update ledgerport.runs set files = jsonb_set(files::jsonb, '{0,sha256}', to_jsonb(repeat('0', 64))) where name = $1`, first.ID)
		return err
	})
	var list struct{ Items []struct{ Link string } }
	a.Must(json.Unmarshal(a.ask("listFiles", http.MethodGet, first.Links.Files, "", http.StatusOK), &list))
	if told := a.ask("downloadFile", http.MethodGet, list.Items[0].Link, "", http.StatusConflict); !strings.Contains(string(told), "not what the run delivered") {
		a.Errorf("of a file that is another one is said %s", told)
	}
}

// imports marks a run as imported, corrects that and takes it back; and tries what cannot be.
func (a *application) imports(first run) {
	a.Helper()
	at := first.Links.Self + "/imported"
	marked := func(answer []byte) (by, reference string, is bool) {
		var told struct {
			Imported *struct{ By, Reference string }
		}
		a.Must(json.Unmarshal(answer, &told))
		if told.Imported == nil {
			return "", "", false
		}
		return told.Imported.By, told.Imported.Reference, true
	}
	const application = "system:serviceaccount:" + stage.Namespace + ":application"
	for body, want := range map[string]string{"": "", `{"reference": "batch 4711"}`: "batch 4711", `{"reference": "\u202e\u001b[2J"}`: `\u202e [2J`} {
		for range 2 { // twice is once
			if by, reference, is := marked(a.ask("markImported", http.MethodPut, at, body, http.StatusOK)); !is || by != application || reference != want {
				a.Errorf("after %s it is %q by %q", body, reference, by)
			}
		}
	}
	a.Until(func(context.Context) string { // the operator has to see it
		answer := a.ask("followRun", http.MethodGet, first.Links.Self, "", http.StatusOK)
		return map[bool]string{false: string(answer)}[strings.Contains(string(answer), `"at":"`)]
	})
	own := a.token
	a.token = a.Token("robot", "ledgerport-finance")
	if told := a.ask("markImported", http.MethodPut, at, `{"reference": "4712"}`, http.StatusConflict); !strings.Contains(string(told), "marked as imported already, by "+application) {
		a.Errorf("another caller hears %s", told)
	}
	a.token = own
	a.wrong("markImported", http.MethodPut, at, `{"reference": "`+strings.Repeat("é", 65)+`"}`, http.StatusUnprocessableEntity)
	a.wrong("markImported", http.MethodPut, at, `{"by": "alice"}`, http.StatusBadRequest)
	for range 2 {
		if _, _, is := marked(a.ask("takeImportBack", http.MethodDelete, at, "", http.StatusOK)); is {
			a.Error("it is marked after that was taken back")
		}
	}
	a.ask("markImported", http.MethodPut, export+"/runs/nothing/imported", "", http.StatusNotFound)
	a.ask("takeImportBack", http.MethodDelete, strings.Replace(at, "/monthly/", "/others/", 1), "", http.StatusNotFound)
	var preview run
	a.Must(json.Unmarshal(a.ask("requestRun", http.MethodPost, export+"/runs", `{"type": "Preview"}`, http.StatusAccepted), &preview))
	a.ask("markImported", http.MethodPut, preview.Links.Self+"/imported", "", http.StatusConflict)
}

// runs asks for what exists, and returns a run that has exported.
func (a *application) runs() (first run) {
	a.Helper()
	unlock := a.Lock()
	a.Must(json.Unmarshal(a.ask("requestRun", http.MethodPost, export+"/runs", `{"type": "Export", "cutoff": "2099-01-01T00:00:00Z"}`, http.StatusAccepted, "Idempotency-Key", "first"), &first))
	a.Until(func(context.Context) string { // with a stage, and progress
		var now run
		a.Must(json.Unmarshal(a.ask("followRun", http.MethodGet, first.Links.Self, "", http.StatusOK), &now))
		return map[bool]string{false: "it is " + now.Phase}[now.Phase == "Running"]
	})
	unlock()
	a.Must(json.Unmarshal(a.ask("followRun", http.MethodGet, first.Links.Self+"?wait=30s", "", http.StatusOK), &first))
	if !first.Finished || first.Links.Files == "" {
		a.Fatalf("the run is %+v\n%s", first, a.Log())
	}
	a.ask("followRun", http.MethodGet, first.Links.Self, "", http.StatusOK, "Accept", "text/event-stream")
	a.ask("requestRun", http.MethodPost, export+"/runs", "", http.StatusAccepted)
	a.ask("requestRun", http.MethodPost, export+"/runs", `{"type": "Preview", "claims": ["a"]}`, http.StatusAccepted)

	var list struct{ Items []struct{ Name, Link string } }
	a.Must(json.Unmarshal(a.ask("listFiles", http.MethodGet, first.Links.Files, "", http.StatusOK), &list))
	for i, file := range list.Items {
		whole := a.ask("downloadFile", http.MethodGet, file.Link, "", http.StatusOK)
		if i > 0 {
			continue // the rest of a document is none
		}
		if rest := a.ask("downloadFile", http.MethodGet, file.Link, "", http.StatusPartialContent, "Range", "bytes=5-"); !bytes.Equal(rest, whole[5:]) {
			a.Errorf("the rest of %s is %d bytes of %d", file.Name, len(rest), len(whole))
		}
		a.ask("downloadFile", http.MethodGet, file.Link, "", http.StatusRequestedRangeNotSatisfiable, "Range", "bytes=999999999-")
	}
	a.claims()
	return first
}

// claims asks about those that are exported, and those that are held.
func (a *application) claims() {
	a.Helper()
	var page struct {
		Items []struct{ Claim string }
		Next  string
	}
	a.Must(json.Unmarshal(a.ask("listHeldClaims", http.MethodGet, export+"/held?limit=1", "", http.StatusOK), &page))
	if len(page.Items) == 1 {
		a.ask("findClaim", http.MethodGet, export+"/claims/"+page.Items[0].Claim, "", http.StatusOK)
	}
	if page.Next != "" {
		a.ask("listHeldClaims", http.MethodGet, page.Next, "", http.StatusOK)
	}
	var exported string
	a.WithDatabase(exportedClaim(&exported))
	var claim struct{ Items []struct{ State, Run string } }
	a.Must(json.Unmarshal(a.ask("findClaim", http.MethodGet, export+"/claims/"+exported, "", http.StatusOK), &claim))
	if len(claim.Items) != 1 || claim.Items[0].State != "exported" {
		a.Errorf("a claim that was exported is %+v", claim)
	}
	claim.Items = nil
	a.Must(json.Unmarshal(a.ask("findClaim", http.MethodGet, export+"/claims/nobody", "", http.StatusOK), &claim))
	if len(claim.Items) != 0 {
		a.Errorf("a claim of nobody is %+v", claim)
	}
}

// refusals asks for what does not exist, or is wrong.
func (a *application) refusals() {
	a.Helper()
	a.ask("requestRun", http.MethodPost, export+"/runs", `{}`, http.StatusConflict, "Idempotency-Key", "first")
	a.ask("followRun", http.MethodGet, export+"/runs/nothing", "", http.StatusNotFound)
	a.ask("listFiles", http.MethodGet, export+"/runs/nothing/files", "", http.StatusNotFound)
	a.ask("listHeldClaims", http.MethodGet, "/api/v1/namespaces/nordwind/exports/monthly/held", "", http.StatusForbidden)
	a.ask("listHeldClaims", http.MethodGet, export+"/held?continue=x", "", http.StatusBadRequest)
	a.wrong("requestRun", http.MethodPost, export+"/runs", `{"type": "Reversal"}`, http.StatusUnprocessableEntity)
	a.wrong("requestRun", http.MethodPost, export+"/runs", `{"claim": "a"}`, http.StatusBadRequest)
	a.wrong("followRun", http.MethodGet, export+"/runs/nothing?wait=soon", "", http.StatusBadRequest)
	a.wrong("listHeldClaims", http.MethodGet, export+"/held?limit=none", "", http.StatusBadRequest)
	a.token = "nobody"
	a.ask("followRun", http.MethodGet, export+"/runs/nothing", "", http.StatusUnauthorized)
}

// operations are those of a document.
func operations(document []byte) (ids []string) {
	var decoded struct {
		Paths map[string]map[string]json.RawMessage
	}
	_ = json.Unmarshal(document, &decoded) // it was read before
	for _, methods := range decoded.Paths {
		for _, operation := range methods {
			var has struct {
				OperationID string `json:"operationId"`
			}
			if json.Unmarshal(operation, &has) == nil && has.OperationID != "" {
				ids = append(ids, has.OperationID)
			}
		}
	}
	slices.Sort(ids)
	return ids
}
