package command

import (
	"fmt"

	"github.com/spf13/cobra"
)

func migrateCommand() *cobra.Command {
	var at databaseFlags
	command := &cobra.Command{
		Use:   "migrate",
		Short: `Create or update the schema "ledgerport" in an application's database`,
		Long: `Create or update the schema "ledgerport" in an application's database, where a ClaimSource has manageSchema: false.
The role of the URL must own the schema, or be allowed to create it. Running it again does nothing.`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			database, err := at.open(command)
			if err != nil {
				return err
			}
			defer database.Close()
			if err := database.Migrate(command.Context()); err != nil {
				return err
			}
			schema, err := database.CheckSchema(command.Context())
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(command.OutOrStdout(), "schema ledgerport is at version %d\n", schema)
			return err
		},
	}
	at.add(command.Flags())
	return command
}
