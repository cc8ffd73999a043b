package command

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
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
	var as format
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
			found := &differences{Items: []difference{}, most: show}
			if as == "table" {
				found.people = command.OutOrStdout() // who reads while it is compared
			}
			if found.Exports, err = offline.Compare(command.Context(), was, is, rendering, found.add); err != nil {
				return err
			}
			if err := as.print(command.OutOrStdout(), found, found.end); err != nil {
				return err
			}
			if different := found.different(); tell && different > 0 {
				return &ended{exitDiffers, texts.Count(different, "claim differs", "claims differ")}
			}
			return nil
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
	as.add(command)
	flags.BoolVar(&tell, "exit-code", false, "end with the status 5 if there is a difference")
	rendering.RunUID = "00000000-0000-4000-8000-000000000000"
	_ = errors.Join(command.MarkFlagRequired("before"), command.MarkFlagRequired("after")) // they are defined above
	return command
}

// differences are those of the first claims, and how many there are of each export.
type differences struct {
	Items   []difference                  `json:"items"`
	Exports map[string]offline.Comparison `json:"exports"`
	most    int
	people  io.Writer // whom they are shown as they come, if there are some
}

// difference is what differs of a claim: lines that one version alone has.
type difference struct {
	Export string   `json:"export"`
	Claim  string   `json:"claim"`
	Before []string `json:"before,omitempty"`
	After  []string `json:"after,omitempty"`
}

func (d *differences) add(found offline.Difference) error {
	if len(d.Items) == d.most {
		return nil
	}
	is := difference{found.Export, texts.Printable(found.Claim, texts.Quote), without(found.Before, found.After), without(found.After, found.Before)}
	d.Items = append(d.Items, is)
	if d.people == nil {
		return nil
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%s claim %s\n", is.Export, is.Claim)
	for _, side := range []struct {
		sign  string
		lines []string
	}{{"-", is.Before}, {"+", is.After}} {
		for _, line := range side.lines {
			fmt.Fprintf(&text, "%s %s\n", side.sign, line)
		}
	}
	_, err := io.WriteString(d.people, text.String())
	return err
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

// different is how many claims differ.
func (d *differences) different() (all int64) {
	for _, count := range d.Exports {
		all += count.Different
	}
	return all
}

// end prints what was counted.
func (d *differences) end(out io.Writer) error {
	for _, export := range slices.Sorted(maps.Keys(d.Exports)) {
		count := d.Exports[export]
		if _, err := fmt.Fprintf(out, "%s: %s, %s the same\n", export, texts.Count(count.Different, "claim differs", "claims differ"), texts.Count(count.Same, "is", "are")); err != nil {
			return err
		}
	}
	if more := d.different() - int64(len(d.Items)); more > 0 {
		if _, err := fmt.Fprintf(out, "%s not shown (--show)\n", texts.Count(more, "claim that differs is", "claims that differ are")); err != nil {
			return err
		}
	}
	return nil
}
