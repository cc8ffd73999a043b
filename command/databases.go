package command

import (
	"cmp"
	"errors"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ledgerport/ledgerport/internal/claims"
)

// databaseURLVariable keeps the password out of the process list.
const databaseURLVariable = "LEDGERPORT_DATABASE_URL"

// databaseFlags say which database a command is for.
type databaseFlags struct {
	url     string
	allowed claims.Allowances
}

func (d *databaseFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&d.url, "database-url", "", "connection URL; better given in "+databaseURLVariable)
	allowDatabases(flags, &d.allowed)
}

// given returns the URL of the flags, or else of the environment.
func (d *databaseFlags) given() (string, error) {
	url := cmp.Or(d.url, os.Getenv(databaseURLVariable))
	if url == "" {
		return "", errors.New("give the database with --database-url or in " + databaseURLVariable)
	}
	return url, nil
}

// open opens the database of the flags, or else of the environment.
func (d *databaseFlags) open(command *cobra.Command) (*claims.Database, error) {
	url, err := d.given()
	if err != nil {
		return nil, err
	}
	return claims.Open(command.Context(), claims.Options{URL: url, Allowed: d.allowed})
}

// allowDatabases adds the flags that let connections to databases do without something.
func allowDatabases(flags *pflag.FlagSet, allowed *claims.Allowances) {
	flags.BoolVar(&allowed.Insecure, "allow-insecure-databases", false,
		"let connection URLs of databases say that the server's certificate is not verified, or that nothing is encrypted, and let servers ask for passwords in any way")
	flags.BoolVar(&allowed.Passwords, "allow-password-logins", false,
		"let a database server whose certificate is verified ask for the password itself instead of SCRAM, as for logins by a cloud's tokens")
}
