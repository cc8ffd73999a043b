package observability_test

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/tsdb"

	"github.com/ledgerport/ledgerport/exporters/builtin"
	"github.com/ledgerport/ledgerport/internal/metrics"
)

// healthy are the queries that return nothing where all is well, and why. Every other one must return something.
var healthy = map[string]string{
	"Ledgerport / Fleet: Exports that are not ready or overdue":      "none is",
	"Ledgerport / Fleet: Held claims by export":                      "none is held",
	"Ledgerport / Fleet: Resources that cannot be decoded":           "all can be, and the series is of those that cannot",
	"Ledgerport / Fleet: Credentials from the environment":           "their store works",
	"Ledgerport / Fleet: Runs that ended otherwise than they should": "all succeeded",
	"Ledgerport / Fleet: Failures of databases and destinations":     "a reason is counted from its first failure on",
	"LedgerportDown":                "the operator answers",
	"LedgerportCredentialsNotReady": "they are ready", "LedgerportCredentialsFallback": "their store works",
	"LedgerportRunFailed": "none failed", "LedgerportExportNotReady": "all are ready", "LedgerportNoSuccess": "no slot was missed",
	"LedgerportClaimsHeld": "none is held", "LedgerportNearDeadline": "a run of some claims takes no part of an hour", "LedgerportAttemptOverdue": "all return",
	"LedgerportNotNotified": "every target is told",
}

const (
	interval = 30 * time.Second // between two scrapes, as far as the engine knows
	job      = "ledgerport-metrics"
)

// asked is a query, and who asks it.
type asked struct{ name, expression string }

// metricName is the label that is the name of a metric.
const metricName = "__name__"

func queriesReturnData(t *testing.T, scrapes []scrape) {
	expressions := parser.NewParser(parser.Options{})
	database, err := tsdb.Open(t.TempDir(), slog.New(slog.DiscardHandler), nil, tsdb.DefaultOptions(), nil)
	must(t, err)
	t.Cleanup(func() { must(t, database.Close()) })
	served := map[string]map[string]bool{"up": {}} // labels by metric
	newest := time.Now()
	for n, s := range scrapes {
		at := newest.Add(time.Duration(n-len(scrapes)+1) * interval)
		ingest(t, database, s, at, served)
	}
	for name := range declared(t) {
		if _, is := served[name]; !is {
			served[name] = declared(t)[name]
		}
	}
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 1e6, Timeout: time.Minute, LookbackDelta: 5 * time.Minute, Parser: expressions})
	queries := append(ofDashboards(t), ofAlerts(t, expressions)...)
	if len(queries) < 50 {
		t.Errorf("there are %d queries only", len(queries))
	}
	empty := map[string]bool{}
	for _, q := range queries {
		expression, err := expressions.ParseExpr(q.expression)
		if err != nil {
			t.Errorf("%s asks %s: %v", q.name, q.expression, err)
			continue
		}
		checkNames(t, q, expression, served)
		query, err := engine.NewInstantQuery(t.Context(), database, nil, q.expression, newest)
		must(t, err)
		result := query.Exec(t.Context())
		must(t, result.Err)
		vector, err := result.Vector()
		must(t, err)
		switch _, mayBeEmpty := healthy[q.name]; {
		case len(vector) == 0:
			empty[q.name] = true
			if !mayBeEmpty {
				t.Errorf("%s returns nothing: %s", q.name, q.expression)
			}
		case !slices.ContainsFunc(vector, func(s promql.Sample) bool { return !math.IsNaN(s.F) }):
			t.Errorf("%s returns no number: %s", q.name, q.expression)
		}
		query.Close()
	}
	for name := range healthy {
		if !empty[name] {
			t.Errorf("%s is said to return nothing where all is well, and returns something or does not exist", name)
		}
	}
}

// ingest writes a scrape as Prometheus does, with the labels of the target, and notes the names of metrics and labels.
func ingest(t *testing.T, database *tsdb.DB, s scrape, at time.Time, served map[string]map[string]bool) {
	t.Helper()
	appender := database.Appender(t.Context())
	write := func(series labels.Labels, value float64) {
		with := labels.NewBuilder(series).Set("job", job).Set("instance", "10.0.0.1:8443").Labels()
		name := with.Get(metricName)
		if served[name] == nil {
			served[name] = map[string]bool{}
		}
		with.Range(func(l labels.Label) { served[name][l.Name] = true })
		_, err := appender.Append(0, with, at.UnixMilli(), value)
		must(t, err)
	}
	write(labels.FromStrings(metricName, "up"), 1)
	parsed, err := textparse.New(s.content, s.contentType, labels.NewSymbolTable(), textparse.ParserOptions{})
	must(t, err)
	for {
		entry, err := parsed.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		must(t, err)
		if entry != textparse.EntrySeries {
			continue
		}
		var series labels.Labels
		parsed.Labels(&series)
		_, _, value := parsed.Series()
		write(series, value)
	}
	must(t, appender.Commit())
}

