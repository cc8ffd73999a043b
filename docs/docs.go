// Package docs holds the pages that the command quotes.
package docs

import "embed"

// Reasons are the pages with the tables of reasons.
//
//go:embed reasons.md credentials.md kinds/*.md
var Reasons embed.FS

// Exporters are the pages with the tables of options, one for each built-in exporter.
//
//go:embed exporters/*.md
var Exporters embed.FS
