package command

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ledgerport/ledgerport/exporters"
	destinationtypes "github.com/ledgerport/ledgerport/internal/destinations/builtin"
	"github.com/ledgerport/ledgerport/internal/offline"
	"github.com/ledgerport/ledgerport/texts"
)

func renderCommand(registry *exporters.Registry) *cobra.Command {
	var paths []string
	var output, cutoff, created string
	var at databaseFlags
	rendering := offline.Rendering{Registry: registry, ProgramVersion: buildVersion()}
	command := &cobra.Command{
		Use:   "render -f PATH… --output DIR",
		Short: "Write what the next run would deliver, and reserve nothing",
		Long: `Write what the next run would deliver, and reserve nothing: the resources are in files, and the database is at a URL.
The bytes are those of the run with the same name, UID, cutoff and time of creation; a scheduled run is named
EXPORT-SLOT, where SLOT is the time of the slot in unix minutes. With --limit it is only the beginning.`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			var err error
			if rendering.DatabaseURL, err = at.given(); err != nil {
				return err
			}
			rendering.Databases = at.allowed
			rendering.Destinations = destinationtypes.Directory(output)
			if rendering.Cutoff, err = instant("cutoff", cutoff, time.Now()); err != nil {
				return err
			}
			if rendering.CreatedAt, err = instant("created-at", created, rendering.Cutoff); err != nil {
				return err
			}
			found, err := validated(command, registry, paths, false, command.OutOrStdout())
			if err != nil {
				return err
			}
			outcomes, err := found.Render(command.Context(), rendering)
			for _, name := range slices.Sorted(maps.Keys(outcomes)) {
				printRendered(command.OutOrStdout(), name, outcomes[name])
			}
			return err
		},
	}
	flags := command.Flags()
	flags.StringSliceVarP(&paths, "filename", "f", nil, "files, directories with all that is below them, or - for standard input")
	at.add(flags)
	flags.StringVarP(&output, "output", "o", "", "directory for the files")
	flags.StringVar(&rendering.Export, "export", "", "one export, as NAME or NAMESPACE/NAME; empty is all of them")
	flags.StringVar(&cutoff, "cutoff", "", "claims approved before this time, as RFC 3339; empty is now")
	flags.StringVar(&created, "created-at", "", "when the run would be created, as RFC 3339; empty is the cutoff")
	flags.StringVar(&rendering.RunName, "run-name", "", "name of the run that would be; empty is the export's")
	flags.StringVar(&rendering.RunUID, "run-uid", "00000000-0000-4000-8000-000000000000", "UID of the run that would be")
	flags.Int64Var(&rendering.Limit, "limit", 0, "claims at most; 0 is no limit")
	_ = errors.Join(command.MarkFlagRequired("filename"), command.MarkFlagRequired("output")) // they are defined above
	return command
}

// printRendered says what would be delivered, and for which reasons claims are held, each with some claims. The manifest has all, if there
// is something to deliver.
func printRendered(out io.Writer, name string, rendered offline.Rendered) {
	result, reasons := rendered.Result, ""
	if len(rendered.HeldFor) > 0 {
		each := make([]string, len(rendered.HeldFor))
		for i, of := range rendered.HeldFor {
			each[i] = fmt.Sprintf("%d %s", of.Claims, of.Reason)
		}
		reasons = " (" + strings.Join(each, ", ") + ")"
	}
	line := func(format string, args ...any) {
		fmt.Fprintln(out, texts.Printable(fmt.Sprintf(format, args...), texts.Message))
	}
	line("%s: %s, %d held%s, %s, %s", name, texts.Count(result.Claims, "claim", "claims"), result.Held, reasons, result.Total, cmp.Or(result.Location, "nothing to deliver"))
	for _, of := range rendered.HeldFor {
		for _, held := range of.First {
			line("  held %s (%s): %s", held.ClaimID, of.Reason, held.Message)
		}
		if more := of.Claims - int64(len(of.First)); more > 0 {
			line("  and %d more (%s)", more, of.Reason)
		}
	}
}

// instant reads a time of a flag.
func instant(flag, text string, otherwise time.Time) (time.Time, error) {
	if text == "" {
		return otherwise, nil
	}
	read, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return read, fmt.Errorf("--%s is %q; give a time such as 2026-12-01T06:00:00+01:00", flag, text)
	}
	return read, nil
}
