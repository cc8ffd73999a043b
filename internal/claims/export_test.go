package claims

// ForgetOrganizations removes the organisation from the queries for claims, as a mistake in them would.
func (d *Database) ForgetOrganizations() { d.unfiltered = true }

// ClaimKey is a claim's id by its value.
func ClaimKey(id string) string { return claimKey(id) }

// KeySQL is ClaimKey of an expression in SQL.
func KeySQL(id string) string { return key(id) }

// PrintableID is a claim's id as a hold has it.
func PrintableID(id string) string { return printableID(id) }
