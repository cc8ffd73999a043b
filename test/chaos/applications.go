package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/test/environment"
)

// applicant is the application of a tenant: it asks the console for runs, follows them, and downloads their files.
type applicant struct {
	w         *world
	t         tenant
	at, token string
	http      *http.Client
	// downloads is false where operators serve no files.
	downloads bool

	mu       sync.Mutex
	asked    []*asking
	told     []toldEnd
	loads    []download
	untruths []string
}

// asking is a request for a run under a key, with the different ids that it was answered with.
type asking struct {
	namespace, export, key string
	ids                    []string
	// finished is true once the application has no more to wait for.
	finished bool
}

// toldEnd is what an answer said of a run that has finished.
type toldEnd struct {
	namespace, run string
	phase          v1alpha1.RunPhase
	claims         int64
}

// download is a file that has come whole, by its length.
type download struct{ namespace, run, file, sha256 string }

// answerTime is how long an application waits for an answer, and mostUnfinished how many runs it waits for.
const (
	answerTime     = 15 * time.Second
	mostUnfinished = 2
)

func newApplicant(w *world, t tenant, at, token string, authority *environment.Authority) *applicant {
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(authority.PEM)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12}}
	// Operators that are pods serve none here: config/books needs cert-manager, and an API server that passes requests on, which not every cluster has.
	return &applicant{w: w, t: t, at: at, token: token, http: &http.Client{Transport: transport}, downloads: w.pods == nil}
}

// work does what applications do, all the while.
func (a *applicant) work(ctx context.Context, random *rand.Rand) {
	for ctx.Err() == nil {
		pause(ctx, time.Duration(200+random.IntN(700))*time.Millisecond)
		limited, cancel := context.WithTimeout(ctx, answerTime)
		_ = a.act(limited, random) // the console may be away
		cancel()
	}
}

// act asks for another run, asks for one again under its key, follows one, or downloads what one has delivered.
func (a *applicant) act(ctx context.Context, random *rand.Rand) error {
	all, unfinished := a.known()
	dice := random.IntN(10)
	switch {
	case dice < 3 && len(unfinished) < mostUnfinished || len(all) == 0:
		export := a.t.exports[random.IntN(len(a.t.exports))]
		one := &asking{namespace: a.t.namespace, export: export, key: a.w.nextRequest()}
		a.mu.Lock()
		a.asked = append(a.asked, one)
		a.mu.Unlock()
		return a.ask(ctx, one)
	case dice < 5:
		return a.ask(ctx, all[random.IntN(len(all))])
	case dice < 8 && len(unfinished) > 0:
		return a.follow(ctx, unfinished[random.IntN(len(unfinished))], time.Duration(random.IntN(3))*2*time.Second)
	default:
		return a.download(ctx, all[random.IntN(len(all))])
	}
}

// known are all requests, and those that the application still waits for.
func (a *applicant) known() (all, unfinished []*asking) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, one := range a.asked {
		if !one.finished {
			unfinished = append(unfinished, one)
		}
	}
	return slices.Clone(a.asked), unfinished
}

// ask asks for the run of a key, for the first time or again.
func (a *applicant) ask(ctx context.Context, one *asking) error {
	var run struct{ ID string }
	err := a.call(ctx, http.MethodPost, a.export(one)+"/runs", "", http.Header{"Idempotency-Key": {one.key}}, &run)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !slices.Contains(one.ids, run.ID) {
		one.ids = append(one.ids, run.ID)
	}
	return nil
}

// export is the path of the one that is asked about.
func (a *applicant) export(one *asking) string {
	return "/api/v1/namespaces/" + one.namespace + "/exports/" + one.export
}

// id is what a request was answered with; empty if it was not yet.
func (a *applicant) id(one *asking) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(one.ids) == 0 {
		return ""
	}
	return one.ids[0]
}

// follow asks how a run stands, at once or when it has finished.
func (a *applicant) follow(ctx context.Context, one *asking, wait time.Duration) error {
	id := a.id(one)
	if id == "" {
		return a.ask(ctx, one)
	}
	var run struct {
		Phase    v1alpha1.RunPhase
		Finished bool
		Claims   int64
	}
	query := ""
	if wait > 0 {
		query = "?wait=" + wait.String()
	}
	if err := a.call(ctx, http.MethodGet, a.export(one)+"/runs/"+id+query, id, nil, &run); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if run.Finished {
		one.finished = true
		a.told = append(a.told, toldEnd{one.namespace, id, run.Phase, run.Claims})
	}
	return nil
}

