package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/ledgerport/ledgerport/test/stage"

	"example.com/application/ledgerport"
)

// theatre is the application on a stage.
type theatre struct {
	*stage.Stage
	app  *application
	site *httptest.Server
}

func play(t testing.TB) *theatre {
	t.Helper()
	p := &theatre{Stage: stage.Set(t)}
	database, err := pgxpool.New(t.Context(), p.Database)
	p.Must(err)
	t.Cleanup(database.Close)
	token := p.Token("application", "ledgerport-finance")
	p.app = &application{database: database, exports: &ledgerport.Client{
		URL: p.URL, Namespace: stage.Namespace, Export: stage.Export, HTTP: p.HTTP(), Token: func() (string, error) { return token, nil },
	}}
	p.Must(p.app.prepare(t.Context()))
	p.site = httptest.NewServer(p.app.handler())
	t.Cleanup(p.site.Close)
	p.Until(func(ctx context.Context) string { // the API server knows of the operator's certificate, and of the role, a moment later
		if _, err := p.app.exports.Request(ctx, "warm"); err != nil {
			return err.Error()
		}
		return ""
	})
	p.finish(p.progress, "warm")
	return p
}

// press presses the button, and returns the page that the browser is sent to.
func (p *theatre) press() string {
	p.Helper()
	browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := browser.Post(p.site.URL+"/exports", "application/x-www-form-urlencoded", http.NoBody)
	p.Must(err)
	p.Must(answer.Body.Close())
	if answer.StatusCode != http.StatusSeeOther {
		p.Fatalf("the button answers %s", answer.Status)
	}
	return answer.Header.Get("Location")
}

// get reads what the site has at a path.
func (p *theatre) get(path string) (code int, content []byte, err error) {
	answer, err := http.Get(p.site.URL + path)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	content, err = io.ReadAll(answer.Body)
	return answer.StatusCode, content, err
}

// progress asks the site once.
func (p *theatre) progress(page string) (run ledgerport.Run, missing string) {
	code, content, err := p.get(page + "/progress")
	if err != nil || code != http.StatusOK {
		return run, fmt.Sprintf("%d %s %v", code, content, err)
	}
	p.Must(json.Unmarshal(content, &run))
	return run, ""
}

// finish asks until the run has finished.
func (p *theatre) finish(ask func(string) (ledgerport.Run, string), page string) (run ledgerport.Run) {
	p.Helper()
	if page == "warm" {
		ask = func(string) (ledgerport.Run, string) {
			asked, err := p.app.exports.Request(p.Context(), page)
			p.Must(err)
			run, err := p.app.exports.Wait(p.Context(), asked.ID, 10*time.Second)
			p.Must(err)
			return run, ""
		}
	}
	p.Until(func(context.Context) (missing string) {
		run, missing = ask(page)
		if missing == "" && !run.Finished {
			missing = "it is " + run.Phase
		}
		return missing
	})
	return run
}

// download reads the file, and compares it with what is recorded of it.
func (p *theatre) download(page string, run ledgerport.Run) []byte {
	p.Helper()
	code, content, err := p.get(page + "/file")
	p.Must(err)
	files, err := p.app.exports.Files(p.Context(), run.ID)
	p.Must(err)
	sum := sha256.Sum256(content)
	if code != http.StatusOK || len(files) == 0 || hex.EncodeToString(sum[:]) != files[0].SHA256 {
		p.Fatalf("the file is %d with %d bytes, which are not those of %+v", code, len(content), files)
	}
	return content
}

