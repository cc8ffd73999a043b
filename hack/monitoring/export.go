package main

import "github.com/grafana/grafana-foundation-sdk/go/dashboard"

// export shows one AccountingExport.
func export() (dashboard.Dashboard, error) {
	of := `{namespace="$namespace", export="$export"}`
	return board("export", "Ledgerport / Export", "One AccountingExport: does it run, when did it succeed, what is held.", "now-30d").
		WithVariable(choice("namespace", "Namespace", "ledgerport_export_last_run_failed, namespace")).
		WithVariable(choice("export", "Export", `ledgerport_export_last_run_failed{namespace="$namespace"}, export`)).
		WithPanel(number("Ready", "1 where runs can begin.", plainUnit, 0, query{"", `max(ledgerport_export_ready` + of + `)`})).
		WithPanel(number("Credentials ready", "1 where the credentials of the export are in order, if it has any.", plainUnit, 0,
			query{"", `max(ledgerport_credentials_ready{kind="AccountingExport", namespace="$namespace", name="$export"})`})).
		WithPanel(number("Last run failed", "1 where the newest run has failed or is incomplete.", plainUnit, 1, query{"", `max(ledgerport_export_last_run_failed` + of + `)`})).
		WithPanel(number("Held claims", "That the newest successful run has left out.", plainUnit, 1, query{"", `max(ledgerport_export_held_claims` + of + `)`})).
		WithPanel(number("Since the last success", "Or since the export was created.", seconds, 0, query{"", `min(ledgerport_export_seconds_since_last_success` + of + `)`})).
		WithPanel(number("Overdue", "Since the oldest slot that no success has followed; absent without a schedule.", seconds, 3600, query{"", `min(ledgerport_export_overdue_seconds` + of + `)`})).
		WithPanel(lines("Time since the last success, and between slots", "The first goes back to 0 at each success. A weekend or a short month makes it longer than the second, though nothing was missed.", seconds,
			query{"since the last success", `min(ledgerport_export_seconds_since_last_success` + of + `)`},
			query{"between the two newest slots", `max(ledgerport_export_expected_interval_seconds` + of + `)`})).
		WithPanel(lines("Overdue", "Above an hour LedgerportNoSuccess fires.", seconds, query{"overdue", `min(ledgerport_export_overdue_seconds` + of + `)`})).
		WithPanel(lines("Held claims", "Each is named, with its reason, in ledgerport.held_claims.", plainUnit, query{"held", `max(ledgerport_export_held_claims` + of + `)`})).
		WithPanel(lines("Part of the deadline that the newest attempt took", "Above 80 % LedgerportNearDeadline fires.", ratio, query{"of spec.deadline", `max(ledgerport_export_deadline_used_ratio` + of + `)`})).
		Build()
}