var description = regexp.MustCompile(`fqName: "([^"]+)".*variableLabels: \{([^}]*)\}`)

// declared are the metrics that the operator declares, with their labels: some have no series before the first failure.
func declared(t *testing.T) map[string]map[string]bool {
	t.Helper()
	found := map[string]map[string]bool{}
	descriptions := make(chan *prometheus.Desc, 100)
	metrics.New(nil, builtin.Registry(), time.Now).Describe(descriptions)
	close(descriptions)
	for d := range descriptions {
		parts := description.FindStringSubmatch(d.String())
		if parts == nil {
			t.Fatalf("%s is not understood", d)
		}
		found[parts[1]] = map[string]bool{"job": true, "instance": true}
		for label := range strings.SplitSeq(parts[2], ",") {
			found[parts[1]][label] = true
		}
	}
	return found
}

// checkNames looks whether metrics, labels that are compared, and labels that results are grouped by exist.
func checkNames(t *testing.T, q asked, expression parser.Expr, served map[string]map[string]bool) {
	t.Helper()
	parser.Inspect(expression, func(node parser.Node, path []parser.Node) error {
		selector, is := node.(*parser.VectorSelector)
		if !is {
			return nil
		}
		known, is := served[selector.Name]
		if !is {
			t.Errorf("%s asks for %s, which the operator does not serve", q.name, selector.Name)
			return nil
		}
		var used []string
		for _, matcher := range selector.LabelMatchers {
			used = append(used, matcher.Name)
		}
		for _, above := range path {
			if aggregate, is := above.(*parser.AggregateExpr); is {
				used = append(used, aggregate.Grouping...)
			}
		}
		for _, label := range used {
			if label != metricName && !known[label] {
				t.Errorf("%s uses the label %s, which %s does not have", q.name, label, selector.Name)
			}
		}
		return nil
	})
}

// variables are what a person has chosen at the top of a dashboard.
var variables = strings.NewReplacer("$__rate_interval", "2m", "$namespace", "acme", "$export", "monthly", "$job", job)

func ofDashboards(t *testing.T) (queries []asked) {
	t.Helper()
	files, err := filepath.Glob("../../config/grafana/*.json")
	must(t, err)
	if len(files) != 3 {
		t.Errorf("there are %d dashboards", len(files))
	}
	for _, file := range files {
		var board struct {
			Title  string
			Panels []struct {
				Type, Title string
				Targets     []struct{ Expr string }
			}
			Templating struct {
				List []struct {
					Name, Type string
					Query      any
				}
			}
		}
		content, err := os.ReadFile(file)
		must(t, err)
		must(t, json.Unmarshal(content, &board))
		for _, panel := range board.Panels {
			if len(panel.Targets) == 0 && panel.Type != "row" {
				t.Errorf("%s: %s asks nothing", board.Title, panel.Title)
			}
			for _, target := range panel.Targets {
				queries = append(queries, asked{board.Title + ": " + panel.Title, variables.Replace(target.Expr)})
			}
		}
		for _, variable := range board.Templating.List {
			if variable.Type != "query" {
				continue
			}
			series, label, found := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(variable.Query.(string), "label_values("), ")"), ", ")
			if !found {
				t.Fatalf("%s: the variable %s asks %v", board.Title, variable.Name, variable.Query)
			}
			queries = append(queries, asked{board.Title + ": $" + variable.Name, "count by (" + label + ") (" + variables.Replace(series) + ")"})
		}
	}
	return queries
}

// ofAlerts returns the queries of the plain file of rules, which Prometheus itself must be able to read.
func ofAlerts(t *testing.T, expressions parser.Parser) (queries []asked) {
	t.Helper()
	content, err := os.ReadFile("../../config/alerts/ledgerport.rules.yaml")
	must(t, err)
	groups, wrong := rulefmt.Parse(content, false, model.UTF8Validation, expressions, slog.New(slog.DiscardHandler))
	if len(wrong) > 0 {
		t.Fatalf("config/alerts/ledgerport.rules.yaml: %v", wrong)
	}
	for _, group := range groups.Groups {
		for _, rule := range group.Rules {
			queries = append(queries, asked{rule.Alert, rule.Expr})
		}
	}
	return queries
}
