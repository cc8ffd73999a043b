package command

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/client-go/kubernetes"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/bundle"
	"github.com/ledgerport/ledgerport/texts"
)

// longestLine of a log, in bytes.
const longestLine = 1 << 20

func logsCommand() *cobra.Command {
	var at clusterFlags
	var operator string
	var whole bool
	var as format
	command := &cobra.Command{
		Use:   "logs RUN",
		Short: "Show what the operator has logged of a run, attempt by attempt",
		Long: `Show what the operator has logged of a run, attempt by attempt, the oldest first: the lines of all pods of the operator, and of their
containers before the last restart. It needs the right to read the logs of the operator's namespace.`,
		Example: `  ledgerport logs monthly-29871360 -n acme`,
		Args:    cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, arguments []string) error {
			cluster, err := at.connect(command)
			if err != nil {
				return err
			}
			api, err := kubernetes.NewForConfig(cluster.config)
			if err != nil {
				return err
			}
			lines, missing, err := loggedOf(command.Context(), api, operator, cluster.namespace, arguments[0])
			if err != nil {
				return err
			}
			for _, what := range missing {
				fmt.Fprintln(command.ErrOrStderr(), texts.Printable("not read: "+what, texts.Message))
			}
			items := make([]json.RawMessage, len(lines))
			for i := range lines {
				items[i] = json.RawMessage(lines[i].line)
			}
			return as.print(command.OutOrStdout(), map[string]any{"items": items}, func(out io.Writer) error { return writeLogged(out, lines, whole) })
		},
	}
	command.ValidArgsFunction = one(at.completeRuns(func(*v1alpha1.ExportRun) bool { return true }))
	command.Flags().StringVar(&operator, "operator-namespace", "ledgerport-system", "namespace of the operator, whose log is read")
	command.Flags().BoolVar(&whole, "json", false, "print the lines as they are, with all fields, one a line")
	at.add(command)
	as.add(command)
	return command
}

// logged is one line of the operator's log.
type logged struct {
	Time      string  `json:"time"`
	Level     string  `json:"level"`
	Message   string  `json:"msg"`
	Namespace string  `json:"namespace"`
	Run       string  `json:"exportRun"`
	Attempt   int     `json:"attempt"`
	Stage     string  `json:"stage"`
	Seconds   float64 `json:"seconds"`
	Reason    string  `json:"reason"`
	Why       string  `json:"message"`
	line      string
}

// loggedOf reads what all pods of an operator have logged of a run, the oldest first, and says what could not be read.
func loggedOf(ctx context.Context, api kubernetes.Interface, operator, namespace, run string) (lines []logged, missing []string, err error) {
	looked := 0
	unread, err := bundle.Logs(ctx, api, operator, func(_ string, log io.Reader) (err error) {
		looked++
		lines, err = appendLogged(lines, log, namespace, run)
		return err
	})
	switch {
	case err != nil:
		return nil, nil, err
	case looked+len(unread) == 0:
		return nil, nil, fmt.Errorf("the namespace %s has no pod of the operator; name its namespace with --operator-namespace", operator)
	}
	for _, log := range unread {
		missing = append(missing, fmt.Sprintf("log of %s: %s", log.Pod, log.Err))
	}
	slices.SortStableFunc(lines, func(a, b logged) int { return strings.Compare(a.Time, b.Time) })
	return lines, missing, nil
}

// appendLogged adds the lines of a log that are about a run.
func appendLogged(lines []logged, log io.Reader, namespace, run string) ([]logged, error) {
	scanner := bufio.NewScanner(log)
	scanner.Buffer(nil, longestLine)
	for scanner.Scan() {
		var line logged
		if json.Unmarshal(scanner.Bytes(), &line) != nil || line.Namespace != namespace || line.Run != run { // what is no JSON is about no run
			continue
		}
		line.line = scanner.Text()
		lines = append(lines, line)
	}
	return lines, scanner.Err()
}

// writeLogged prints lines for people, or as they are.
func writeLogged(out io.Writer, lines []logged, whole bool) error {
	for i := range lines {
		text := lines[i].String()
		if whole {
			text = lines[i].line
		}
		if _, err := fmt.Fprintln(out, texts.Printable(text, longestLine)); err != nil {
			return err
		}
	}
	return nil
}

// String is what a person reads of a line.
func (l *logged) String() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s %s", l.Time, l.Message)
	if l.Attempt > 0 {
		fmt.Fprintf(&text, ", attempt %d", l.Attempt)
	}
	if l.Stage != "" {
		fmt.Fprintf(&text, ", stage %s", l.Stage)
	}
	if l.Seconds > 0 {
		fmt.Fprintf(&text, ", %.2f s", l.Seconds)
	}
	if l.Reason != "" {
		fmt.Fprintf(&text, " (%s)", l.Reason)
	}
	if l.Why != "" {
		text.WriteString(": " + l.Why)
	}
	return text.String()
}
