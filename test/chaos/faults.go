package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failpoint"
)

// pointPatience is how long operators have time to come to a point, before another fault's turn comes.
const pointPatience = 5 * time.Second

// leaseGone is longer than the operators' lease: an operator that is stopped for so long has lost it.
const leaseGone = 3500 * time.Millisecond

// done counts the faults.
type done struct {
	kills, freezes, cuts, restores, obstacles int
	forgotten                                 []string // claims that a restored database exported again
}

// killsPerRestore is how many operators are killed for each time that an old backup of the database is restored. The first time
// is in the middle of those.
const killsPerRestore = 50

// torment causes faults in the order of the seed until enough operators were killed and enough time is over, or too much.
func (w *world) torment(ctx context.Context, kills int, least, most time.Duration) (done, error) {
	end := w.traffic(ctx, w.random.Uint64())
	defer func() {
		if end != nil {
			end()
		}
	}()
	var count done
	fault := w.disturbProcesses()
	if w.pods != nil {
		fault = w.disturbPods
	}
	begun := time.Now()
	for (count.kills < kills || time.Since(begun) < least) && (most == 0 || time.Since(begun) < most) && ctx.Err() == nil {
		if count.kills >= min(kills, killsPerRestore)/2+count.restores*killsPerRestore {
			end()
			end = nil
			forgotten, err := w.restore(ctx)
			if err != nil {
				return count, fmt.Errorf("restoring an older backup: %w", err)
			}
			count.restores++
			count.forgotten = append(count.forgotten, forgotten...)
			end = w.traffic(ctx, w.random.Uint64())
		}
		if err := fault(ctx, &count); err != nil {
			return count, err
		}
		pause(ctx, time.Duration(w.random.IntN(1000))*time.Millisecond)
	}
	return count, ctx.Err()
}

// disturbProcesses returns what causes one fault each time where operators are processes of this machine.
func (w *world) disturbProcesses() func(context.Context, *done) error {
	points, next := w.points(), 0
	return func(ctx context.Context, count *done) error {
		switch dice := w.random.IntN(20); {
		case dice < 10: // at a failpoint, each in its turn
			point := points[next%len(points)]
			next++
			if w.reach(ctx, point, "kill", pointPatience) != 0 {
				count.kills++
				say("killed at %s (%d)", point, count.kills)
			} else {
				say("no operator came to %s", point)
			}
		case dice < 14:
			pause(ctx, time.Duration(w.random.IntN(2000))*time.Millisecond)
			if dice < 12 {
				if killed := w.approveUnattended(ctx); killed > 0 {
					count.kills += killed
					say("approved what waited while no operator was there, and killed them (%d)", count.kills)
					break
				}
			}
			victim := w.operators[w.random.IntN(len(w.operators))]
			victim.signal(syscall.SIGKILL)
			count.kills++
			say("killed %s (%d)", victim.name, count.kills)
		case dice < 16:
			count.freezes += w.freeze(ctx, points[w.random.IntN(len(points))])
		case dice < 19:
			return w.cut(ctx, count)
		default:
			return w.breakServer(ctx)
		}
		return nil
	}
}

// reach lets the operator that comes to a point first do what is said, and returns its process id: 0 where none came in time.
func (w *world) reach(ctx context.Context, point failpoint.Point, action string, within time.Duration) (pid int) {
	if err := w.arm(point, action); err != nil {
		return 0
	}
	if slices.Contains(failpoint.ReleasePoints(), point) && !slices.Contains(failpoint.ExportPoints(), point) {
		w.cancelRuns(ctx) // whose claims are given back
	}
	return w.await(ctx, point, within)
}

// cancelRuns cancels what is under way of each tenant.
func (w *world) cancelRuns(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, pointPatience)
	defer cancel()
	for _, t := range w.tenants {
		var list v1alpha1.ExportRunList
		_ = w.api.List(limited, &list, client.InNamespace(t.namespace)) // the API server may be away
		for i := range list.Items {
			if run := &list.Items[i]; !run.Status.Phase.Finished() {
				_ = w.api.Patch(limited, run, merge(`{"spec": {"cancel": true}}`))
			}
		}
	}
}

// arm lets the operator that comes to a point first do what is said.
func (w *world) arm(point failpoint.Point, action string) error {
	return os.WriteFile(filepath.Join(w.failpoints, string(point)), []byte(action), 0o600)
}

