package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/test/environment"
)

const (
	// guests is the namespace of the application that waits.
	guests = "guests"
	// guestRounds are how often requests are measured without and with guests, in turn, so that both see the same machine.
	guestRounds = 4
	// guestBrowsers are connections that the guests share.
	guestBrowsers = 50
	// guestWait is how long one of them waits.
	guestWait = 60 * time.Second
	// guestsRatio is the figure.
	guestsRatio = 1.1
	// guestToken and guestAuthority are variables of the process with the guests.
	guestToken, guestAuthority = "LEDGERPORT_GUEST_TOKEN", "LEDGERPORT_GUEST_AUTHORITY"
)

// guestsResult is one line of output.
type guestsResult struct {
	Bench    string  `json:"bench"`
	Guests   int     `json:"guests"`
	Claims   int     `json:"claims"` // of each run
	Runs     int     `json:"runs"`   // of either kind
	QuietP50 float64 `json:"quietP50Seconds"`
	GuestP50 float64 `json:"guestsP50Seconds"`
	Ratio    float64 `json:"ratio"`
	QuietCPU float64 `json:"quietOperatorMilliseconds"` // of processors, a run
	GuestCPU float64 `json:"guestsOperatorMilliseconds"`
	// Console and Asking are how many processors console and guests have kept busy meanwhile.
	Console float64 `json:"consoleProcessors"`
	Asking  float64 `json:"guestsProcessors"`
	Load    string  `json:"load"`
}

