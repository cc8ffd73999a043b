package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// process of the product.
type process interface {
	Wait() error
	Signal(signal os.Signal) error
	Pid() int
	PeakRSS() (int64, error)
}

// started is a process with the URL below which it serves its probes.
type started struct {
	process
	probes string
}

// operator is one process of the product, started again whenever it ends, as a kubelet would.
type operator struct {
	name  string
	start func(name string) (started, error)
	// leads is true of one that ends by itself when it has lost its lease, or a server.
	leads bool
	// memory that it may have.
	memory int64

	mu      sync.Mutex
	process started
	resting time.Time // since when nobody disturbs it; zero while somebody does
	crashes []string  // how processes have ended that nobody has ended
	stopped bool
	ended   chan error // of the last process
}

// begin starts the process, and starts it again until stop.
func (o *operator) begin() error {
	process, err := o.start(o.name)
	if err != nil {
		return err
	}
	o.process, o.ended = process, make(chan error, 1)
	go o.supervise()
	return nil
}

func (o *operator) supervise() {
	for began := time.Now(); ; began = time.Now() {
		err := o.process.Wait()
		o.mu.Lock()
		if o.stopped {
			o.mu.Unlock()
			o.ended <- err
			return
		}
		if crash := crashOf(err, !o.resting.IsZero() && began.After(o.resting), o.leads); crash != "" {
			o.crashes = append(o.crashes, fmt.Sprintf("%s ended with %s after %s", o.name, crash, time.Since(began).Round(time.Second)))
		}
		o.process, err = o.start(o.name)
		o.mu.Unlock()
		if err != nil {
			o.ended <- err
			return
		}
	}
}

// crashOf says how a process ended that has not lost its lease or a server (status 1, of one that leads), and was not killed; with nobody
// to disturb it, it may not end at all.
func crashOf(ended error, undisturbed, leads bool) string {
	var status *exec.ExitError
	if !errors.As(ended, &status) {
		return ""
	}
	killed := status.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL
	if !undisturbed && (killed || leads && status.ExitCode() == 1) {
		return ""
	}
	return status.String()
}

// rests reports whether from now on nobody disturbs the operator. It goes on where it was stopped.
func (o *operator) rests(undisturbed bool) {
	o.signal(syscall.SIGCONT)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.resting = time.Time{}
	if undisturbed {
		o.resting = time.Now()
	}
}

// memoryLimit of an operator, as config/manager has it, and consoleMemory of the console, as config/console has it.
const (
	memoryLimit   = 512 << 20
	consoleMemory = 384 << 20
)

// crashed says how processes have ended that nobody has ended, and what is wrong with the one there is.
func (o *operator) crashed(ctx context.Context) []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	crashes := o.crashes
	if peak, err := o.process.PeakRSS(); err != nil || peak > o.memory {
		crashes = append(crashes, fmt.Sprintf("%s has had %d MiB (%v)", o.name, peak>>20, err))
	}
	if err := alive(ctx, o.process.probes+"/healthz"); err != nil {
		crashes = append(crashes, fmt.Sprintf("a kubelet would end %s: %s", o.name, err))
	}
	return crashes
}

// logs are what the operators of both clusters have logged, by the file's name.
func (w *world) logs() (map[string][]byte, error) {
	names, err := filepath.Glob(filepath.Join(w.directory, "*.log"))
	if err == nil && w.staging != nil {
		var more []string
		more, err = filepath.Glob(filepath.Join(w.staging.directory, "*.log"))
		names = append(names, more...)
	}
	logs := make(map[string][]byte, len(names))
	for _, name := range names {
		content, read := os.ReadFile(name)
		logs[filepath.Base(name)], err = content, errors.Join(err, read)
	}
	return logs, err
}

// panicsIn says what faults of the program the operators have caught, or ended by: one of them would otherwise be but another attempt that
// failed.
func panicsIn(logs map[string][]byte) (found []string) {
	for name, content := range logs {
		for line := range bytes.Lines(content) {
			if bytes.Contains(line, []byte(`"panic: `)) || bytes.Contains(line, []byte("Observed a panic")) {
				found = append(found, fmt.Sprintf("%s caught a panic: %.2000s", name, line))
			}
			if bytes.HasPrefix(line, []byte("panic: ")) || bytes.HasPrefix(line, []byte("fatal error: ")) {
				found = append(found, fmt.Sprintf("%s ended by a panic: %.2000s", name, line))
			}
		}
	}
	return found
}

// alive asks a probe, several times as a kubelet does.
func alive(ctx context.Context, probe string) (err error) {
	asking := http.Client{Timeout: 5 * time.Second}
	for range 3 {
		request, _ := http.NewRequestWithContext(ctx, http.MethodGet, probe, http.NoBody) // the URL is well formed
		var answer *http.Response
		if answer, err = asking.Do(request); err == nil {
			_ = answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return nil
			}
			err = errors.New(answer.Status)
		}
		pause(ctx, time.Second)
	}
	return err
}

// signal sends a signal to whichever process there is now.
func (o *operator) signal(signal syscall.Signal) {
	o.mu.Lock()
	defer o.mu.Unlock()
	_ = o.process.Signal(signal) // it may just have ended
}

func (o *operator) pid() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.process.Pid()
}

// stop asks the process to end, and insists that it does within its grace period.
func (o *operator) stop() error {
	o.mu.Lock()
	o.stopped = true
	_ = o.process.Signal(syscall.SIGCONT)
	err := o.process.Signal(syscall.SIGTERM)
	o.mu.Unlock()
	if errors.Is(err, os.ErrProcessDone) {
		err = nil
	}
	select {
	case ended := <-o.ended:
		if ended != nil {
			say("%s ended with: %s", o.name, ended) // an operator that is no leader any more names that
		}
		return err
	case <-time.After(20 * time.Second):
		o.signal(syscall.SIGKILL)
		return fmt.Errorf("%s did not end within its grace period", o.name)
	}
}