// await returns the process that came to an armed point: 0 where none did in time.
func (w *world) await(ctx context.Context, point failpoint.Point, within time.Duration) (pid int) {
	armed := filepath.Join(w.failpoints, string(point))
	patience, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for patience.Err() == nil {
		if pid := w.taken(armed); pid != 0 {
			return pid
		}
		pause(patience, 10*time.Millisecond)
	}
	if os.Remove(armed) == nil { // nobody does any more
		return 0
	}
	return w.taken(armed) // at the last moment
}

// taken returns the process that took what was armed.
func (w *world) taken(armed string) int {
	found, _ := filepath.Glob(armed + ".*") // the pattern is well formed
	for _, path := range found {
		_ = os.Remove(path) // told once
		pid, _ := strconv.Atoi(path[strings.LastIndex(path, ".")+1:])
		return pid
	}
	return 0
}

// freeze stops an operator, at a point or anywhere, for longer than its lease, and wakes it up.
func (w *world) freeze(ctx context.Context, point failpoint.Point) int {
	victim := w.operators[w.random.IntN(len(w.operators))]
	pid, where := victim.pid(), "anywhere"
	if w.random.IntN(3) > 0 {
		if pid = w.reach(ctx, point, "stop", pointPatience); pid == 0 {
			say("no operator came to %s", point)
			return 0
		}
		where = "at " + string(point)
	} else {
		_ = syscall.Kill(pid, syscall.SIGSTOP) // it may just have ended
	}
	pause(ctx, leaseGone+time.Duration(w.random.IntN(2000))*time.Millisecond)
	_ = syscall.Kill(pid, syscall.SIGCONT)
	say("stopped an operator %s for longer than its lease", where)
	return 1
}

// cut disturbs the way to a server, or ends sessions there.
func (w *world) cut(ctx context.Context, count *done) error {
	count.cuts++
	line, to := w.toDatabase, "the database"
	if w.random.IntN(2) == 0 {
		line, to = w.toStore, "the store"
	}
	long := time.Duration(200+w.random.IntN(3000)) * time.Millisecond
	switch w.random.IntN(5) {
	case 0:
		say("no way to %s for %s", to, long)
		line.cut()
		pause(ctx, long)
		return line.repair()
	case 1:
		say("everything to %s takes longer for %s", to, long)
		return disturbed(ctx, line, long, trouble{delay: 300 * time.Millisecond, jitter: 200 * time.Millisecond})
	case 2:
		say("%s hears nothing for %s", to, long)
		return disturbed(ctx, line, long, trouble{lost: true})
	case 3:
		say("connections to %s are reset in the middle", to)
		return disturbed(ctx, line, long, trouble{reset: int64(500 + w.random.IntN(20000))})
	default:
		say("sessions in the database are terminated")
		return w.terminate(ctx)
	}
}

func disturbed(ctx context.Context, l *line, long time.Duration, how trouble) error {
	l.disturb(how)
	pause(ctx, long)
	l.calm()
	return nil
}

func (w *world) terminate(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, w.postgres.URL)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'ledgerport%'`)
	return errors.Join(err, conn.Close(ctx))
}

// breakServer restarts PostgreSQL or the API server, or fills the destination.
func (w *world) breakServer(ctx context.Context) error {
	switch w.random.IntN(3) {
	case 0:
		say("PostgreSQL is shut down at once and started again")
		return w.postgres.Restart(ctx)
	case 1:
		away := time.Duration(w.random.IntN(4000)) * time.Millisecond
		say("the API server is killed, and started again after %s", away)
		w.apiServerEnded.Store(true)
		err := w.controlPlane.RestartAPIServer(ctx, away)
		w.apiServerServes.Store(time.Now().UnixNano())
		w.apiServerEnded.Store(false)
		return err
	default:
		return w.fillVolume(ctx)
	}
}

// fillVolume leaves no room at the destination for a while.
func (w *world) fillVolume(ctx context.Context) error {
	if w.volume == "" {
		return nil
	}
	say("the destination is full")
	filler := filepath.Join(w.volume, fillerName)
	file, err := os.Create(filler)
	if err != nil {
		return err
	}
	chunk := make([]byte, 64<<10)
	for err == nil {
		_, err = file.Write(chunk)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		return errors.Join(err, file.Close())
	}
	pause(ctx, time.Duration(1000+w.random.IntN(3000))*time.Millisecond)
	return errors.Join(file.Close(), os.Remove(filler))
}

const fillerName = "filler"
