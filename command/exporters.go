package command

import (
	"fmt"
	"io"
	"path"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/ledgerport/ledgerport/docs"
	"github.com/ledgerport/ledgerport/exporters"
)

// described is an exporter as the command prints it.
type described struct {
	Type    string   `json:"type"`
	Version string   `json:"version"`
	Options []option `json:"options,omitempty"`
}

// option is a row of the table on an exporter's page.
type option struct {
	Name    string `json:"name"`
	Type    string `json:"type"`
	Default string `json:"default,omitempty"`
	Meaning string `json:"meaning"`
}

func exportersCommand(registry *exporters.Registry) *cobra.Command {
	var as format
	command := &cobra.Command{
		Use:   "exporters [TYPE]",
		Short: "List the exporters, or the options of one",
		Long: `List the exporters of this binary with the versions that manifests record, or the options of one: what AccountingExport has below
spec.exporter.options. Nothing is connected to.`,
		Example: `  ledgerport exporters
  ledgerport exporters TYPE -o yaml`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: cobra.FixedCompletions(registry.Types(), cobra.ShellCompDirectiveNoFileComp),
		RunE: func(command *cobra.Command, arguments []string) error {
			out := command.OutOrStdout()
			if len(arguments) == 0 {
				all := []described{}
				for _, name := range registry.Types() {
					exporter, _ := registry.Get(name) // it is in the list
					all = append(all, described{Type: name, Version: exporter.Version()})
				}
				return as.print(out, all, func(out io.Writer) error { return printTypes(out, all) })
			}
			exporter, found := registry.Get(arguments[0])
			if !found {
				return fmt.Errorf("there is no exporter %q; this binary has %s", arguments[0], strings.Join(registry.Types(), ", "))
			}
			one := described{exporter.Type(), exporter.Version(), optionsOf(exporter.Type())}
			return as.print(out, one, func(out io.Writer) error { return printOptions(out, one) })
		},
	}
	as.add(command)
	return command
}

func printTypes(out io.Writer, all []described) error {
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "TYPE\tVERSION")
	for _, one := range all {
		fmt.Fprintf(table, "%s\t%s\n", one.Type, one.Version)
	}
	return table.Flush()
}

func printOptions(out io.Writer, one described) error {
	var text strings.Builder
	fmt.Fprintf(&text, "%s, version %s\n", one.Type, one.Version)
	if len(one.Options) == 0 {
		text.WriteString("\nIts options are described where it comes from: it is not one of Ledgerport's own.\n")
	}
	for _, option := range one.Options {
		fmt.Fprintf(&text, "\n%s (%s)", option.Name, option.Type)
		switch option.Default {
		case "":
		case "required":
			text.WriteString(", required")
		default:
			text.WriteString(", default: " + option.Default)
		}
		text.WriteString("\n" + wrapped(option.Meaning, "    ", 100))
	}
	_, err := io.WriteString(out, text.String())
	return err
}

// wrapped is a text in lines of at most so many characters, each after an indent.
func wrapped(text, indent string, width int) string {
	var lines strings.Builder
	length := 0
	for word := range strings.FieldsSeq(text) {
		switch {
		case length == 0:
			lines.WriteString(indent)
			length = len(indent)
		case length+1+len(word) > width:
			lines.WriteString("\n" + indent)
			length = len(indent)
		default:
			lines.WriteString(" ")
			length++
		}
		lines.WriteString(word)
		length += len(word)
	}
	return lines.String() + "\n"
}

// optionsOf reads the table that `make generate` has written into the page of an exporter, of which there is none for those of others.
func optionsOf(exporter string) (options []option) {
	page, err := docs.Exporters.ReadFile(path.Join("exporters", exporter+".md"))
	if err != nil {
		return nil
	}
	_, table, _ := strings.Cut(string(page), "<!-- options -->\n")
	table, _, _ = strings.Cut(table, "<!-- /options -->")
	const escaped = "\x00"
	plain := strings.NewReplacer(escaped, "|", `\<`, "<")
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.ReplaceAll(strings.TrimSpace(line), `\|`, escaped), " | ")
		if len(cells) != 4 || !strings.HasPrefix(cells[0], "| `") {
			continue // the head
		}
		options = append(options, option{
			Name:    strings.Trim(cells[0], "| `"),
			Type:    cells[1],
			Default: plain.Replace(strings.Trim(strings.TrimSpace(cells[2]), "`")),
			Meaning: plain.Replace(strings.TrimSpace(strings.TrimSuffix(cells[3], "|"))),
		})
	}
	return options
}
