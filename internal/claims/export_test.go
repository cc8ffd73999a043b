package claims

// ForgetOrganizations removes the organisation from the queries for claims, as a mistake in them would.
func (d *Database) ForgetOrganizations() { d.unfiltered = true }