func TestAButtonProgressAndADownload(t *testing.T) {
	t.Parallel()
	p := play(t)
	const claims = 500
	var best time.Duration
	for range 3 {
		p.Approve(claims)
		began := time.Now()
		page := p.press()
		run := p.finish(p.progress, page)
		content := p.download(page, run)
		took := time.Since(began)
		if run.Phase != "Succeeded" || run.Claims == 0 || strings.Count(string(content), "\n") < claims {
			t.Fatalf("the run is %+v, and the file has %d bytes", run, len(content))
		}
		if best == 0 || took < best {
			best = took
		}
	}
	t.Logf("from the button to the whole file of %d claims: %s", claims, best)
	if best > 5*time.Second { // a second on a machine that does nothing else: BenchmarkFromButtonToFile
		t.Errorf("the best of three takes %s", best)
	}
	if _, list, err := p.get("/"); err != nil || strings.Count(string(list), "/exports/") != 3 {
		t.Errorf("the page lists %s, %v", list, err)
	}
	if code, _, err := p.get("/exports/no-such-request/file"); err != nil || code != http.StatusNotFound {
		t.Errorf("a request that does not exist is answered %d, %v", code, err)
	}
}

func TestOperatorAndConsoleAreKilledInBetween(t *testing.T) {
	t.Parallel()
	p := play(t)
	p.Approve(500)
	unlock := p.Lock()
	page := p.press()
	p.Until(func(context.Context) string {
		run, missing := p.progress(page)
		if missing == "" && run.Phase != "Running" {
			missing = "it is " + run.Phase
		}
		return missing
	})
	var answered sync.WaitGroup
	answered.Go(func() { _, _ = p.progress(page) }) // who waits meanwhile is answered in any case
	p.KillConsole()
	p.KillOperator()
	second := p.press() // nobody answers, and the request is kept
	unlock()
	p.StartOperator()
	p.StartConsole()
	answered.Wait()
	run := p.finish(p.progress, page)
	if run.Phase != "Succeeded" || run.Claims == 0 {
		t.Fatalf("it ends as %+v\n%s", run, p.Log())
	}
	p.download(page, run)
	if other := p.finish(p.progress, second); other.Phase != "Succeeded" || other.Claims != 0 || other.ID == run.ID {
		t.Errorf("the other request ends as %+v", other)
	}
	var exported, twice int
	p.WithDatabase(func(ctx context.Context, conn *pgx.Conn) error {
		return conn.QueryRow(ctx, `select count(*), count(*) - count(distinct claim_id) from ledgerport.exported_claims`).Scan(&exported, &twice)
	})
	if int64(exported) != run.Claims || twice != 0 {
		t.Errorf("%d claims are exported, %d of them twice; the run has %d", exported, twice, run.Claims)
	}
}

// BenchmarkFromButtonToFile is the time from the button to the whole file of 500 claims.
func BenchmarkFromButtonToFile(b *testing.B) {
	p := play(b)
	var all []time.Duration
	for b.Loop() {
		b.StopTimer()
		p.Approve(500)
		b.StartTimer()
		began := time.Now()
		page := p.press()
		p.download(page, p.finish(p.progress, page))
		all = append(all, time.Since(began))
	}
	report(b, all)
}

// BenchmarkRequestWhileRunsAreUnderWay is how long the answer to a request takes while eight others follow runs that are under way.
func BenchmarkRequestWhileRunsAreUnderWay(b *testing.B) {
	p := play(b)
	ctx, cancel := context.WithCancel(b.Context())
	var others sync.WaitGroup
	for i := range 8 {
		others.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				if run, err := p.app.exports.Request(ctx, fmt.Sprintf("other-%d-%d", i, n)); err == nil {
					_, _ = p.app.exports.Wait(ctx, run.ID, 10*time.Second) // or it ends with the benchmark
				}
			}
		})
	}
	var all []time.Duration
	for n := 0; b.Loop(); n++ {
		began := time.Now()
		_, err := p.app.exports.Request(b.Context(), fmt.Sprintf("mine-%d", n))
		p.Must(err)
		all = append(all, time.Since(began))
	}
	cancel()
	others.Wait()
	report(b, all)
}

// report says how long half of them, and 99 of 100, take at most.
func report(b *testing.B, all []time.Duration) {
	slices.Sort(all)
	for name, of := range map[string]int{"p50-ms": 50, "p99-ms": 99} {
		b.ReportMetric(float64(all[min(len(all)-1, len(all)*of/100)].Microseconds())/1000, name)
	}
}
