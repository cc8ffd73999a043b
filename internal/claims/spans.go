package claims

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerport/ledgerport/internal/tracing"
)

// spans tells the trace of an attempt of each statement, by what it does with which tables of the ledger. Neither its text is told, in which
// are the names of the application's tables, nor a parameter.
type spans struct{}

type (
	statementKey struct{}
	batchKey     struct{}
)

// TraceQueryStart implements pgx.QueryTracer.
func (spans) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if !tracing.Traced(ctx) {
		return ctx
	}
	return withSpan(ctx, statementKey{}, nameOf(data.SQL))
}

// TraceQueryEnd implements pgx.QueryTracer.
func (spans) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryEndData) {
	endSpan(ctx, statementKey{}, data.Err, data.CommandTag.RowsAffected())
}

// TraceBatchStart implements pgx.BatchTracer: a batch is one way to the server and back, and one span.
func (spans) TraceBatchStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	if !tracing.Traced(ctx) || data.Batch == nil || data.Batch.Len() == 0 {
		return ctx
	}
	last := data.Batch.QueuedQueries[data.Batch.Len()-1] // before it come settings, or others of its kind
	return withSpan(ctx, batchKey{}, nameOf(last.SQL))
}

// TraceBatchQuery implements pgx.BatchTracer.
func (spans) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

// TraceBatchEnd implements pgx.BatchTracer.
func (spans) TraceBatchEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchEndData) {
	endSpan(ctx, batchKey{}, data.Err, 0)
}

// TraceConnectStart implements pgx.ConnectTracer.
func (spans) TraceConnectStart(ctx context.Context, _ pgx.TraceConnectStartData) context.Context {
	if !tracing.Traced(ctx) {
		return ctx
	}
	return withSpan(ctx, statementKey{}, "sql connect")
}

// TraceConnectEnd implements pgx.ConnectTracer.
func (spans) TraceConnectEnd(ctx context.Context, data pgx.TraceConnectEndData) {
	endSpan(ctx, statementKey{}, data.Err, 0)
}

func withSpan(ctx context.Context, key any, name string) context.Context {
	_, span := tracing.Start(ctx, name)
	return context.WithValue(ctx, key, span)
}

func endSpan(ctx context.Context, key any, err error, rows int64) {
	span, _ := ctx.Value(key).(*tracing.Span)
	if span == nil {
		return
	}
	if rows > 0 {
		span.Count("ledgerport.rows", rows)
	}
	endStatement(span, err)
}

// endStatement ends the span of a statement. Of what a server refuses it tells the code, which is one of PostgreSQL's or made up in five
// letters.
func endStatement(span *tracing.Span, err error) {
	if errors.Is(err, pgx.ErrNoRows) {
		err = nil
	}
	if span != nil && err != nil {
		if code := sqlState(err); sqlCode.MatchString(code) {
			span.Note("db.response.status_code", code)
		}
	}
	span.End(err)
}

// mostTables is how many tables a name has.
const mostTables = 3

var (
	sqlCode    = regexp.MustCompile(`^[0-9A-Z]{5}$`)
	ownTables  = regexp.MustCompile(`\bledgerport\.([a-z_]+)\b`)
	statements = []string{"SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "BEGIN", "COMMIT", "ROLLBACK", "SET", "DECLARE", "FETCH", "CLOSE", "CREATE", "ALTER", "LOCK"}
	// tables of the ledger. Nothing else of a statement is part of a name: a ClaimSource may have put it there.
	tables = []string{
		"adopted_vouchers", "claim_status", "claim_tables", "exported_claims", "held_claims", "ledger", "reversal_vouchers", "run_receipts", "run_vouchers", "runs",
		"schema_version", "submitted_vouchers", "voided_vouchers", "voucher_numbers", "vouchers",
	}
)

// nameOf names a statement by its first word, and by tables of the ledger that occur in it.
func nameOf(sql string) string {
	word, _, _ := strings.Cut(strings.TrimSpace(sql[:min(len(sql), 64)]), " ")
	word = strings.ToUpper(strings.TrimRight(word, ";\n\t"))
	if !slices.Contains(statements, word) {
		word = "statement"
	}
	named := []string{"sql", word}
	for _, found := range ownTables.FindAllStringSubmatch(sql, -1) {
		if table := found[1]; slices.Contains(tables, table) && !slices.Contains(named, table) && len(named) < 2+mostTables {
			named = append(named, table)
		}
	}
	return strings.Join(named, " ")
}
