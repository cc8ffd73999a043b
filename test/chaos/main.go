// Command chaos runs two operators on real parts, and one of another cluster with the same database, while claims are being
// approved. It kills, stops and cuts off whatever takes part, puts an older backup in place of the database, waits for rest, and
// checks from outside, from files and SQL alone, that every approved claim was exported exactly once. It prints one JSON
// object, and fails where it finds any damage.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

// result is the line of output.
type result struct {
	Chaos   bool   `json:"chaos"`
	Seed    uint64 `json:"seed"`
	Kills   int    `json:"kills"`
	Freezes int    `json:"freezes"`
	Cuts    int    `json:"cuts"`
	// Obstacles kept the pods of attempts from starting for a while, or ended all that there were.
	Obstacles int `json:"obstacles,omitempty"`
	// Attempts that have ended, by reason, where each is a pod of its own.
	Attempts map[v1alpha1.Reason]int `json:"attempts,omitempty"`
	// Restores of a backup that is older than the newest exports.
	Restores int `json:"restores"`
	// Disturbances of the console: it was killed, or stopped for a while.
	Disturbances int64 `json:"disturbances"`
	// Requested are requests of applications for runs, and Downloads the files that they have read.
	Requested int `json:"requested"`
	Downloads int `json:"downloads"`
	// Approved runs have delivered, and Expired ones were not approved in time. Forged are approvals that the API server was to refuse.
	Approved int `json:"approved"`
	Expired  int `json:"expired"`
	Forged   int `json:"forged"`
	// Attacks are what hostile servers answered, and Garbled what was made that does not decode.
	Attacks int64 `json:"attacks"`
	Garbled int64 `json:"garbled"`
	Runs    int   `json:"runs"`
	Claims  int   `json:"claims"`
	damage
}

func main() {
	kills := flag.Int("kills", 25, "operator processes to kill")
	seed := flag.Uint64("seed", 1, "decides which faults come in which order")
	duration := flag.Duration("duration", 0, "go on with faults for at least this long")
	atMost := flag.Duration("at-most", 0, "end with faults after this long, however many operators were killed; 0 is never")
	executor := flag.String("executor", "in-process", "in-process, or job: operators and attempts are pods of the cluster of KUBECONFIG")
	image := flag.String("image", "", "image of the operator, which that cluster has or can pull")
	flag.Parse()
	if err := checkExecutor(*executor, *image); err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(2)
	}
	ctrl.SetLogger(logr.Discard()) // what is said is said here
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	found, err := run(ctx, *kills, *seed, *duration, *atMost, *image)
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
	if err := json.NewEncoder(os.Stdout).Encode(found); err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
	if found.damage != (damage{}) {
		os.Exit(1)
	}
}

// checkExecutor insists on an image where operators are pods, and only there.
func checkExecutor(executor, image string) error {
	switch {
	case executor != "in-process" && executor != "job":
		return fmt.Errorf("-executor is %q; it is in-process or job", executor)
	case executor == "job" && image == "":
		return errors.New("-executor=job needs -image, which the cluster has or can pull")
	case executor != "job" && image != "":
		return errors.New("-image is of pods, which -executor=job has")
	}
	return nil
}

func run(ctx context.Context, kills int, seed uint64, least, most time.Duration, image string) (result, error) {
	w, err := newWorld(ctx, seed, image)
	defer w.stop()
	others := "one of another cluster"
	steps := []func(context.Context) error{w.loosen, w.startStaging, w.startHostile, w.requireApprovals, w.startConsole}
	if w.pods != nil {
		// A second cluster would be another control plane beside that of the nodes. Hostile servers meet attempts in pods in test/e2e, which measures the
		// operators meanwhile; and with kinds that let everything through, as objects need that do not decode, a cluster would be left that is not ours.
		steps, others = []func(context.Context) error{w.requireApprovals, w.startConsole}, "a pod for each attempt"
	}
	for _, step := range steps {
		if err == nil {
			err = step(ctx)
		}
	}
	if err != nil {
		return result{}, fmt.Errorf("starting everything: %w", err)
	}
	say("%d organisations, two operators and %s, seed %d, %d kills", len(w.tenants), others, seed, kills)
	told, err := w.torment(ctx, kills, least, most)
	if err != nil {
		w.keep() // the logs say why
		return result{}, err
	}
	say("no more faults; waiting for rest")
	if err := w.rest(ctx); err != nil {
		say("there is no rest: %s", err) // what is stuck is counted
	}
	w.lookAgain(ctx)
	crashed := w.crashed(ctx)
	endings, err := w.endings(ctx)
	if err != nil {
		return result{}, fmt.Errorf("counting how attempts have ended: %w", err)
	}
	if err := w.lookAtMetrics(ctx); err != nil {
		return result{}, fmt.Errorf("looking at metrics: %w", err)
	}
	if err := w.stopOperators(); err != nil {
		return result{}, fmt.Errorf("stopping the operators: %w", err)
	}
	evidence, err := w.gather(ctx)
	if err != nil {
		return result{}, fmt.Errorf("gathering what is left: %w", err)
	}
	evidence.forgotten, evidence.crashed = told.forgotten, append(evidence.crashed, crashed...)
	damage, report := judge(evidence)
	say("%d of %d runs reversed another, and %d delivered again; %d more were of the hostile tenant", evidence.reversals(), len(evidence.runs), evidence.redeliveries(), evidence.hostile)
	for _, line := range report {
		say("DAMAGE %s", line)
	}
	if len(report) > 0 {
		w.keep()
	}
	approved, expired := evidence.approved()
	found := result{
		Chaos: true, Seed: seed, Kills: told.kills, Freezes: told.freezes, Cuts: told.cuts, Restores: told.restores, Obstacles: told.obstacles,
		Disturbances: w.disturbances.Load(), Requested: len(evidence.asked), Downloads: len(evidence.loads),
		Approved: approved, Expired: expired, Forged: evidence.forged(),
		Garbled: w.garbled.Load(), Attempts: endings,
		Runs: len(evidence.runs), Claims: len(evidence.claims), damage: damage,
	}
	if w.hostile != nil {
		found.Attacks = w.hostile.attacks.Load()
	}
	return found, nil
}

// began is when this process did.
var began = time.Now()

// say tells a person what happens.
func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%7.1f s  %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
}
