package command

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/internal/claims"
)

func grantsCommand(registry *exporters.Registry) *cobra.Command {
	var paths []string
	var named, role string
	command := &cobra.Command{
		Use:   "grants -f PATH…",
		Short: "Print the SQL that makes the database role for a ClaimSource",
		Long: `Print the SQL that makes the database role for a ClaimSource: SELECT on the contract's columns of its tables, and policies of
row-level security that show each transaction one organisation. Run it with psql as the owner of the tables who may create
roles. With manageSchema: true it also makes the schema "ledgerport", which the role owns.`,
		Example: `  ledgerport grants -f claimsource.yaml | psql "$ADMIN_URL" -v ON_ERROR_STOP=1 -f - -c '\password ledgerport_operator'`,
		Args:    cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			found, err := validated(command, registry, paths, true, command.ErrOrStderr())
			if err != nil {
				return err
			}
			source, err := found.Source(named)
			if err != nil {
				return err
			}
			scripts, err := claims.GrantsFor(source.Spec, role)
			if err != nil {
				return err
			}
			rest := "-- Then run \"ledgerport migrate\", and config/postgres/migrated.sql after it.\n"
			if managed := source.Spec.Postgres.ManageSchema; managed == nil || *managed {
				rest = scripts.Managed
			}
			_, err = fmt.Fprint(command.OutOrStdout(), scripts.Role, "\n", rest)
			return err
		},
	}
	flags := command.Flags()
	flags.StringSliceVarP(&paths, "filename", "f", nil, "files, directories with all that is below them, or - for standard input")
	flags.StringVar(&named, "source", "", "the ClaimSource, as NAME or NAMESPACE/NAME; empty is the only one in the files")
	flags.StringVar(&role, "role", claims.OperatorRole, "the role")
	_ = command.MarkFlagRequired("filename") // it is defined above
	return command
}
