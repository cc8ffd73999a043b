package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/console/problem"
)

// eventStream is the media type of a stream of changes.
const eventStream = "text/event-stream"

// follow tells of a run: now, when it has finished, or whenever it changes.
func (a *api) follow(w http.ResponseWriter, r *asked) error {
	wait, err := a.waitOf(r)
	if err != nil {
		return err
	}
	streamed := accepts(r.Header.Values("Accept"), eventStream)
	if wait == 0 && !streamed {
		run, err := r.find(r.Context())
		if err != nil {
			return err
		}
		return write(w, r, http.StatusOK, described(run))
	}
	ctx, cancel := context.WithTimeout(r.Context(), a.Limits.LongestStream)
	defer cancel()
	end := cancel
	if !streamed {
		end = nil // it does not wait for so long
	}
	giveBack, taken := a.waiting.take(r.caller.Share(), end)
	if !taken {
		return problem.Busy("as many requests wait as may, of yours or of all; ask without waiting, or again later")
	}
	defer giveBack()
	if streamed {
		return a.stream(ctx, w, r)
	}
	return a.wait(w, r, wait)
}

// waitOf is how long the answer may wait.
func (a *api) waitOf(r *asked) (time.Duration, error) {
	text := r.URL.Query().Get("wait")
	if text == "" {
		return 0, nil
	}
	wait, err := time.ParseDuration(text)
	if err != nil || wait < 0 || wait > a.Limits.LongestWait {
		return 0, problem.New(http.StatusBadRequest, problem.BadRequest, "wait is a time from 0s to %s, such as 30s", a.Limits.LongestWait)
	}
	return wait, nil
}

// accepts reports whether a client wants a media type.
func accepts(header []string, mediaType string) bool {
	for part := range strings.SplitSeq(strings.Join(header, ","), ",") {
		if is, _, err := mime.ParseMediaType(part); err == nil && is == mediaType {
			return true
		}
	}
	return false
}

// wait answers when the run has finished, or the time is over.
func (a *api) wait(w http.ResponseWriter, r *asked, wait time.Duration) error {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	known := make(chan struct{})
	go func() { // the time is over, but not before anything is known
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		select {
		case <-known:
		case <-ctx.Done():
		}
		cancel()
	}()
	var newest *v1alpha1.ExportRun
	err := a.watches.follow(ctx, r, func(run *v1alpha1.ExportRun) error {
		if newest == nil {
			close(known)
		}
		newest = run
		return nil
	})
	if newest == nil {
		return err
	}
	return write(w, r, http.StatusOK, described(newest)) // how far it has come; the next question says why no more is known
}

// A stream has so many events at once, and one more after each betweenEvents: who may edit a run may do it a hundred times a second, while a
// thousand streams tell of it.
const (
	eventsAtOnce  = 10
	betweenEvents = time.Second
)

// stream sends the run whenever it changes, until it has finished, or the context ends.
func (a *api) stream(ctx context.Context, w http.ResponseWriter, r *asked) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	changes, ended := make(chan *v1alpha1.ExportRun, 1), make(chan error, 1)
	go func() {
		ended <- a.watches.follow(ctx, r, func(run *v1alpha1.ExportRun) error {
			select { // only the newest counts
			case <-changes:
			default:
			}
			changes <- run
			return nil
		})
	}()
	events := &events{ResponseWriter: w, connection: http.NewResponseController(w)}
	alive := time.NewTicker(a.Limits.Alive)
	defer alive.Stop()
	pace := rate.NewLimiter(rate.Every(betweenEvents), eventsAtOnce)
	next := changes
	var rested <-chan time.Time
	for {
		var err error
		select {
		case run := <-next:
			err = events.run(run)
			if rest := pace.Reserve().Delay(); rest > 0 {
				next, rested = nil, time.After(rest)
			}
		case <-rested:
			next = changes
		case <-alive.C:
			err = events.alive()
		case err = <-ended:
			select {
			case run := <-changes:
				err = events.run(run)
			default:
			}
			return events.end(err)
		}
		if err != nil {
			cancel()
			<-ended //nolint:errcheck // it ends with the context, whose end this is
			return events.end(err)
		}
	}
}

// events is a stream of server-sent events.
type events struct {
	http.ResponseWriter
	connection *http.ResponseController
	begun      bool
}

func (e *events) send(text string) error {
	if !e.begun {
		e.begun = true
		e.Header().Set("Content-Type", eventStream)
		e.Header().Set("X-Accel-Buffering", "no") // of a proxy in between
		e.WriteHeader(http.StatusOK)
	}
	if _, err := e.Write([]byte(text)); err != nil {
		return err
	}
	return e.connection.Flush()
}

// run sends a run. JSON has no line breaks, so that it is one line of the event.
func (e *events) run(run *v1alpha1.ExportRun) error {
	content, err := json.Marshal(described(run))
	if err != nil {
		return err
	}
	return e.send(fmt.Sprintf("id: %s\nevent: run\ndata: %s\n\n", strings.Map(digits, run.ResourceVersion), content))
}

func digits(c rune) rune {
	if c < '0' || c > '9' {
		return -1
	}
	return c
}

// alive says that nothing has changed, to the client and to proxies in between.
func (e *events) alive() error { return e.send(": nothing has changed\n\n") }

// end says why there is no more, if that is not what was waited for. A stream that has begun cannot be answered otherwise.
func (e *events) end(err error) error {
	if err == nil || !e.begun {
		return err
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return nil // the client comes again
	}
	content, marshalling := json.Marshal(problem.Of(err))
	if marshalling != nil {
		return nil //nolint:nilerr // the stream ends all the same
	}
	_ = e.send("event: problem\ndata: " + string(content) + "\n\n") // a client that is gone needs no end
	return nil
}