// download reads each file of a run that has some, and compares it with what the list says. It follows the run where no files are served.
func (a *applicant) download(ctx context.Context, one *asking) error {
	if !a.downloads {
		return a.follow(ctx, one, 0)
	}
	id := a.id(one)
	if id == "" {
		return a.ask(ctx, one)
	}
	var run struct{ Links struct{ Files string } }
	if err := a.call(ctx, http.MethodGet, a.export(one)+"/runs/"+id, id, nil, &run); err != nil || run.Links.Files == "" {
		return err
	}
	var list struct {
		Items []struct {
			Name, Link, SHA256 string
			Size               int64
		}
	}
	if err := a.call(ctx, http.MethodGet, run.Links.Files, id, nil, &list); err != nil {
		return err
	}
	for _, file := range list.Items {
		content, err := a.read(ctx, http.MethodGet, file.Link, id, nil)
		if err != nil {
			return err
		}
		if sum := hashOf(content); sum != file.SHA256 || int64(len(content)) != file.Size {
			a.untrue("%s came whole with %d bytes of the hash %s, and was announced with %d of %s", file.Link, len(content), sum, file.Size, file.SHA256)
		}
		a.mu.Lock()
		a.loads = append(a.loads, download{one.namespace, id, file.Name, hashOf(content)})
		a.mu.Unlock()
	}
	return nil
}

// call asks for a document.
func (a *applicant) call(ctx context.Context, method, at, run string, header http.Header, into any) error {
	content, err := a.read(ctx, method, at, run, header)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(content, into); err != nil {
		a.untrue("%s %s was answered with what is no document: %s", method, at, err)
		return err
	}
	return nil
}

// read asks, about a run if one is named, and returns the whole answer. One that says that what is there is not, or that the request is wrong, is
// remembered, unless somebody has deleted the run.
func (a *applicant) read(ctx context.Context, method, at, run string, header http.Header) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, a.at+at, http.NoBody)
	if err != nil {
		return nil, err
	}
	for name, values := range header {
		request.Header[name] = values
	}
	request.Header.Set("Authorization", "Bearer "+a.token)
	answer, err := a.http.Do(request)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(answer.Body)
	if err := errors.Join(err, answer.Body.Close()); err != nil {
		return nil, err
	}
	switch answer.StatusCode {
	case http.StatusOK, http.StatusAccepted:
		return content, nil
	case http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusGatewayTimeout: // to be asked again
	default:
		if delivered, elsewhere := deliveredElsewhere(content); elsewhere { // as the tenant has edited
			return nil, &movedError{delivered}
		}
		if !a.w.wasDeleted(a.t.namespace, run) && !a.w.apiServerLearns() {
			a.untrue("%s %s was answered %s: %.500s", method, at, answer.Status, bytes.TrimSpace(content))
		}
	}
	return nil, fmt.Errorf("%s %s was answered %s", method, at, answer.Status)
}

// movedError says that the files of a run are where its destination does not lead to any more.
type movedError struct{ delivered string }

// Error implements error.
func (e *movedError) Error() string { return "the files are at " + e.delivered }

// deliveredElsewhere reports whether an answer says that files are where their destination does not lead to any more, and where.
func deliveredElsewhere(answer []byte) (delivered string, elsewhere bool) {
	var problem struct{ Code, Detail string }
	if json.Unmarshal(answer, &problem) != nil || problem.Code != v1alpha1.ReasonDestinationChanged {
		return "", false
	}
	delivered, _, elsewhere = strings.Cut(problem.Detail, leadsElsewhere)
	return delivered, elsewhere
}

// learnTime is how long an API server that was started takes to know roles, accounts and all that it serves.
const learnTime = 15 * time.Second

// apiServerLearns reports whether the API server may not know yet what is there and who may do what.
func (w *world) apiServerLearns() bool {
	return w.apiServerEnded.Load() || time.Since(time.Unix(0, w.apiServerServes.Load())) < learnTime
}

// untrue remembers an answer that may not be.
func (a *applicant) untrue(format string, args ...any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.untruths = append(a.untruths, fmt.Sprintf(format, args...))
}

// unanswered asks again for what was never answered, and says what still is not.
func (a *applicant) unanswered(ctx context.Context) string {
	limited, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	all, _ := a.known()
	for _, one := range all {
		if a.id(one) != "" {
			continue
		}
		if err := a.ask(limited, one); err != nil {
			return fmt.Sprintf("the request %s for a run of %s/%s is not answered: %s", one.key, one.namespace, one.export, err)
		}
	}
	return ""
}

