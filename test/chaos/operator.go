package main

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/ledgerport/ledgerport/hack/environment"
)

// operator is one process of the product, started again whenever it ends, as a kubelet would.
type operator struct {
	name  string
	start func(name string) (*environment.Operator, error)

	mu      sync.Mutex
	process *environment.Operator
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
	for {
		err := o.process.Wait()
		o.mu.Lock()
		if o.stopped {
			o.mu.Unlock()
			o.ended <- err
			return
		}
		o.process, err = o.start(o.name)
		o.mu.Unlock()
		if err != nil {
			o.ended <- err
			return
		}
	}
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
			say("%s ended with: %s", o.name, ended) // an operator that is no leader any more says so
		}
		return err
	case <-time.After(20 * time.Second):
		o.signal(syscall.SIGKILL)
		return fmt.Errorf("%s did not end within its grace period", o.name)
	}
}
