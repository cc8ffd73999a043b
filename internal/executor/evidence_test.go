package executor

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/pipeline"
)

func TestAnAttemptLeavesEvidenceInTheLog(t *testing.T) {
	t.Parallel()
	const secret = "hunter2"
	for name, test := range map[string]struct {
		run  func() error
		want map[string]any // of the last line
	}{
		"one that succeeds": {func() error { return nil }, map[string]any{"msg": "the attempt has ended", "committed": true, "stage": "Commit"}},
		"one that the database refuses": {
			func() error {
				return failure.Transient(v1alpha1.ReasonInternal, fmt.Errorf("%s: %w", secret, &pgconn.PgError{Code: "40P01", Message: secret}), "an unexpected error")
			},
			map[string]any{"msg": "the attempt has failed", "reason": "InternalError", "message": "an unexpected error", "causes": "[*fmt.wrapError *pgconn.PgError SQLSTATE 40P01]"},
		},
		"one that panics": {func() error { panic(secret) }, map[string]any{"msg": "the attempt has failed", "reason": "Panicked"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var written bytes.Buffer // read after the end of the attempt, which is its last line
			e, _ := newExecutor(1)
			e.log = logr.FromSlogHandler(slog.NewJSONHandler(&written, nil))
			e.run = func(context.Context, pipeline.Task, *pipeline.Progress) (pipeline.Outcome, error) {
				err := test.run()
				return pipeline.Outcome{Stage: v1alpha1.StageCommit, Committed: err == nil}, err
			}
			e.Ensure(pipeline.Task{RunID: "a", Namespace: "acme", Name: "monthly-1", Export: "monthly", Number: 3})
			waitForEnd(t, e, "a")
			lines := strings.Split(strings.TrimSpace(written.String()), "\n")
			begin, end := decoded(t, lines[0]), decoded(t, lines[len(lines)-1])
			if begin["msg"] != "the attempt begins" || begin["exportRun"] != "monthly-1" || begin["attempt"] != 3.0 || begin["work"] != "Export" {
				t.Errorf("it begins with %v", begin)
			}
			for key, want := range test.want {
				if fmt.Sprint(end[key]) != fmt.Sprint(want) {
					t.Errorf("%s is %v at its end, want %v", key, end[key], want)
				}
			}
			if strings.Contains(written.String(), secret) {
				t.Errorf("the log quotes an error: %s", written.String())
			}
		})
	}
}

func decoded(t *testing.T, line string) (record map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(line), &record); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	return record
}
