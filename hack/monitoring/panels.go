package main

import (
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// ours is the tag by which the dashboards find each other.
const ours = "ledgerport"

// The units of panels, as Grafana names them.
const (
	seconds   = "s"
	bytesUnit = "bytes"
	ratio     = "percentunit"
	plainUnit = "short"
)

func pointer[T any](value T) *T { return &value }

// source is the Prometheus that is chosen at the top of a dashboard.
func source() common.DataSourceRef {
	return common.DataSourceRef{Type: pointer("prometheus"), Uid: pointer("${datasource}")}
}

// board begins a dashboard.
func board(name, title, description, from string) *dashboard.DashboardBuilder {
	return dashboard.NewDashboardBuilder(title).Uid("ledgerport-"+name).Description(description).Tags([]string{ours}).
		Readonly().Time(from, "now").Refresh("1m").Timezone(common.TimeZoneBrowser).Tooltip(dashboard.DashboardCursorSyncCrosshair).
		Link(dashboard.NewDashboardLinkBuilder("Ledgerport").Type(dashboard.DashboardLinkTypeDashboards).Tags([]string{ours}).KeepTime(true)).
		WithVariable(dashboard.NewDatasourceVariableBuilder("datasource").Label("Data source").Type("prometheus"))
}

// choice is a variable with the values that a label has.
func choice(name, label, values string) *dashboard.QueryVariableBuilder {
	return dashboard.NewQueryVariableBuilder(name).Label(label).Datasource(source()).
		Query(dashboard.StringOrMap{String: pointer("label_values(" + values + ")")}).
		Refresh(dashboard.VariableRefreshOnTimeRangeChanged).Sort(dashboard.VariableSortAlphabeticalAsc)
}

// query is what a panel asks.
type query struct{ legend, expression string }

func asked(queries []query, instant bool) (targets []cog.Builder[variants.Dataquery]) {
	for i, q := range queries {
		built := prometheus.NewDataqueryBuilder().Datasource(source()).RefId(string(rune('A' + i))).Expr(q.expression)
		if q.legend != "" {
			built.LegendFormat(q.legend)
		}
		if instant {
			built.Instant()
		}
		targets = append(targets, built)
	}
	return targets
}

// number is a panel with one number, which is red from a threshold on; 0 has none.
func number(title, description, unit string, red float64, queries ...query) *stat.PanelBuilder {
	steps := []dashboard.Threshold{{Color: "green"}}
	if red > 0 {
		steps = append(steps, dashboard.Threshold{Value: pointer(red), Color: "red"})
	}
	return stat.NewPanelBuilder().Title(title).Description(description).Datasource(source()).Unit(unit).Height(4).Span(4).
		GraphMode(common.BigValueGraphModeNone).ColorMode(common.BigValueColorModeValue).
		ReduceOptions(common.NewReduceDataOptionsBuilder().Calcs([]string{"lastNotNull"})).
		Thresholds(dashboard.NewThresholdsConfigBuilder().Mode(dashboard.ThresholdsModeAbsolute).Steps(steps)).
		Targets(asked(queries, true))
}

// lines is a panel with values over time.
func lines(title, description, unit string, queries ...query) *timeseries.PanelBuilder {
	return timeseries.NewPanelBuilder().Title(title).Description(description).Datasource(source()).Unit(unit).Min(0).Height(8).Span(12).
		LineWidth(1).FillOpacity(10).ShowPoints(common.VisibilityModeNever).NoValue("none").
		Legend(common.NewVizLegendOptionsBuilder().ShowLegend(true).DisplayMode(common.LegendDisplayModeList).Placement(common.LegendPlacementBottom)).
		Targets(asked(queries, false))
}

// list is a table with a row for each series.
func list(title, description, unit string, queries ...query) *table.PanelBuilder {
	targets := asked(queries, true)
	for _, target := range targets {
		target.(*prometheus.DataqueryBuilder).Format(prometheus.PromQueryFormatTable)
	}
	hidden := map[string]any{"excludeByName": map[string]any{"Time": true}}
	return table.NewPanelBuilder().Title(title).Description(description).Datasource(source()).Unit(unit).Height(8).Span(12).NoValue("none").
		WithTransformation(dashboard.DataTransformerConfig{Id: "organize", Options: hidden}).
		Targets(targets)
}
