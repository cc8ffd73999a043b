package command

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/ledgerport/ledgerport/exporters"
	destinationtypes "github.com/ledgerport/ledgerport/internal/destinations/builtin"
	"github.com/ledgerport/ledgerport/internal/offline"
	"github.com/ledgerport/ledgerport/texts"
)

func diffCommand(registry *exporters.Registry) *cobra.Command {
	var before, after []string
	var cutoff string
	var show int
	var tell bool
	var at databaseFlags
	rendering := offline.Rendering{Registry: registry, ProgramVersion: buildVersion()}
	command := &cobra.Command{
		Use:   "diff --before PATH… --after PATH…",
		Short: "Show what a change of charts, options or exports would change in the next run, and reserve nothing",
		Long: `Show what a change of charts, options or exports would change in the next run, claim by claim: for a pull request. Two versions of the
resources are in files, and the database is at a URL. What is made of the claims that wait is compared: postings, and claims that are held.
Voucher numbers are not, and texts of claims are neither compared nor shown.`,
		Example: `  git worktree add /tmp/main main
  ledgerport diff --before /tmp/main/books --after books --exit-code`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) (err error) {
			if rendering.DatabaseURL, err = at.given(); err != nil {
				return err
			}
			rendering.Databases = at.allowed
			if rendering.Cutoff, err = instant("cutoff", cutoff, time.Now()); err != nil {
				return err
			}
			directory, err := os.MkdirTemp("", "ledgerport-diff-")
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, os.RemoveAll(directory)) }()
			rendering.CreatedAt, rendering.Destinations = rendering.Cutoff, destinationtypes.Directory(directory)
			was, err := validated(command, registry, before, false, command.OutOrStdout())
			if err != nil {
				return fmt.Errorf("--before: %w", err)
			}
			is, err := validated(command, registry, after, false, command.OutOrStdout())
			if err != nil {
				return fmt.Errorf("--after: %w", err)
			}
			out := &differences{out: command.OutOrStdout(), most: show}
			counts, err := offline.Compare(command.Context(), was, is, rendering, out.add)
			if err != nil {
				return err
			}
			return out.end(counts, tell)
		},
	}
	flags := command.Flags()
	flags.StringSliceVar(&before, "before", nil, "files or directories with the resources as they are")
	flags.StringSliceVar(&after, "after", nil, "files or directories with the resources as they would be")
	at.add(flags)
	flags.StringVar(&rendering.Export, "export", "", "one export, as NAME or NAMESPACE/NAME; empty is all that both have")
	flags.StringVar(&cutoff, "cutoff", "", "claims approved before this time, as RFC 3339; empty is now")
	flags.Int64Var(&rendering.Limit, "limit", 0, "claims at most; 0 is no limit")
	flags.IntVar(&show, "show", 50, "claims of which the differences are shown; all are counted")
	flags.BoolVar(&tell, "exit-code", false, "end with the status 5 if there is a difference")
	rendering.RunUID = "00000000-0000-4000-8000-000000000000"
	_ = errors.Join(command.MarkFlagRequired("before"), command.MarkFlagRequired("after")) // they are defined above
	return command
}

// differences are shown as they come, up to a number.
type differences struct {
	out   io.Writer
	most  int
	shown int
}

func (d *differences) add(difference offline.Difference) error {
	if d.shown == d.most {
		return nil
	}
	d.shown++
	if _, err := fmt.Fprintf(d.out, "%s claim %s\n", difference.Export, texts.Printable(difference.Claim, texts.Quote)); err != nil {
		return err
	}
	for _, side := range []struct {
		sign        string
		lines, less []string
	}{{"-", difference.Before, difference.After}, {"+", difference.After, difference.Before}} {
		for _, line := range without(side.lines, side.less) {
			if _, err := fmt.Fprintf(d.out, "%s %s\n", side.sign, line); err != nil {
				return err
			}
		}
	}
	return nil
}

// without returns the lines that others do not have, or not as often.
func without(lines, others []string) (left []string) {
	count := map[string]int{}
	for _, line := range others {
		count[line]++
	}
	for _, line := range lines {
		if count[line] > 0 {
			count[line]--
			continue
		}
		left = append(left, line)
	}
	return left
}

// end prints what was counted.
func (d *differences) end(counts map[string]offline.Comparison, tell bool) error {
	var different int64
	for _, export := range slices.Sorted(maps.Keys(counts)) {
		count := counts[export]
		different += count.Different
		if _, err := fmt.Fprintf(d.out, "%s: %s, %s the same\n", export, texts.Count(count.Different, "claim differs", "claims differ"), texts.Count(count.Same, "is", "are")); err != nil {
			return err
		}
	}
	if more := different - int64(d.shown); more > 0 {
		if _, err := fmt.Fprintf(d.out, "%s not shown (--show)\n", texts.Count(more, "claim that differs is", "claims that differ are")); err != nil {
			return err
		}
	}
	if tell && different > 0 {
		return &ended{exitDiffers, texts.Count(different, "claim differs", "claims differ")}
	}
	return nil
}
