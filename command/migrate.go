package command

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/ledgerport/ledgerport/internal/claims"
)

// databaseURLVariable keeps the password out of the process list.
const databaseURLVariable = "LEDGERPORT_DATABASE_URL"

// openDatabase opens the database of a URL, or else of the environment.
func openDatabase(command *cobra.Command, url string) (*claims.Database, error) {
	if url == "" {
		url = os.Getenv(databaseURLVariable)
	}
	if url == "" {
		return nil, errors.New("give the database with --database-url or in " + databaseURLVariable)
	}
	return claims.Open(command.Context(), claims.Options{URL: url})
}

func migrateCommand() *cobra.Command {
	var url string
	command := &cobra.Command{
		Use:   "migrate",
		Short: `Create or update the schema "ledgerport" in an application's database`,
		Long: `Create or update the schema "ledgerport" in an application's database, where a ClaimSource has manageSchema: false.
The role of the URL must own the schema, or be allowed to create it. Running it again does nothing.`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			database, err := openDatabase(command, url)
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
	command.Flags().StringVar(&url, "database-url", "", "connection URL; better given in "+databaseURLVariable)
	return command
}
