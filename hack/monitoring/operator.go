package main

import "github.com/grafana/grafana-foundation-sdk/go/dashboard"

// operator shows the process: what it spends time, memory and requests on.
func operator() (dashboard.Dashboard, error) {
	const of = `{job="$job"}`
	return board("operator", "Ledgerport / Operator", "The operator itself: attempts, reconcilers, requests to the API server, memory and processors.", "now-6h").
		WithVariable(choice("job", "Job", "ledgerport_attempts_overdue, job")).
		WithPanel(number("Replicas", "That answer Prometheus.", plainUnit, 0, query{"", `sum(up` + of + `)`})).
		WithPanel(number("Leader", "Replicas that hold the lease; absent without --leader-elect.", plainUnit, 2, query{"", `sum(leader_election_master_status` + of + `)`})).
		WithPanel(number("Attempts overdue", "That have not returned since their deadline or cancellation.", plainUnit, 1, query{"", `sum(ledgerport_attempts_overdue` + of + `)`})).
		WithPanel(number("Attempts stuck", "Whose places were given to others.", plainUnit, 1, query{"", `sum(ledgerport_attempts_stuck` + of + `)`})).
		WithPanel(number("Attempts lost", "That ended with their process, in a day.", plainUnit, 1, query{"", `sum(increase(ledgerport_attempts_lost_total` + of + `[1d]))`})).
		WithPanel(number("Resident memory", "Of the largest replica.", bytesUnit, 0, query{"", `max(process_resident_memory_bytes` + of + `)`})).
		WithRow(dashboard.NewRowBuilder("Attempts")).
		WithPanel(lines("Stages, median and 95th percentile", "How long each stage of attempts takes.", seconds,
			query{"{{stage}} 50 %", `histogram_quantile(0.5, sum by (stage, le) (rate(ledgerport_stage_duration_seconds_bucket` + of + `[$__rate_interval])))`},
			query{"{{stage}} 95 %", `histogram_quantile(0.95, sum by (stage, le) (rate(ledgerport_stage_duration_seconds_bucket` + of + `[$__rate_interval])))`})).
		WithPanel(lines("Time in stages", "Seconds of each second, by exporter.", plainUnit,
			query{"{{exporter}}", `sum by (exporter) (rate(ledgerport_stage_duration_seconds_sum` + of + `[$__rate_interval]))`})).
		WithRow(dashboard.NewRowBuilder("Reconcilers")).
		WithPanel(lines("Reconciles", "By controller, in a second.", plainUnit,
			query{"{{controller}}", `sum by (controller) (rate(controller_runtime_reconcile_total` + of + `[$__rate_interval]))`})).
		WithPanel(lines("Errors of reconcilers", "By controller, in a second.", plainUnit,
			query{"{{controller}}", `sum by (controller) (rate(controller_runtime_reconcile_errors_total` + of + `[$__rate_interval]))`})).
		WithPanel(lines("Waiting resources", "In the queue of each controller.", plainUnit,
			query{"{{name}}", `sum by (name) (workqueue_depth` + of + `)`})).
		WithPanel(lines("Time in queues, 95th percentile", "From a change to its reconcile.", seconds,
			query{"{{name}}", `histogram_quantile(0.95, sum by (name, le) (rate(workqueue_queue_duration_seconds_bucket` + of + `[$__rate_interval])))`})).
		WithPanel(lines("Requests to the API server", "By answer, in a second.", plainUnit,
			query{"{{method}} {{code}}", `sum by (method, code) (rate(rest_client_requests_total` + of + `[$__rate_interval]))`})).
		WithRow(dashboard.NewRowBuilder("Process")).
		WithPanel(lines("Processors", "By replica.", plainUnit,
			query{"{{instance}}", `sum by (instance) (rate(process_cpu_seconds_total` + of + `[$__rate_interval]))`})).
		WithPanel(lines("Memory", "Resident, and in use by Go, by replica.", bytesUnit,
			query{"{{instance}} resident", `max by (instance) (process_resident_memory_bytes` + of + `)`},
			query{"{{instance}} heap", `max by (instance) (go_memstats_heap_inuse_bytes` + of + `)`})).
		WithPanel(lines("Goroutines", "By replica.", plainUnit, query{"{{instance}}", `max by (instance) (go_goroutines` + of + `)`})).
		WithPanel(lines("Open files", "By replica.", plainUnit, query{"{{instance}}", `max by (instance) (process_open_fds` + of + `)`})).
		Build()
}
