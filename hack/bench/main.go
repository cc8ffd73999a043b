// Command bench measures the whole pipeline, every stage, as the operator runs it, against a plain COPY of the same rows
// in the same run. It prints one JSON object per exporter.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/exporters/builtin"
	"github.com/ledgerport/ledgerport/test/application"
	"github.com/ledgerport/ledgerport/test/environment"
)

const organization = "3f2c9a1e-0000-4000-8000-000000000001"

// options are the flags: which bench, and of how much.
type options struct {
	claims, apply, requests, exported, fresh, others, herd, console, guests, storm, fleet, sources, receipts int
	hostile                                                                                                  time.Duration
	only                                                                                                     string
	maxSeconds, maxRatio                                                                                     float64
	second                                                                                                   variant
	// child and receiptsChild are what a process of the command itself measures, on the database, as the variant own.
	child, receiptsChild, database, guestsAt string
	own                                      variant
}

func parse() (o options) {
	flag.IntVar(&o.claims, "claims", 100000, "approved claims, of three lines each")
	flag.StringVar(&o.only, "exporter", "", "measure this exporter alone")
	flag.Float64Var(&o.maxSeconds, "max-seconds", 0, "fail if a pipeline takes longer; 0 is no limit")
	flag.BoolVar(&o.second.bound, "row-security", false, "measure each exporter a second time, as the least-privileged role that row-level security binds")
	flag.BoolVar(&o.second.everyKind, "every-kind", false, "measure each exporter a second time, with a chart of company cards, splits and reverse charge; the claims have those")
	flag.IntVar(&o.apply, "apply", 0, "measure instead the time from applying an export to its success, over this many exports")
	flag.DurationVar(&o.hostile, "hostile", 0, "measure instead how much longer requests of one tenant take while eight hostile ones attack for so long")
	flag.IntVar(&o.requests, "requests", 20, "of the tenant that is measured, before the attack and, at least, during it")
	flag.IntVar(&o.exported, "history", 0, "measure instead a run of an organisation that has exported so many claims, against the same run in an empty ledger")
	flag.IntVar(&o.fresh, "new", 1000, "new claims of that run")
	flag.Float64Var(&o.maxRatio, "max-ratio", 0, "fail if it takes more times as long; 0 is no limit")
	flag.IntVar(&o.others, "shared", 0, "measure instead a run of some 5,000 claims in tables in which others have so many")
	flag.IntVar(&o.herd, "herd", 0, "measure instead so many exports of 50 claims that are due in the same second")
	flag.IntVar(&o.console, "console", 0, "measure instead how long the console takes to answer requests for runs, quietly and while so many exports run")
	flag.IntVar(&o.guests, "guests", 0, "measure instead how much longer runs take while so many requests wait at the console")
	flag.StringVar(&o.guestsAt, "guests-at", "", "wait there so many times (for the command itself)")
	flag.IntVar(&o.storm, "storm", 0, "measure instead how long an edit waits while so many exports are told that the source which they share is broken")
	flag.IntVar(&o.fleet, "fleet", 0, "measure instead an operator with so many exports of which none is due")
	flag.IntVar(&o.sources, "sources", 1000, "of the fleet's exports have a source and a destination of their own")
	flag.IntVar(&o.receipts, "receipts", 0, "measure instead an export that delivers so many receipts of 200 kB from one bucket to another")
	flag.StringVar(&o.child, "measure", "", "measure one exporter in this process (for the command itself)")
	flag.StringVar(&o.receiptsChild, "measure-receipts", "", "deliver receipts in this process (for the command itself)")
	flag.StringVar(&o.database, "database-url", "", "the database of the measuring process")
	flag.BoolVar(&o.own.bound, "bound", false, "let the measuring process have the pipeline log in as the least-privileged role")
	flag.BoolVar(&o.own.everyKind, "full-chart", false, "let the measuring process have the chart of every kind")
	flag.Parse()
	return o
}

