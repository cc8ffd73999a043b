package command

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/requests"
	"github.com/ledgerport/ledgerport/texts"
)

// requesting has what the commands that ask for a run have in common.
type requesting struct {
	asked               requests.Request
	at                  clusterFlags
	as                  format
	patience            waiting
	cutoff, destination string
}

// command is one that asks for a run of a type, and takes the name of what that is of.
func (r *requesting) command(use, short, long, example string) *cobra.Command {
	command := &cobra.Command{Use: use, Short: short, Long: long, Example: example, Args: cobra.ExactArgs(1)}
	command.RunE = func(command *cobra.Command, arguments []string) error { return r.ask(command, arguments[0]) }
	command.Flags().StringVar(&r.asked.Name, "name", "", "name of the ExportRun; with one, the same request again is the same run. Empty makes one")
	r.at.add(command)
	r.as.add(command)
	r.patience.add(command)
	return command
}

// addClaims lets the request name claims.
func (r *requesting) addClaims(command *cobra.Command, usage string) {
	command.Flags().StringSliceVar(&r.asked.Claims, "claims", nil, usage+", as ID,ID…; empty is all")
}

// addCutoff lets the request say until when claims were approved.
func (r *requesting) addCutoff(command *cobra.Command) {
	command.Flags().StringVar(&r.cutoff, "cutoff", "", "claims approved before this time, as RFC 3339; empty is now")
}

// addExport lets the request name the export of a run that does not exist any more.
func (r *requesting) addExport(command *cobra.Command) {
	command.Flags().StringVar(&r.asked.Export, "export", "", "export of the run, if its ExportRun does not exist any more")
	_ = command.RegisterFlagCompletionFunc("export", r.at.completeExports) // it is defined above
}

// ask asks for the run, waits for it if it is to, and prints it.
func (r *requesting) ask(command *cobra.Command, of string) (err error) {
	if r.cutoff != "" {
		if r.asked.Cutoff, err = instant("cutoff", r.cutoff, time.Time{}); err != nil {
			return err
		}
	}
	if r.destination != "" {
		r.asked.Destination = &v1alpha1.NamespacedReference{Name: r.destination}
		if namespace, name, found := strings.Cut(r.destination, "/"); found {
			r.asked.Destination = &v1alpha1.NamespacedReference{Namespace: namespace, Name: name}
		}
	}
	cluster, err := r.at.connect(command)
	if err != nil {
		return err
	}
	switch r.asked.Type {
	case v1alpha1.RunReversal, v1alpha1.RunRedeliver:
		r.asked.Of = of
		if r.asked.Export, err = requests.ExportOf(command.Context(), cluster, cluster.named(of), r.asked.Export); err != nil {
			return err
		}
	default:
		r.asked.Export = of
	}
	if r.asked.Of != "" {
		warnOfImport(command, cluster, r.asked)
	}
	r.asked.By = cluster.user(command.Context())
	run, err := requests.Create(command.Context(), cluster, cluster.namespace, r.asked)
	if err != nil {
		return err
	}
	run, end := r.patience.await(command, cluster, run, endOf)
	return errors.Join(r.as.printRuns(command.OutOrStdout(), cluster.Scheme(), false, *run), end)
}

func runCommand() *cobra.Command {
	r := &requesting{asked: requests.Request{Type: v1alpha1.RunExport}}
	command := r.command("run EXPORT", "Ask for a run of an export now", `Ask for a run of an export now. It takes its turn after the runs of the export that have not ended, and begins though the export is
suspended. The status is 0 if the run was asked for or, with --wait, if it succeeded; 2 if it failed or was cancelled; 3 if the
accounting system has a part of it; 4 if it is still under way; and 1 if nothing could be asked for.`,
		`  ledgerport run monthly -n acme --wait
  ledgerport run monthly -n acme --claims 677ea3ee-e236-4243-82c9-d4f20c6c2902
  ledgerport run monthly -n acme --name october --cutoff 2026-11-01T00:00:00Z`)
	command.ValidArgsFunction = one(r.at.completeExports)
	r.addClaims(command, "these claims alone")
	r.addCutoff(command)
	return command
}

func previewCommand() *cobra.Command {
	r := &requesting{asked: requests.Request{Type: v1alpha1.RunPreview}}
	command := r.command("preview EXPORT", "Deliver below _preview/ what a run would export now, and record nothing", `Deliver below _preview/ what a run of an export would export now, with the voucher numbers that it would take, and record nothing. It
waits for no other run. The status is that of "run".`,
		`  ledgerport preview monthly -n acme --wait`)
	command.ValidArgsFunction = one(r.at.completeExports)
	r.addClaims(command, "these claims alone")
	r.addCutoff(command)
	return command
}

func reverseCommand() *cobra.Command {
	r := &requesting{asked: requests.Request{Type: v1alpha1.RunReversal}}
	command := r.command("reverse RUN", "Reverse the vouchers of a run, and free its claims for the next run", `Write the reversing vouchers of a run that has exported, and free its claims for the next run: all that are not reversed yet, or those
that are named. If one that is named cannot be reversed, none is. The status is that of "run".`,
		`  ledgerport reverse monthly-29871360 -n acme --wait
  ledgerport reverse monthly-29871360 -n acme --claims 677ea3ee-e236-4243-82c9-d4f20c6c2902`)
	command.ValidArgsFunction = one(r.at.completeRuns(reversible))
	r.addClaims(command, "these claims of the run alone")
	r.addExport(command)
	return command
}

func redeliverCommand() *cobra.Command {
	r := &requesting{asked: requests.Request{Type: v1alpha1.RunRedeliver}}
	command := r.command("redeliver RUN", "Deliver the artifact of a run again, with the same bytes", `Deliver the artifact of a run again, with the same bytes, at the destination of its export or at another one. No claim is exported. The
status is that of "run".`,
		`  ledgerport redeliver monthly-29871360 -n acme --destination auditor --wait`)
	command.ValidArgsFunction = one(r.at.completeRuns(redeliverable))
	command.Flags().StringVar(&r.destination, "destination", "", "an ExportDestination, as NAME or NAMESPACE/NAME; empty is that of the export")
	_ = command.RegisterFlagCompletionFunc("destination", r.at.completeDestinations) // it is defined above
	r.addExport(command)
	return command
}

// warnOfImport says what it means to reverse or deliver again a run that is imported. Of a run that does not exist any more nothing is known.
func warnOfImport(command *cobra.Command, cluster *cluster, asked requests.Request) {
	var of v1alpha1.ExportRun
	if err := cluster.Get(command.Context(), cluster.named(asked.Of), &of); err != nil {
		return
	}
	if warning := requests.WarnOfImport(&of, asked.Type); warning != "" {
		_, _ = fmt.Fprintln(command.ErrOrStderr(), "Warning:", texts.Printable(warning, texts.Message))
	}
}
