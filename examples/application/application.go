package main

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"html/template"
	"io"
	"log"
	"mime"
	"net/http"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/application/ledgerport"
)

//go:embed pages.html progress.js
var files embed.FS

var pages = template.Must(template.ParseFS(files, "pages.html"))

// application answers its users. It would ask who they are, and show each what is theirs.
type application struct {
	database *pgxpool.Pool
	exports  *ledgerport.Client
}

// request is one press of the button.
type request struct {
	ID          string
	RequestedAt time.Time
	Run         *string
}

// prepare makes the table of requests.
func (a *application) prepare(ctx context.Context) error {
	_, err := a.database.Exec(ctx, `CREATE TABLE IF NOT EXISTS export_requests (
		id uuid PRIMARY KEY DEFAULT gen_random_uuid(), requested_at timestamptz NOT NULL DEFAULT now(), run text)`)
	return err
}

func (a *application) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", a.answering(a.list))
	mux.HandleFunc("POST /exports", a.answering(a.press))
	mux.HandleFunc("GET /exports/{id}", a.answering(a.show))
	mux.HandleFunc("GET /exports/{id}/progress", a.answering(a.progress))
	mux.HandleFunc("GET /exports/{id}/file", a.answering(a.file))
	mux.Handle("GET /progress.js", http.FileServerFS(files))
	return http.NewCrossOriginProtection().Handler(mux)
}

// answering says what has failed in the words of the API, which are for people.
func (a *application) answering(answer func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		err := answer(w, r)
		var problem *ledgerport.Problem
		switch {
		case err == nil:
		case errors.Is(err, pgx.ErrNoRows):
			http.NotFound(w, r)
		case errors.As(err, &problem):
			http.Error(w, problem.Detail, http.StatusBadGateway)
		default:
			log.Print(err)
			http.Error(w, "that has failed; try again", http.StatusServiceUnavailable)
		}
	}
}

func (a *application) list(w http.ResponseWriter, r *http.Request) error {
	rows, _ := a.database.Query(r.Context(), `SELECT id::text, requested_at, run FROM export_requests ORDER BY requested_at DESC LIMIT 50`) // the error comes with the rows
	requests, err := pgx.CollectRows(rows, pgx.RowToStructByPos[request])
	if err != nil {
		return err
	}
	return pages.ExecuteTemplate(w, "list", requests)
}

// press makes the request a row before anything is asked for: from then on it is known, and can be asked for again and again.
func (a *application) press(w http.ResponseWriter, r *http.Request) error {
	var id string
	if err := a.database.QueryRow(r.Context(), `INSERT INTO export_requests DEFAULT VALUES RETURNING id::text`).Scan(&id); err != nil {
		return err
	}
	// If nobody answers now, the page of the request asks again.
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	if _, err := a.run(ctx, id); err != nil {
		log.Print(err)
	}
	http.Redirect(w, r, "/exports/"+id, http.StatusSeeOther)
	return nil
}

// run returns the run of a request, which is asked for if that has not been answered yet.
func (a *application) run(ctx context.Context, id string) (string, error) {
	var run *string
	if err := a.database.QueryRow(ctx, `SELECT run FROM export_requests WHERE id::text = $1`, id).Scan(&run); err != nil || run != nil {
		return value(run), err
	}
	asked, err := a.exports.Request(ctx, id)
	if err != nil {
		return "", err
	}
	_, err = a.database.Exec(ctx, `UPDATE export_requests SET run = $2 WHERE id::text = $1`, id, asked.ID)
	return asked.ID, err
}

func value(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

func (a *application) show(w http.ResponseWriter, r *http.Request) error {
	var one request
	row := a.database.QueryRow(r.Context(), `SELECT id::text, requested_at, run FROM export_requests WHERE id::text = $1`, r.PathValue("id"))
	if err := row.Scan(&one.ID, &one.RequestedAt, &one.Run); err != nil {
		return err
	}
	return pages.ExecuteTemplate(w, "show", one)
}

// progress is asked for by the page again and again. It waits for a change, so that the page hears of the end at once.
func (a *application) progress(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), 20*time.Second)
	defer cancel()
	id, err := a.run(ctx, r.PathValue("id"))
	if err != nil {
		return err
	}
	run, err := a.exports.Wait(ctx, id, 10*time.Second)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(run)
}

// file passes the first file of the run on.
func (a *application) file(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), 10*time.Minute)
	defer cancel()
	run, err := a.run(ctx, r.PathValue("id"))
	if err != nil {
		return err
	}
	list, err := a.exports.Files(ctx, run)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return pgx.ErrNoRows
	}
	content, err := a.exports.Open(ctx, list[0])
	if err != nil {
		return err
	}
	defer func() { _ = content.Close() }() // only read
	header := w.Header()
	header.Set("Content-Type", list[0].MediaType)
	header.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": list[0].Name}))
	header.Set("Content-Length", strconv.FormatInt(list[0].Size, 10))
	if _, err := io.Copy(w, content); err != nil {
		panic(http.ErrAbortHandler) // the browser must not take a part for the whole
	}
	return nil
}
