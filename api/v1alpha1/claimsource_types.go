package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ApprovedFilter says which claims are approved: those whose column has one of the values.
type ApprovedFilter struct {
	// Column of the claims table that holds the claim's status.
	// +optional
	// +kubebuilder:default=status
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Column string `json:"column,omitempty"`
	// Values of the column that mean approved.
	// +optional
	// +listType=set
	// +kubebuilder:default={approved}
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=20
	// +kubebuilder:validation:items:MaxLength=100
	Values []string `json:"values,omitempty"`
}

// ClaimsTable describes the table with one row per claim.
// +kubebuilder:validation:XValidation:rule="!has(self.columns) || self.columns.all(c, c in ['id','organizationID','claimantID','claimantName','claimantIBAN','claimantBIC','claimantAddress','approvedAt','approvedBy','currency','description','advanceAmount','baseAdvanceAmount'])",message="columns may rename id, organizationID, claimantID, claimantName, claimantIBAN, claimantBIC, claimantAddress, approvedAt, approvedBy, currency, description, advanceAmount and baseAdvanceAmount only"
type ClaimsTable struct {
	// Table, as schema.table, or as table of the schema public. Quoted as an identifier, never as SQL.
	// +optional
	// +kubebuilder:default=public.claims
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=127
	Table string `json:"table,omitempty"`
	// Columns renames columns: the name of the contract, such as approvedAt, to the name in the table. Where it
	// says nothing the column is called id, organization_id, claimant_id, claimant_name, claimant_iban,
	// claimant_bic, claimant_address, approved_at, approved_by, currency, description, advance_amount or
	// base_advance_amount.
	// +optional
	// +kubebuilder:validation:MaxProperties=20
	Columns map[string]ColumnName `json:"columns,omitempty"`
	// Approved says which claims are approved.
	// +optional
	// +kubebuilder:default={column: status, values: {approved}}
	Approved ApprovedFilter `json:"approved,omitempty"`
}

// LinesTable describes the table with one row per expense line.
// +kubebuilder:validation:XValidation:rule="!has(self.columns) || self.columns.all(c, c in ['claimID','lineNo','expenseDate','category','description','grossAmount','taxAmount','taxCode','currency','baseGrossAmount','baseTaxAmount','dimensions','quantity','unit','receiptURI','paymentMethod','paymentReference','merchant','country','documentNumber'])",message="columns may rename claimID, lineNo, expenseDate, category, description, grossAmount, taxAmount, taxCode, currency, baseGrossAmount, baseTaxAmount, dimensions, quantity, unit, receiptURI, paymentMethod, paymentReference, merchant, country and documentNumber only"
type LinesTable struct {
	// Table, as schema.table, or as table of the schema public. Quoted as an identifier, never as SQL.
	// +optional
	// +kubebuilder:default=public.claim_lines
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=127
	Table string `json:"table,omitempty"`
	// Columns renames columns: the name of the contract, such as grossAmount, to the name in the table. Where it says
	// nothing the column is called claim_id, line_no, expense_date, category, description, gross_amount, tax_amount,
	// tax_code, currency, base_gross_amount, base_tax_amount, dimensions, quantity, unit, receipt_uri, payment_method,
	// payment_reference, merchant, country or document_number.
	// +optional
	// +kubebuilder:validation:MaxProperties=20
	Columns map[string]ColumnName `json:"columns,omitempty"`
}

// ColumnName is the name of a column in PostgreSQL. Quoted as an identifier, never as SQL.
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=63
type ColumnName string

// PostgresSource says where claims are in a PostgreSQL database.
// +kubebuilder:validation:XValidation:rule="has(self.connectionSecretRef) != has(self.connectionExternalSecretRef)",message="exactly one of connectionSecretRef and connectionExternalSecretRef is required"
type PostgresSource struct {
	// ConnectionSecretRef names the key of a Secret in this namespace that holds the connection URL
	// (postgres://user:password@host:port/database). sslmode is verify-full unless it says otherwise, and anything weaker than that
	// is refused unless the administrator allows it.
	// +optional
	ConnectionSecretRef *SecretKeyReference `json:"connectionSecretRef,omitempty"`
	// ConnectionExternalSecretRef names the key of the Secret that an ExternalSecret in this namespace binds, instead.
	// +optional
	ConnectionExternalSecretRef *ExternalSecretKeyReference `json:"connectionExternalSecretRef,omitempty"`
	// CABundle has certificates of authorities, in PEM: the server's certificate must be signed by one of them, and by no other.
	// The connection URL may say sslmode=verify-ca if the name does not matter. Without it the operator's own authorities are
	// trusted.
	// +optional
	// +kubebuilder:validation:MaxLength=262144
	CABundle string `json:"caBundle,omitempty"`
	// Claims describes the table with one row per claim.
	// +optional
	// +kubebuilder:default={table: public.claims}
	Claims ClaimsTable `json:"claims,omitempty"`
	// Lines describes the table with one row per expense line.
	// +optional
	// +kubebuilder:default={table: public.claim_lines}
	Lines LinesTable `json:"lines,omitempty"`
	// ManageSchema lets the operator create and migrate its own schema "ledgerport" in this database.
	// Where it is false an administrator runs "ledgerport migrate".
	// +optional
	// +kubebuilder:default=true
	ManageSchema *bool `json:"manageSchema,omitempty"`
}

