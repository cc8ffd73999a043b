package command

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/ledgerport/ledgerport/exporters"
	destinationtypes "github.com/ledgerport/ledgerport/internal/destinations/builtin"
	"github.com/ledgerport/ledgerport/internal/offline"
	"github.com/ledgerport/ledgerport/texts"
)

func validateCommand(registry *exporters.Registry) *cobra.Command {
	var paths []string
	var partial bool
	command := &cobra.Command{
		Use:   "validate -f PATH…",
		Short: "Say what API server and operator would refuse in files, without either",
		Long: `Say what API server and operator would refuse in files, without either: fields that do not exist, what breaks a rule of
the API, references to what is not among the files, access rules that do not admit, schedules and time zones, options of
exporters, accounts and expressions. It prints FILE:LINE: RESOURCE: FIELD: PROBLEM, and ends with 1 if there is any.`,
		Example: `  ledgerport validate -f clusters/production
  kustomize build overlays/acme | ledgerport validate -f -`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			found, err := validated(command, registry, paths, partial, command.OutOrStdout())
			if err != nil {
				return err
			}
			if found.Checked == 0 {
				return errors.New("there is no resource of Ledgerport in these files")
			}
			_, err = fmt.Fprintln(command.OutOrStdout(), texts.Count(found.Checked, "resource is valid", "resources are valid"))
			return err
		},
	}
	flags := command.Flags()
	flags.StringSliceVarP(&paths, "filename", "f", nil, "files, directories with all that is below them, or - for standard input")
	flags.BoolVar(&partial, "partial", false, "accept references to resources that are not among the files")
	_ = command.MarkFlagRequired("filename") // it is defined above
	return command
}

// validated reads resources from files, and prints what is wrong with them. They may refer to others that are elsewhere if they are a part.
func validated(command *cobra.Command, registry *exporters.Registry, paths []string, partial bool, problems io.Writer) (*offline.Validation, error) {
	found, err := offline.Validate(command.Context(), registry, destinationtypes.Registry(destinationtypes.Settings{}), paths, command.InOrStdin(), partial)
	if err != nil {
		return nil, err
	}
	for _, finding := range found.Findings {
		fmt.Fprintln(problems, finding)
	}
	if len(found.Findings) > 0 {
		return nil, fmt.Errorf("%s in %s", texts.Count(len(found.Findings), "problem", "problems"), texts.Count(found.Checked, "resource", "resources"))
	}
	return found, nil
}
