package pages_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/ledgerport/ledgerport/internal/console/api"
	"github.com/ledgerport/ledgerport/test/console"
)

// applicationSees asks the API for applications, on the same stage, for all that it serves and refuses, and looks through every byte and header of the answers for
// secrets, bank accounts and names of claimants, and for what a terminal would obey. A file is what was delivered: it is looked through for the
// same, because none of its formats pays.
func applicationSees(clerk *browser, stage *console.Stage) {
	answering, err := api.Handler(api.Options{Clusters: stage})
	if err != nil {
		clerk.Fatal(err)
	}
	app := *clerk
	app.base = stage.Serve(answering, "default-src 'none'")
	const exported = "/api/v1/namespaces/acme/exports/monthly"
	const october = exported + "/runs/october"
	see := func(code int, method, path string, headers ...string) page {
		app.Helper()
		got := app.do(method, path, nil, headers...)
		served.Lines("answer", path, []byte(got.text))
		for name, values := range got.header {
			served.Text("answer", name+" of "+path, []byte(strings.Join(values, "\n")))
		}
		if got.code != code {
			app.Fatalf("%s %s: %d, want %d\n%s", method, path, got.code, code, got.text)
		}
		if !strings.Contains(path, "/files/") {
			app.lacks(strings.ReplaceAll(got.text, `\\`, ""), "\x1b", "\u202e", "\u2066", `\u001b`, `\u202e`, `\u2066`) // but where it is written out
		}
		return got
	}
	see(http.StatusOK, http.MethodGet, october)
	see(http.StatusOK, http.MethodGet, october+"?wait=1s")
	see(http.StatusOK, http.MethodGet, october, "Accept", "text/event-stream")
	see(http.StatusOK, http.MethodGet, exported+"/runs/hostile")
	var files struct{ Items []struct{ Link string } }
	if err := json.Unmarshal([]byte(see(http.StatusOK, http.MethodGet, october+"/files").text), &files); err != nil || len(files.Items) == 0 {
		app.Fatalf("%d files, %v", len(files.Items), err)
	}
	for _, file := range files.Items {
		see(http.StatusOK, http.MethodGet, file.Link)
	}
	var held struct{ Items []struct{ Claim string } }
	if err := json.Unmarshal([]byte(see(http.StatusOK, http.MethodGet, exported+"/held").text), &held); err != nil || len(held.Items) < console.Held {
		app.Fatalf("%d held claims, %v", len(held.Items), err)
	}
	for _, claim := range held.Items {
		see(http.StatusOK, http.MethodGet, exported+"/claims/"+url.PathEscape(claim.Claim))
	}
	see(http.StatusAccepted, http.MethodPost, exported+"/runs", "Idempotency-Key", "a", "Content-Type", "application/json")
	see(http.StatusBadRequest, http.MethodPost, exported+"/runs", "Idempotency-Key", strings.Repeat("a", 300))
	see(http.StatusBadRequest, http.MethodGet, october+"?wait=%1b[2J")
	see(http.StatusMethodNotAllowed, http.MethodDelete, october)
	// A tenant's attempts: names of others, and names that are none.
	for _, name := range []string{"october%00", "october%0d%0aX:%20y", "%1b%5b2J", "October", strings.Repeat("a", 300)} {
		see(http.StatusNotFound, http.MethodGet, exported+"/runs/"+name)
		see(http.StatusNotFound, http.MethodGet, october+"/files/"+name)
	}
	for _, path := range []string{"/runs/..%2foctober", "/runs/%2e%2e", "/runs/october/files/..%2fmanifest.json"} {
		if got := app.do(http.MethodGet, exported+path, nil); got.code < http.StatusMultipleChoices { // such as to the path without it
			app.Errorf("%s is %d", path, got.code)
		}
	}
	for _, path := range []string{"/runs/october", "/runs/october?wait=1s", "/runs/october/files", "/runs/october/files/october.csv", "/held", "/claims/x"} {
		see(http.StatusForbidden, http.MethodGet, "/api/v1/namespaces/nordwind/exports/monthly"+path)
	}
	see(http.StatusForbidden, http.MethodPost, "/api/v1/namespaces/nordwind/exports/monthly/runs")
	see(http.StatusForbidden, http.MethodPost, exported+"/runs", console.PersonHeader, "viewer")
	for _, path := range []string{"/files", "/files/october.csv"} { // who may see the run may not see what is in it
		see(http.StatusForbidden, http.MethodGet, october+path, console.PersonHeader, "viewer")
	}
	see(http.StatusForbidden, http.MethodGet, october, console.PersonHeader, "stranger")
	if served.Looked("answer") == 0 {
		app.Error("nothing was looked through")
	}
}
