package command

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/document"
	"github.com/ledgerport/ledgerport/internal/requests"
	"github.com/ledgerport/ledgerport/texts"
)

// format is how a command prints what it has found.
type format string

// formats are those that all commands of a cluster have.
var formats = []string{"table", "json", "yaml"}

func (f *format) add(command *cobra.Command) {
	*f = "table"
	command.Flags().VarP(f, "output", "o", "one of "+strings.Join(formats, ", "))
	_ = command.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp)) // it is defined above
}

// String implements pflag.Value.
func (f *format) String() string { return string(*f) }

// Type implements pflag.Value.
func (f *format) Type() string { return "format" }

// Set implements pflag.Value.
func (f *format) Set(given string) error {
	if !slices.Contains(formats, given) {
		return fmt.Errorf("it is one of %s", strings.Join(formats, ", "))
	}
	*f = format(given)
	return nil
}

// print writes a value for programs, or else calls what writes it for people.
func (f *format) print(out io.Writer, value any, people func(io.Writer) error) (err error) {
	var data []byte
	switch *f {
	case "json":
		data, err = document.JSON(value)
	case "yaml":
		data, err = document.YAML(value)
	default:
		return people(out)
	}
	if err != nil {
		return err
	}
	_, err = out.Write(data)
	return err
}

// named gives an object the kind that the client leaves out, and takes what only the API server wants to know.
func named[O client.Object](object O, scheme *runtime.Scheme) (O, error) {
	kind, err := apiutil.GVKForObject(object, scheme)
	if err != nil {
		return object, err
	}
	object.GetObjectKind().SetGroupVersionKind(kind)
	object.SetManagedFields(nil)
	return object, nil
}

// printRuns prints one run, or several as a list.
func (f *format) printRuns(out io.Writer, scheme *runtime.Scheme, list bool, runs ...v1alpha1.ExportRun) error {
	for i := range runs {
		if _, err := named(&runs[i], scheme); err != nil {
			return err
		}
	}
	var value any = map[string]any{"apiVersion": "v1", "kind": "List", "items": runs}
	if !list && len(runs) == 1 {
		value = &runs[0]
	}
	return f.print(out, value, func(out io.Writer) error { return writeRuns(out, runs) })
}

// approver is who has approved a run; empty if nobody has.
func approver(run *v1alpha1.ExportRun) string {
	if approval := run.Status.Approval; approval.Given() {
		return approval.ApprovedBy
	}
	return ""
}

// importOf is when a run was marked as imported, or that it was if the operator has yet to see that; empty if it is not marked.
func importOf(run *v1alpha1.ExportRun) string {
	switch mark := requests.ImportOf(run); {
	case mark == nil:
		return ""
	case mark.At == nil:
		return "yes"
	default:
		return mark.At.UTC().Format(time.RFC3339)
	}
}

// writeRuns writes a table of runs.
func writeRuns(out io.Writer, runs []v1alpha1.ExportRun) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "NAMESPACE\tNAME\tEXPORT\tTYPE\tPHASE\tREASON\tCLAIMS\tHELD\tTOTAL\tENDED\tREQUESTED BY\tAPPROVED BY\tIMPORTED\tLOCATION")
	for i := range runs {
		run := &runs[i]
		ended := ""
		if at := run.Status.CompletedAt; at != nil {
			ended = at.UTC().Format(time.RFC3339)
		}
		cells := []string{
			run.Namespace, run.Name, run.Spec.ExportRef.Name, string(run.Spec.Type), string(cmp.Or(run.Status.Phase, v1alpha1.RunPending)), readyOf(run).Reason,
			strconv.FormatInt(run.Status.Claims, 10), strconv.FormatInt(run.Status.Held, 10), run.Status.Total, ended, run.Status.RequestedBy, approver(run), importOf(run), run.Status.Location,
		}
		for i, cell := range cells {
			cells[i] = cmp.Or(texts.Printable(cell, texts.Message), "-")
		}
		_, _ = fmt.Fprintln(table, strings.Join(cells, "\t"))
	}
	return table.Flush()
}
