package main

import "github.com/grafana/grafana-foundation-sdk/go/dashboard"

// fleet shows all exports: which of them need somebody, and what they do.
func fleet() (dashboard.Dashboard, error) {
	return board("fleet", "Ledgerport / Fleet", "All exports: which need somebody, and what runs do.", "now-7d").
		WithPanel(number("Exports", "AccountingExports that exist.", plainUnit, 0,
			query{"", `count(max by (namespace, export) (ledgerport_export_last_run_failed))`})).
		WithPanel(number("Not ready", "Exports of which no run can begin.", plainUnit, 1,
			query{"", `count(max by (namespace, export) (ledgerport_export_ready) == 0) or vector(0)`})).
		WithPanel(number("Overdue", "Exports with a slot that passed an hour ago, and no success since.", plainUnit, 1,
			query{"", `count(min by (namespace, export) (ledgerport_export_overdue_seconds) > 3600) or vector(0)`})).
		WithPanel(number("Last run failed", "Exports whose newest run has failed or is incomplete.", plainUnit, 1,
			query{"", `sum(max by (namespace, export) (ledgerport_export_last_run_failed))`})).
		WithPanel(number("Held claims", "Claims that the newest successful runs have left out.", plainUnit, 1,
			query{"", `sum(max by (namespace, export) (ledgerport_export_held_claims))`})).
		WithPanel(number("Credentials not ready", "Resources whose credentials are not in order.", plainUnit, 1,
			query{"", `count(max by (kind, namespace, name) (ledgerport_credentials_ready) == 0) or vector(0)`})).
		WithRow(dashboard.NewRowBuilder("What needs somebody")).
		WithPanel(list("Exports that are not ready or overdue", "Seconds since the oldest slot without a success; 0 where the export is not ready, and no slot has passed.", seconds,
			query{"", `(min by (namespace, export) (ledgerport_export_overdue_seconds) > 3600) or (max by (namespace, export) (ledgerport_export_ready) == 0)`})).
		WithPanel(list("Held claims by export", "ledgerport.held_claims names each claim with its reason.", plainUnit,
			query{"", `max by (namespace, export) (ledgerport_export_held_claims) > 0`})).
		WithPanel(list("Resources that cannot be decoded", "docs/operations.md says what to do.", plainUnit,
			query{"", `max by (kind, namespace, name) (ledgerport_undecodable)`})).
		WithPanel(list("Credentials from the environment", "Their store is broken.", plainUnit,
			query{"", `max by (kind, namespace, name) (ledgerport_credentials_fallback_active) == 1`})).
		WithRow(dashboard.NewRowBuilder("What runs do")).
		WithPanel(lines("Runs that ended", "By their result.", plainUnit,
			query{"{{result}}", `sum by (result) (increase(ledgerport_runs_total[$__rate_interval]))`})).
		WithPanel(lines("Runs that ended otherwise than they should", "By exporter and reason.", plainUnit,
			query{"{{exporter}}: {{reason}}", `sum by (exporter, reason) (increase(ledgerport_runs_total{result!="Succeeded"}[$__rate_interval]))`})).
		WithPanel(lines("Claims exported", "By exporter.", plainUnit,
			query{"{{exporter}}", `sum by (exporter) (increase(ledgerport_claims_exported_total[$__rate_interval]))`})).
		WithPanel(lines("Amount exported", "Debit, in the smallest unit of each currency.", plainUnit,
			query{"{{currency}}", `sum by (currency) (increase(ledgerport_amount_exported_minor_units_total[$__rate_interval]))`})).
		WithPanel(lines("Failures of databases and destinations", "By reason: docs/reasons.md has them all.", plainUnit,
			query{"database: {{reason}}", `sum by (reason) (increase(ledgerport_database_errors_total[$__rate_interval]))`},
			query{"destination: {{reason}}", `sum by (reason) (increase(ledgerport_destination_errors_total[$__rate_interval]))`})).
		WithPanel(lines("Part of the deadline that attempts take", "The ten longest.", ratio,
			query{"{{namespace}}/{{export}}", `topk(10, max by (namespace, export) (ledgerport_export_deadline_used_ratio))`})).
		Build()
}
