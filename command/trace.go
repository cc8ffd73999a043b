package command

import (
	"context"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	api "github.com/ledgerport/ledgerport/api/books/v1alpha1"
	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/books"
	"github.com/ledgerport/ledgerport/internal/overview"
)

// traced is what became of a claim, or of a voucher.
type traced struct {
	// Exported has each voucher, with its run and files, the newest run first.
	Exported []tracedVoucher `json:"exported"`
	// Held is the claim, if it waits.
	Held []api.HeldClaim `json:"held,omitempty"`
}

// tracedVoucher is the way of one voucher.
type tracedVoucher struct {
	api.Voucher `json:",inline"`
	Run         string           `json:"run"`
	Type        v1alpha1.RunType `json:"type"`
	EndedAt     string           `json:"endedAt,omitempty"`
	// RequestedBy and ApprovedBy are users, as the run names them.
	RequestedBy string `json:"requestedBy,omitempty"`
	ApprovedBy  string `json:"approvedBy,omitempty"`
	// Imported is when the run was marked as imported.
	Imported string     `json:"imported,omitempty"`
	Location string     `json:"location,omitempty"`
	Files    []api.File `json:"files,omitempty"`
}

func traceCommand() *cobra.Command {
	var at clusterFlags
	var as format
	command := &cobra.Command{
		Use:   "trace EXPORT VOUCHER|CLAIM",
		Short: "Show the way of a claim or a voucher: which voucher, run and file, or why it is held",
		Long: `Show which voucher of which run and file a claim became, or which claim a voucher is of: in all runs of the export whose ExportRun exists, the newest first.
A claim that is held is shown with the reason. What looks like E/2026/1 is a voucher, and everything else the id of a claim.`,
		Example: `  ledgerport trace monthly E/2026/17 -n acme
  ledgerport trace monthly c8c41733-bff1-4269-95bf-7341f6ab4fd9 -n acme`,
		Args: cobra.ExactArgs(2),
		RunE: func(command *cobra.Command, arguments []string) error {
			cluster, read, err := at.connectBooks(command)
			if err != nil {
				return err
			}
			found, err := trace(command.Context(), cluster, read, arguments[0], searchFor(arguments[1]))
			if err != nil {
				return err
			}
			return as.print(command.OutOrStdout(), found, found.write)
		},
	}
	command.ValidArgsFunction = one(at.completeExports)
	at.add(command)
	as.add(command)
	return command
}

var voucherNumber = regexp.MustCompile(`^(.+/\d{4})/(\d{1,18})$`)

// searchFor is a search for a voucher by its number, or for those of a claim.
func searchFor(what string) books.Search {
	if voucherNumber.MatchString(what) {
		return books.Search{Number: what}
	}
	return books.Search{Claim: what}
}

// trace looks through the runs of an export.
func trace(ctx context.Context, cluster *cluster, read *books.Client, export string, search books.Search) (*traced, error) {
	runs, err := overview.Runs(ctx, cluster, cluster.namespace, export)
	if err != nil {
		return nil, err
	}
	found := &traced{Exported: []tracedVoucher{}}
	for i := range runs.Items {
		run := &runs.Items[i]
		if !hasFiles(run) || !mayHave(run, search.Number) {
			continue
		}
		list, err := read.Vouchers(ctx, cluster.named(run.Name), search)
		if err != nil {
			return nil, err
		}
		if len(list.Items) == 0 {
			continue
		}
		files, err := read.Files(ctx, cluster.named(run.Name))
		if err != nil {
			return nil, err
		}
		for _, voucher := range list.Items {
			of := tracedVoucher{Voucher: voucher, Run: run.Name, Type: run.Spec.Type, Location: run.Status.Location, Files: files.Items, RequestedBy: run.Status.RequestedBy, ApprovedBy: approver(run), Imported: importOf(run)}
			if at := run.Status.CompletedAt; at != nil {
				of.EndedAt = at.UTC().Format(time.RFC3339)
			}
			found.Exported = append(found.Exported, of)
		}
	}
	if search.Claim == "" {
		return found, nil
	}
	held, err := read.Held(ctx, cluster.named(export), search)
	if err == nil {
		found.Held = held.Items
	}
	return found, err
}

// mayHave reports whether a run may have a voucher: not if all of its numbers are of the same series and year, and it is not between them.
func mayHave(run *v1alpha1.ExportRun, number string) bool {
	wanted := voucherNumber.FindStringSubmatch(number)
	first, last := voucherNumber.FindStringSubmatch(run.Status.FirstVoucher), voucherNumber.FindStringSubmatch(run.Status.LastVoucher)
	if wanted == nil || first == nil || last == nil || first[1] != last[1] {
		return true
	}
	is := func(of []string) int64 { n, _ := strconv.ParseInt(of[2], 10, 64); return n } // they are digits
	return wanted[1] == first[1] && is(wanted) >= is(first) && is(wanted) <= is(last)
}

// write writes it for people.
func (t *traced) write(out io.Writer) error {
	if len(t.Exported) == 0 && len(t.Held) == 0 {
		_, err := io.WriteString(out, "nothing is found: no run whose ExportRun exists has exported it, and it is not held\n")
		return err
	}
	if len(t.Held) > 0 {
		if err := writeHeld(out, &api.HeldClaimList{Items: t.Held}); err != nil || len(t.Exported) == 0 {
			return err
		}
	}
	return writeTable(out, "CLAIM\tVOUCHER\tREVERSES\tDATE\tAMOUNT\tRUN\tTYPE\tENDED\tREQUESTED BY\tAPPROVED BY\tIMPORTED\tFILES\tLOCATION", len(t.Exported), func(i int) []string {
		v := t.Exported[i]
		names := make([]string, len(v.Files))
		for i, file := range v.Files {
			names[i] = file.Name
		}
		return []string{v.Claim, v.Number, v.Reverses, v.Date, v.Amount + " " + v.Currency, v.Run, string(v.Type), v.EndedAt, v.RequestedBy, v.ApprovedBy, v.Imported, strings.Join(names, " "), v.Location}
	})
}
