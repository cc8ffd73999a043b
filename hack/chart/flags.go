package main

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/pflag"
)

// chosen are the flags that the chart sets by default, as config/manager does.
var chosen = map[string]string{
	"leader-elect":              `true`,
	"metrics-bind-address":      `":8443"`,
	"health-probe-bind-address": `":8081"`,
	"filesystem-root":           `/exports`,
	"spool-directory":           `/spool`,
}

// formats say more of what a flag takes than its type does.
var formats = map[string]map[string]any{
	"books-bind-address":        {"pattern": addressPattern},
	"books-certificates":        {"pattern": pathPattern},
	"metrics-bind-address":      {"pattern": addressPattern},
	"otlp-endpoint":             {"pattern": `^(https?://.+)?$`},
	"health-probe-bind-address": {"pattern": addressPattern},
	"filesystem-root":           {"pattern": pathPattern},
	"receipts-root":             {"pattern": pathPattern},
	"spool-directory":           {"pattern": pathPattern},
	"spool-limit":               {"pattern": quantityPattern},
	"spool-total-limit":         {"pattern": quantityPattern},
	"receipt-size-limit":        {"pattern": quantityPattern},
	"log-level":                 {"enum": []any{"error", "warn", "info", "debug", nil}},
	"max-concurrent-runs":       {"minimum": 1},
	"max-unfinished-runs-per-export": {
		"minimum": 1,
	},
}

const (
	addressPattern  = `^(0|[^ ]*:[0-9]{1,5})$`
	pathPattern     = `^/`
	quantityPattern = `^[0-9]+(\.[0-9]+)?([kMGTPE]|[KMGTPE]i)?$`
	durationPattern = `^(0|([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+)$`
)

// listed calls a function with each flag that a value is for.
func listed(flags *pflag.FlagSet, do func(*pflag.Flag)) {
	flags.VisitAll(func(flag *pflag.Flag) {
		if flag.Name != "help" {
			do(flag)
		}
	})
}

// flagValues is the section flags of values.yaml.
func flagValues(flags *pflag.FlagSet) string {
	var out strings.Builder
	out.WriteString("flags:\n")
	listed(flags, func(flag *pflag.Flag) {
		for _, line := range wrapped(fmt.Sprintf("%s. %s", sentence(flag.Usage), standard(flag)), 115) {
			fmt.Fprintf(&out, "  # %s\n", line)
		}
		value := chosen[flag.Name]
		if value == "" {
			value = "null"
		}
		fmt.Fprintf(&out, "  %s: %s\n", camel(flag.Name), value)
	})
	return out.String()
}

// flagSchema is the schema of the section flags.
func flagSchema(flags *pflag.FlagSet) map[string]any {
	properties := map[string]any{}
	listed(flags, func(flag *pflag.Flag) {
		schema := map[string]any{}
		switch flag.Value.Type() {
		case "bool":
			schema["type"] = []any{"boolean", "null"}
		case "int":
			schema["type"], schema["minimum"] = []any{"integer", "null"}, 0
		case "float64":
			schema["type"], schema["minimum"], schema["maximum"] = []any{"number", "null"}, 0, 1
		case "duration":
			schema["type"], schema["pattern"] = []any{"string", "null"}, durationPattern
		case "stringSlice":
			schema["type"], schema["uniqueItems"] = []any{"array", "null"}, true
			schema["items"] = map[string]any{"type": "string", "pattern": "^[^,]+$"}
		default:
			schema["type"] = []any{"string", "null"}
		}
		for key, value := range formats[flag.Name] {
			schema[key] = value
		}
		properties[camel(flag.Name)] = schema
	})
	return map[string]any{"type": "object", "additionalProperties": false, "properties": properties}
}

// standard says what the program takes by default.
func standard(flag *pflag.Flag) string {
	text := strings.Trim(flag.DefValue, "[]")
	if flag.Value.Type() == "duration" {
		text = zeros.ReplaceAllString(text, "$1")
	}
	if text == "" {
		text = "empty"
	}
	return fmt.Sprintf("The program's default is %s.", text)
}

// zeros are what Go writes behind a duration of whole minutes or hours.
var zeros = regexp.MustCompile(`^(.*?[hm])(?:0m)?0s$`)

// sentence begins a usage as a sentence begins.
func sentence(usage string) string { return strings.ToUpper(usage[:1]) + usage[1:] }

// camel is the name of a flag as a value has it: max-concurrent-runs is maxConcurrentRuns.
func camel(name string) string {
	words := strings.Split(name, "-")
	for i, word := range words[1:] {
		words[i+1] = sentence(word)
	}
	return strings.Join(words, "")
}

// wrapped breaks a text into lines.
func wrapped(text string, width int) (lines []string) {
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines, line = append(lines, line), ""
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	return append(lines, line)
}
