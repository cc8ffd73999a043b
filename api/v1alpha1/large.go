package v1alpha1

// What is left of a spec without its large parts is bounded by its schema, and says what the object refers to. A cache that holds the
// objects of everybody keeps no more of a large one.

// LeaveOutLarge empties what of the spec may be large: the options of the exporter, and who is told.
func (o *AccountingExport) LeaveOutLarge() { o.Spec.Exporter.Options, o.Spec.Notify = nil, nil }

// LeaveOutLarge empties what of the spec may be large: the claims that are named. That some are is kept.
func (o *ExportRun) LeaveOutLarge() {
	if o.Spec.Claims != nil {
		o.Spec.Claims = &NamedClaims{}
	}
}

// LeaveOutLarge empties the spec: a chart refers to nothing, and all of it may be large.
func (o *ChartOfAccounts) LeaveOutLarge() { o.Spec = ChartOfAccountsSpec{} }

// LeaveOutLarge empties what of the spec may be large: tables, certificates, and who has access.
func (o *ClaimSource) LeaveOutLarge() {
	o.Spec.Access = nil
	database := &o.Spec.Postgres
	database.CABundle, database.Claims, database.Lines = "", ClaimsTable{}, LinesTable{}
	if o.Spec.Receipts != nil {
		o.Spec.Receipts.Table = nil
	}
}