// measureGuests measures runs of one tenant, without and with an application that waits for so many answers of the console at once.
func measureGuests(ctx context.Context, count, claims, requests int) (err error) {
	directory, err := os.MkdirTemp("", "ledgerport-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(directory)) }()
	s, end, err := startSiege(ctx, directory, claims, 2*guestRounds*requests)
	if err != nil {
		return err
	}
	defer end()
	if err := s.create(ctx, append([]client.Object{namespaceOf(honest)}, shared(honest, s.postgres.URL)...)...); err != nil {
		return err
	}
	at, stop, err := s.inviteGuests(ctx, directory)
	if err != nil {
		return err // the console ends with this process
	}
	defer stop()
	if _, err := s.request(ctx); err != nil { // it waits until all is ready
		return err
	}
	result := guestsResult{Bench: "guests", Guests: count, Claims: claims}
	var quiet, disturbed []float64
	var busy occupied
	for range guestRounds {
		took, cpu, err := s.measured(ctx, requests)
		if err != nil {
			return err
		}
		quiet, result.QuietCPU = append(quiet, took...), result.QuietCPU+cpu
		came, err := at.come(ctx, count)
		if err != nil {
			return err
		}
		took, cpu, err = s.measured(ctx, requests)
		if err := errors.Join(err, came.leave(&busy)); err != nil {
			return err
		}
		disturbed, result.GuestCPU = append(disturbed, took...), result.GuestCPU+cpu
	}
	result.Runs = len(quiet)
	result.QuietCPU, result.GuestCPU = round(result.QuietCPU/float64(len(quiet))), round(result.GuestCPU/float64(len(disturbed)))
	result.QuietP50, result.GuestP50 = round(median(quiet)), round(median(disturbed))
	result.Console, result.Asking = round(busy.console.Seconds()/busy.elapsed.Seconds()), round(busy.guests.Seconds()/busy.elapsed.Seconds())
	result.Ratio, result.Load = round(median(disturbed)/median(quiet)), loadNow()
	if err := json.NewEncoder(os.Stdout).Encode(result); err != nil {
		return err
	}
	if result.Ratio > guestsRatio {
		return fmt.Errorf("the figure is a ratio of %g", guestsRatio)
	}
	return nil
}

// measured makes requests one after another, and returns the seconds that each took, and what processor time the operator took for all.
func (s *siege) measured(ctx context.Context, requests int) (took []float64, cpu float64, err error) {
	before, err := environment.CPU(s.operator.Pid())
	if err != nil {
		return nil, 0, err
	}
	for range requests {
		seconds, err := s.request(ctx)
		if err != nil {
			return nil, 0, err
		}
		took = append(took, seconds)
	}
	after, err := environment.CPU(s.operator.Pid())
	return took, float64((after - before).Milliseconds()), err
}

func median(seconds []float64) float64 {
	sorted := slices.Sorted(slices.Values(seconds))
	return sorted[len(sorted)/2]
}

func loadNow() string {
	load, _, _ := strings.Cut(machineLoad(), " ")
	return load
}

// lounge is where guests wait: a run that does not end, at a console.
type lounge struct {
	url, token, authority string
	console               int // its process
}

// occupied is the processor time that console and guests have taken, in so much time.
type occupied struct{ console, guests, elapsed time.Duration }

// inviteGuests starts the console, makes a run that waits for a source that does not exist, and an account that may wait for it.
func (s *siege) inviteGuests(ctx context.Context, directory string) (at *lounge, stop func(), err error) {
	console, authority, err := startConsole(s.plane.Config, s.binary, directory)
	if err != nil {
		return nil, nil, err
	}
	stop = func() { _ = console.Kill() } // all has been measured
	export := dueExport(guests, guests, "nobody")
	export.Annotations = nil
	run := &v1alpha1.ExportRun{ObjectMeta: metav1.ObjectMeta{Namespace: guests, Name: guests}, Spec: v1alpha1.ExportRunSpec{ExportRef: v1alpha1.LocalReference{Name: guests}}}
	if err := s.create(ctx, namespaceOf(guests), export, run); err != nil {
		return nil, nil, err
	}
	token, err := applicationOf(ctx, s.api, guests, "get", "list", "watch")
	path := console.URL + "/api/v1/namespaces/" + guests + "/exports/" + guests + "/runs/" + guests
	return &lounge{path, token, string(authority), console.Pid()}, stop, err
}

// party are guests that have come.
type party struct {
	at      *lounge
	process *exec.Cmd
	end     context.CancelFunc
	// came is when all had asked, with the processor time until then.
	came   time.Time
	before occupied
}

// come has guests wait, in a process of their own that takes what processors others leave, until they leave.
func (l *lounge) come(ctx context.Context, count int) (_ *party, err error) {
	ctx, cancel := context.WithCancel(ctx)
	command := exec.CommandContext(ctx, "nice", "-n", "19", os.Args[0], fmt.Sprint("-guests=", count), "-guests-at="+l.url) // #nosec G204 -- this program
	command.Env = append(os.Environ(), guestToken+"="+l.token, guestAuthority+"="+l.authority)
	command.Stderr = os.Stderr
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	settled, err := command.StdoutPipe()
	if err == nil {
		err = command.Start()
	}
	if err != nil {
		cancel()
		return nil, err
	}
	if _, err := io.ReadFull(settled, make([]byte, 1)); err != nil { // all have asked
		cancel()
		return nil, errors.Join(errors.New("the guests do not come"), err, command.Wait())
	}
	p := &party{at: l, process: command, end: cancel, came: time.Now()}
	p.before, err = p.taken()
	return p, err
}

// taken is the processor time that console and guests have taken until now.
func (p *party) taken() (occupied, error) {
	console, err := environment.CPU(p.at.console)
	if err != nil {
		return occupied{}, err
	}
	guests, err := environment.CPU(p.process.Process.Pid)
	return occupied{console, guests, time.Since(p.came)}, err
}

// leave has the guests go, and adds what was taken while they were there.
func (p *party) leave(busy *occupied) error {
	now, err := p.taken()
	busy.console += now.console - p.before.console
	busy.guests += now.guests - p.before.guests
	busy.elapsed += now.elapsed - p.before.elapsed
	p.end()
	_ = p.process.Wait() // it was told to end
	return err
}

// beGuests waits for an answer at an address, so many times at once, and again and again. It says on standard output when all have asked.
func beGuests(ctx context.Context, count int, at string) error {
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM([]byte(os.Getenv(guestAuthority)))
	browsers := make([]*http.Client, guestBrowsers)
	for i := range browsers {
		browsers[i] = &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12}}}
	}
	var group, asked sync.WaitGroup
	asked.Add(count)
	for i := range count {
		group.Go(func() { beGuest(ctx, browsers[i%len(browsers)], at, sync.OnceFunc(asked.Done)) })
	}
	asked.Wait()
	if _, err := os.Stdout.WriteString("!"); err != nil {
		return err
	}
	group.Wait()
	return nil
}

// beGuest asks until the context ends. Who is refused comes again when it is told to.
func beGuest(ctx context.Context, browser *http.Client, at string, asked func()) {
	defer asked()
	for ctx.Err() == nil {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, at+"?wait="+guestWait.String(), http.NoBody)
		if err != nil {
			return
		}
		request.Header.Set("Authorization", "Bearer "+os.Getenv(guestToken))
		arriving := time.AfterFunc(5*time.Second, asked) // nobody has refused it: it waits
		answer, err := browser.Do(request)
		arriving.Stop()
		asked()
		after := 1
		if err == nil {
			_, _ = io.Copy(io.Discard, answer.Body) // so that the connection is used again
			_ = answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				continue
			}
			if told, err := strconv.Atoi(answer.Header.Get("Retry-After")); err == nil {
				after = told
			}
		}
		select {
		case <-time.After(time.Duration(after)*time.Second + rand.N(time.Second)): // #nosec G404 -- so that not all of a second come at once
		case <-ctx.Done():
		}
	}
}
