package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/test/environment"
)

const (
	// honest is the namespace of the tenant whose requests are measured.
	honest = "honest"
	// mostRequests bounds those under attack: each has an organisation with claims of its own.
	mostRequests = 120
	// hostileRatio and hostilePeak are the figure.
	hostileRatio = 3.0
	hostilePeak  = 320 // MiB
)

// hostileResult is one line of output.
type hostileResult struct {
	Bench       string  `json:"bench"`
	Claims      int     `json:"claims"`   // of each request
	Requests    int     `json:"requests"` // under attack
	QuietP95    float64 `json:"quietP95Seconds"`
	AttackedP95 float64 `json:"attackedP95Seconds"`
	AttackedMax float64 `json:"attackedMaxSeconds"`
	Ratio       float64 `json:"ratio"`
	PeakRSSMiB  float64 `json:"operatorPeakRSSMiB"`
	Restarts    int     `json:"restarts"`
}

// siege is what the bench runs on.
type siege struct {
	api      client.WithWatch
	postgres *environment.Postgres
	operator *environment.Operator
	plane    *environment.ControlPlane
	binary   string
	claims   int
	least    int // requests quietly, and under attack
	asked    int // requests of the honest tenant so far
}

// measureHostile measures the requests of one tenant, quietly and while eight others attack, against a real operator process.
func measureHostile(ctx context.Context, claims, requests int, duration time.Duration) (err error) {
	directory, err := os.MkdirTemp("", "ledgerport-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(directory)) }()
	s, end, err := startSiege(ctx, directory, claims, requests)
	if err != nil {
		return err
	}
	defer end()
	result, err := s.measure(ctx, duration)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(result); err != nil {
		return err
	}
	if result.Ratio > hostileRatio || result.PeakRSSMiB > hostilePeak || result.Restarts > 0 {
		return fmt.Errorf("the figure is a ratio of %g, %d MiB and no restart", hostileRatio, hostilePeak)
	}
	return nil
}

// startSiege starts control plane, database and operator, and makes what the honest tenant needs.
func startSiege(ctx context.Context, directory string, claims, requests int) (s *siege, end func(), err error) {
	assets, err := environment.ControlPlaneAssets(ctx, os.Stderr)
	if err != nil {
		return nil, nil, err
	}
	controlPlane, err := environment.StartControlPlane(ctx, assets, os.Stderr)
	if err != nil {
		return nil, nil, err
	}
	s = &siege{plane: controlPlane, claims: claims, least: requests}
	end = func() {
		if s.operator != nil {
			_ = s.operator.Signal(syscall.SIGKILL) // all has been measured
			_ = s.operator.Wait()
		}
		if s.postgres != nil {
			s.postgres.Stop()
		}
		controlPlane.Stop()
	}
	defer func() {
		if err != nil {
			end()
		}
	}()
	if s.postgres, err = environment.StartPostgres(ctx, filepath.Join(directory, "postgres"), os.Stderr); err != nil {
		return s, end, err
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return s, end, err
	}
	if s.api, err = client.NewWithWatch(controlPlane.Config, client.Options{Scheme: scheme}); err != nil {
		return s, end, err
	}
	if err := fillOrganizations(ctx, s.postgres.URL, claims, requests+mostRequests); err != nil {
		return s, end, err
	}
	if s.binary, err = environment.BuildOperator(ctx, directory, ""); err != nil {
		return s, end, err
	}
	// As in a pod whose limit is the figure: nine tenths of it are for the Go runtime.
	limit := fmt.Sprintf("GOMEMLIMIT=%dMiB", hostilePeak*9/10)
	s.operator, err = environment.RunOperator(controlPlane, s.binary, directory, "operator", []string{limit})
	return s, end, err
}

func (s *siege) measure(ctx context.Context, duration time.Duration) (hostileResult, error) {
	result := hostileResult{Bench: "hostile", Claims: s.claims}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: honest}}
	if err := s.create(ctx, append([]client.Object{namespace}, shared(honest, s.postgres.URL)...)...); err != nil {
		return result, err
	}
	if _, err := s.request(ctx); err != nil { // it waits until all is ready
		return result, err
	}
	fmt.Fprintln(os.Stderr, "bench: all is ready; requests in quiet")
	quiet, err := s.requests(ctx, 0)
	if err != nil {
		return result, err
	}
	fmt.Fprintf(os.Stderr, "bench: p95 is %.2f s; the attack begins\n", p95(quiet))
	stop, err := s.attack(ctx)
	if err != nil {
		return result, err
	}
	defer stop()
	fmt.Fprintln(os.Stderr, "bench: all attack; requests beside them")
	attacked, err := s.requests(ctx, duration)
	if err != nil {
		return result, errors.Join(err, s.operator.Signal(syscall.Signal(0)))
	}
	if s.operator.Signal(syscall.Signal(0)) != nil {
		result.Restarts++
		return result, errors.New("the operator has ended")
	}
	peak, err := s.operator.PeakRSS()
	result.Requests, result.PeakRSSMiB = len(attacked), round(float64(peak)/(1<<20))
	result.QuietP95, result.AttackedP95, result.AttackedMax = round(p95(quiet)), round(p95(attacked)), round(slices.Max(attacked))
	result.Ratio = round(p95(attacked) / p95(quiet))
	return result, err
}

// requests makes requests one after another, at least a number and for at least a time, and returns the seconds that each took.
func (s *siege) requests(ctx context.Context, duration time.Duration) (took []float64, err error) {
	began := time.Now()
	for len(took) < s.least || time.Since(began) < duration && s.asked < s.least+mostRequests {
		seconds, err := s.request(ctx)
		if err != nil {
			return nil, err
		}
		took = append(took, seconds)
	}
	return took, nil
}

// request has the honest tenant export the claims of one more organisation.
func (s *siege) request(ctx context.Context) (float64, error) {
	export := dueExport(honest, fmt.Sprintf("export-%d", s.asked), organizationNumber(s.asked))
	s.asked++
	start := time.Now()
	if err := s.api.Create(ctx, export); err != nil {
		return 0, err
	}
	err := untilSucceeded(ctx, s.api, export, s.claims)
	return time.Since(start).Seconds(), err
}

func (s *siege) create(ctx context.Context, objects ...client.Object) error {
	for _, object := range objects {
		if err := s.api.Create(ctx, object); err != nil {
			return fmt.Errorf("creating %T %s: %w", object, object.GetName(), err)
		}
	}
	return nil
}

func p95(seconds []float64) float64 {
	sorted := slices.Sorted(slices.Values(seconds))
	return sorted[min(len(sorted)-1, len(sorted)*95/100)]
}