// lookAgain lets the applications ask for each of their runs and files once more, now that all is at rest: each is answered.
func (w *world) lookAgain(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, w.restPatience())
	defer cancel()
	for _, a := range w.applications {
		all, _ := a.known()
		for _, one := range all {
			for _, look := range []func() error{func() error { return a.follow(ctx, one, 0) }, func() error { return a.download(ctx, one) }} {
				err := look()
				for ; err != nil && ctx.Err() == nil && !w.wasDeleted(a.t.namespace, a.id(one)); err = look() {
					if moved := (*movedError)(nil); errors.As(err, &moved) {
						_ = a.t.bringBack(ctx, w.api, moved.delivered) // tried again, should it fail
					}
					pause(ctx, 500*time.Millisecond)
				}
				if err != nil && !w.wasDeleted(a.t.namespace, a.id(one)) {
					a.untrue("run %s of %s/%s is not told at rest: %s", a.id(one), one.namespace, one.export, err)
				}
			}
		}
	}
}

// deletes remembers that somebody deletes a run.
func (w *world) deletes(run *v1alpha1.ExportRun) {
	w.deleted.Store(path.Join(run.Namespace, run.Name), true)
	w.deleted.Store(string(run.UID), true)
}

// wasDeleted reports whether a run of the name was.
func (w *world) wasDeleted(namespace, name string) bool {
	_, was := w.deleted.Load(path.Join(namespace, name))
	return was
}

// gatherAnswers collects what the applications were told.
func (e *evidence) gatherAnswers(w *world) {
	for _, a := range w.applications {
		a.mu.Lock()
		for _, one := range a.asked {
			e.asked = append(e.asked, *one)
		}
		e.told, e.loads, e.untruths = append(e.told, a.told...), append(e.loads, a.loads...), append(e.untruths, a.untruths...)
		a.mu.Unlock()
	}
	e.deleted = map[string]bool{}
	w.deleted.Range(func(name, _ any) bool {
		e.deleted[name.(string)] = true
		return true
	})
}

// judgeAnswers insists that each key has made one run, and that what applications were told, and downloaded, is so.
func (j *judgement) judgeAnswers() {
	e := j.evidence
	here := map[string]*resource{} // runs of the first cluster, by namespace and name
	for i := range e.resources {
		if run := &e.resources[i]; run.cluster == e.home {
			here[path.Join(run.Namespace, run.Name)] = run
		}
	}
	known := map[string]bool{}
	for _, one := range e.asked {
		if len(one.ids) != 1 {
			j.note(&j.found.Repeated, "the request %s for a run of %s/%s has %d runs: %q", one.key, one.namespace, one.export, len(one.ids), one.ids)
		}
		for _, id := range one.ids {
			name := path.Join(one.namespace, id)
			known[name] = true
			if here[name] == nil && !e.deleted[name] {
				j.note(&j.found.Repeated, "the request %s for a run of %s/%s was answered with %s, which does not exist", one.key, one.namespace, one.export, id)
			}
		}
	}
	for name, run := range here {
		if run.Annotations[v1alpha1.RequestedByAnnotation] == accountOf(run.Namespace) && !known[name] {
			j.note(&j.found.Repeated, "ExportRun %s is of an application, and no request was answered with it", name)
		}
	}
	committed := map[string]recordedRun{}
	for _, run := range e.runs {
		name := path.Join(run.namespace, run.name)
		if run.cluster != e.home || run.state != "committed" {
			continue
		}
		if _, twice := committed[name]; twice && known[name] {
			j.note(&j.found.Repeated, "what an application asked for as %s was exported twice", name)
		}
		committed[name] = run
	}
	j.judgeTold(here, committed)
	for _, untruth := range e.untruths {
		j.note(&j.found.Mistold, "%s", untruth)
	}
}

// judgeTold compares what was told, and downloaded, with what is left.
func (j *judgement) judgeTold(here map[string]*resource, committed map[string]recordedRun) {
	for _, end := range j.evidence.told {
		name := path.Join(end.namespace, end.run)
		if run := here[name]; run != nil && !j.evidence.deleted[name] && (run.Status.Phase != end.phase || run.Status.Claims != end.claims) {
			j.note(&j.found.Mistold, "ExportRun %s was told as %s with %d claims, and is %s with %d", name, end.phase, end.claims, run.Status.Phase, run.Status.Claims)
		}
	}
	for _, load := range j.evidence.loads {
		run, known := committed[path.Join(load.namespace, load.run)]
		at := run.location[:strings.LastIndex(run.location, "/")+1] + load.file
		content, there := j.evidence.files[at]
		if !known || !there || hashOf(content) != load.sha256 {
			j.note(&j.found.Mistold, "what was downloaded as %s of %s/%s is not what is at %q", load.file, load.namespace, load.run, at)
		}
	}
}