// AccessRule admits namespaces to organisations of a ClaimSource.
// +kubebuilder:validation:XValidation:rule="has(self.organizationIDFromNamespaceLabel) != has(self.organizationIDs)",message="exactly one of organizationIDFromNamespaceLabel and organizationIDs is required"
type AccessRule struct {
	// NamespaceSelector selects the namespaces that this rule admits. An empty selector selects every namespace.
	// +kubebuilder:validation:XValidation:rule="(!has(self.matchLabels) || size(self.matchLabels) <= 100) && (!has(self.matchExpressions) || size(self.matchExpressions) <= 100)",message="a selector has at most 100 labels and 100 expressions"
	NamespaceSelector metav1.LabelSelector `json:"namespaceSelector"`
	// OrganizationIDFromNamespaceLabel admits the organisation whose id is the value of this label on the namespace.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=317
	OrganizationIDFromNamespaceLabel string `json:"organizationIDFromNamespaceLabel,omitempty"`
	// OrganizationIDs admits these organisations.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=1000
	// +kubebuilder:validation:items:MaxLength=100
	OrganizationIDs []string `json:"organizationIDs,omitempty"`
}

// ClaimSourceSpec says where approved claims are and who may read them.
type ClaimSourceSpec struct {
	// Postgres holds the claims.
	Postgres PostgresSource `json:"postgres"`
	// Receipts says where the receipts of claims are. Without it no export can deliver them.
	// +optional
	Receipts *ReceiptsSource `json:"receipts,omitempty"`
	// Access says which other namespaces may export which organisations. Without it only the source's own
	// namespace may, and it may export every organisation.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	Access []AccessRule `json:"access,omitempty"`
}

// AcceptedLedgerAnnotation names the id of a ledger that a person has accepted, on a ClaimSource whose database holds another one
// than before, or on an AccountingExport that takes its claims from another ledger than before.
const AcceptedLedgerAnnotation = "accounting.ledgerport.dev/accepted-ledger"

// ClaimSourceStatus reports whether the source can be read.
type ClaimSourceStatus struct {
	// ObservedGeneration is the generation that the conditions speak of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Conditions: Ready, Reconciling, Stalled, CredentialsReady, Encrypted, Indexed and Isolated.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:XValidation:rule="self.lastTransitionTime >= timestamp('1970-01-01T00:00:00Z') && self.lastTransitionTime < timestamp('3000-01-01T00:00:00Z')",message="lastTransitionTime is an RFC 3339 time from 1970 to 2999"
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// SchemaVersion is the version of the schema "ledgerport" in the database.
	// +optional
	// +kubebuilder:validation:Minimum=0
	SchemaVersion int64 `json:"schemaVersion,omitempty"`
	// LedgerID is the id of the ledger in the database, as it was last accepted. The first one that is seen is accepted by
	// itself; another one only by the annotation accounting.ledgerport.dev/accepted-ledger.
	// +optional
	LedgerID string `json:"ledgerID,omitempty"`
}

// ClaimSource says where approved claims are (PostgreSQL) and which namespaces may export which organisations.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=claimsources,singular=claimsource,shortName=csrc,categories=ledgerport
// +kubebuilder:printcolumn:name="CLAIMS",type=string,JSONPath=`.spec.postgres.claims.table`
// +kubebuilder:printcolumn:name="READY",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="INDEXED",type=string,JSONPath=`.status.conditions[?(@.type=="Indexed")].status`
// +kubebuilder:printcolumn:name="AGE",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="ISOLATED",type=string,JSONPath=`.status.conditions[?(@.type=="Isolated")].status`
// +kubebuilder:printcolumn:name="ENCRYPTED",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Encrypted")].status`
// +kubebuilder:printcolumn:name="REASON",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
type ClaimSource struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec ClaimSourceSpec `json:"spec"`
	// Status is what the operator has found. It has observed generation -1 until the operator has looked.
	// +optional
	// +kubebuilder:default:={"observedGeneration":-1}
	Status ClaimSourceStatus `json:"status,omitempty"`
	// Undecoded says what of the object does not decode; nothing for almost all.
	Undecoded Undecoded `json:"-"`
}

// ClaimSourceList is a list of ClaimSource.
// +kubebuilder:object:root=true
type ClaimSourceList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ClaimSource `json:"items"`
}