func main() {
	o := parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := measureWhatIsAsked(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func measureWhatIsAsked(ctx context.Context, o options) error {
	switch {
	case o.child != "":
		return measureHere(ctx, o.child, o.database, o.claims, o.own)
	case o.receiptsChild != "":
		return measureReceiptsHere(ctx, o.receiptsChild, o.database)
	case o.receipts > 0:
		return onPostgres(ctx, func(directory, database string) error { return measureReceipts(ctx, directory, database, o.receipts) })
	case o.herd > 0:
		return measureHerd(ctx, o.herd)
	case o.console > 0:
		return measureConsole(ctx, o.console)
	case o.guestsAt != "":
		return beGuests(ctx, o.guests, o.guestsAt)
	case o.guests > 0:
		return measureGuests(ctx, o.guests, o.claims, o.requests)
	case o.storm > 0:
		return measureStorm(ctx, o.storm)
	case o.fleet > 0:
		return measureFleet(ctx, o.fleet, o.sources)
	case o.hostile > 0:
		return measureHostile(ctx, o.claims, o.requests, o.hostile)
	case o.exported > 0:
		return onPostgres(ctx, func(_, database string) error { return measureHistory(ctx, database, o.exported, o.fresh, o.maxRatio) })
	case o.others > 0:
		return onPostgres(ctx, func(_, database string) error { return measureShared(ctx, database, o.others) })
	case o.apply > 0:
		return onPostgres(ctx, func(directory, database string) error {
			return measureApply(ctx, directory, database, o.claims, o.apply)
		})
	default:
		return onPostgres(ctx, func(_, database string) error {
			return measureAll(ctx, database, o.claims, o.only, o.maxSeconds, o.second)
		})
	}
}

// onPostgres measures something with a directory and a server of its own.
func onPostgres(ctx context.Context, measure func(directory, database string) error) (err error) {
	directory, err := os.MkdirTemp("", "ledgerport-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(directory)) }()
	postgres, err := environment.StartPostgres(ctx, filepath.Join(directory, "postgres"), os.Stderr)
	if err != nil {
		return err
	}
	defer postgres.Stop()
	return measure(directory, postgres.URL)
}

// variant is how an exporter is measured a second time.
type variant struct {
	bound     bool // the pipeline logs in as the role that row-level security binds
	everyKind bool // the chart has company cards, splits and reverse charge
}

// measureAll fills a database and measures each exporter in a process of its own, so that its peak memory is its own.
func measureAll(ctx context.Context, database string, claims int, only string, maxSeconds float64, second variant) error {
	if err := fill(ctx, database, claims, second.everyKind); err != nil {
		return err
	}
	for _, exporter := range builtin.Exporters() {
		if only != "" && only != exporter.Type() {
			continue
		}
		if _, online := exporter.(exporters.NeedsCredentials); online {
			fmt.Fprintf(os.Stderr, "bench: %s speaks to a system of its own, and is left out\n", exporter.Type())
			continue
		}
		variants := []variant{{}}
		if second != (variant{}) {
			variants = append(variants, second)
		}
		for _, v := range variants {
			result, err := measureInChild(ctx, exporter.Type(), database, claims, v)
			if err != nil {
				return fmt.Errorf("exporter %s: %w", exporter.Type(), err)
			}
			if maxSeconds > 0 && result.Seconds > maxSeconds {
				return fmt.Errorf("exporter %s took %.2f s, more than %.2f s", exporter.Type(), result.Seconds, maxSeconds)
			}
		}
	}
	return nil
}

func fill(ctx context.Context, url string, claims int, everyKind bool) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }() // a connection of its own; nothing is pending
	if err := application.CreateTables(ctx, conn); err != nil {
		return err
	}
	_, err = application.Fill(ctx, conn, application.Content{
		OrganizationID: organization, Claims: claims, LinesPerClaim: 3, Seed: 1,
		ApprovedFrom: time.Now().Add(-40 * 24 * time.Hour), ApprovedTo: time.Now().Add(-time.Hour),
		EveryKind: everyKind,
	})
	return err
}

func measureInChild(ctx context.Context, exporter, url string, claims int, v variant) (result, error) {
	self, err := os.Executable()
	if err != nil {
		return result{}, err
	}
	var out bytes.Buffer
	command := exec.CommandContext(ctx, self, "-measure="+exporter, "-database-url="+url, fmt.Sprintf("-claims=%d", claims),
		fmt.Sprintf("-bound=%t", v.bound), fmt.Sprintf("-full-chart=%t", v.everyKind)) // #nosec G204 -- this program itself
	command.Stdout, command.Stderr = &out, os.Stderr
	if err := command.Run(); err != nil {
		return result{}, err
	}
	fmt.Print(out.String())
	var measured result
	return measured, json.Unmarshal(out.Bytes(), &measured)
}
