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

func main() {
	claims := flag.Int("claims", 100000, "approved claims, of three lines each")
	only := flag.String("exporter", "", "measure this exporter alone")
	maxSeconds := flag.Float64("max-seconds", 0, "fail if a pipeline takes longer; 0 is no limit")
	rowSecurity := flag.Bool("row-security", false, "measure each exporter a second time, as the least-privileged role that row-level security binds")
	everyKind := flag.Bool("every-kind", false, "measure each exporter a second time, with a chart of company cards, splits and reverse charge; the claims have those")
	apply := flag.Int("apply", 0, "measure instead the time from applying an export to its success, over this many exports")
	hostile := flag.Duration("hostile", 0, "measure instead how much longer requests of one tenant take while eight hostile ones attack for so long")
	requests := flag.Int("requests", 20, "of the tenant that is measured, before the attack and, at least, during it")
	exported := flag.Int("history", 0, "measure instead a run of an organisation that has exported so many claims, against the same run in an empty ledger")
	fresh := flag.Int("new", 1000, "new claims of that run")
	maxRatio := flag.Float64("max-ratio", 0, "fail if it takes more times as long; 0 is no limit")
	child := flag.String("measure", "", "measure one exporter in this process (for the command itself)")
	database := flag.String("database-url", "", "the database of the measuring process")
	bound := flag.Bool("bound", false, "let the measuring process have the pipeline log in as the least-privileged role")
	fullChart := flag.Bool("full-chart", false, "let the measuring process have the chart of every kind")
	herd := flag.Int("herd", 0, "measure instead so many exports of 50 claims that are due in the same second")
	console := flag.Int("console", 0, "measure instead how long the console takes to answer requests for runs, quietly and while so many exports run")
	storm := flag.Int("storm", 0, "measure instead how long an edit waits while so many exports are told that the source which they share is broken")
	fleet := flag.Int("fleet", 0, "measure instead an operator with so many exports of which none is due")
	sources := flag.Int("sources", 1000, "of the fleet's exports have a source and a destination of their own")
	receipts := flag.Int("receipts", 0, "measure instead an export that delivers so many receipts of 200 kB from one bucket to another")
	receiptsChild := flag.String("measure-receipts", "", "deliver receipts in this process (for the command itself)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	var err error
	switch {
	case *child != "":
		err = measureHere(ctx, *child, *database, *claims, variant{bound: *bound, everyKind: *fullChart})
	case *receiptsChild != "":
		err = measureReceiptsHere(ctx, *receiptsChild, *database)
	case *receipts > 0:
		err = onPostgres(ctx, func(directory, database string) error { return measureReceipts(ctx, directory, database, *receipts) })
	case *herd > 0:
		err = measureHerd(ctx, *herd)
	case *console > 0:
		err = measureConsole(ctx, *console)
	case *storm > 0:
		err = measureStorm(ctx, *storm)
	case *fleet > 0:
		err = measureFleet(ctx, *fleet, *sources)
	case *hostile > 0:
		err = measureHostile(ctx, *claims, *requests, *hostile)
	case *exported > 0:
		err = onPostgres(ctx, func(_, database string) error { return measureHistory(ctx, database, *exported, *fresh, *maxRatio) })
	case *apply > 0:
		err = onPostgres(ctx, func(directory, database string) error { return measureApply(ctx, directory, database, *claims, *apply) })
	default:
		second := variant{bound: *rowSecurity, everyKind: *everyKind}
		err = onPostgres(ctx, func(_, database string) error { return measureAll(ctx, database, *claims, *only, *maxSeconds, second) })
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
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
