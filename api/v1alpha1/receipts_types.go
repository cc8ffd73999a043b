package v1alpha1

// ReceiptsTable describes the table with one row per receipt.
// +kubebuilder:validation:XValidation:rule="!has(self.columns) || self.columns.all(c, c in ['claimID','lineNo','key','name','mediaType','size','sha256'])",message="columns may rename claimID, lineNo, key, name, mediaType, size and sha256 only"
type ReceiptsTable struct {
	// Table, as schema.table, or as table of the schema public. Quoted as an identifier, never as SQL. It needs an index that begins
	// with the claim's id.
	// +optional
	// +kubebuilder:default=public.receipts
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=127
	Table string `json:"table,omitempty"`
	// Columns renames columns: the name of the contract, such as mediaType, to the name in the table. Where it says nothing the
	// column is called claim_id, line_no, key, name, media_type, size or sha256.
	// +optional
	// +kubebuilder:validation:MaxProperties=20
	Columns map[string]ColumnName `json:"columns,omitempty"`
}

// ReceiptsFilesystem keeps receipts in a directory of the operator's volume of receipts.
type ReceiptsFilesystem struct {
	// Path of the directory, relative to that of the ClaimSource's namespace in the operator's --receipts-root. It cannot be left:
	// not by "..", not by a symbolic link.
	// +optional
	// +kubebuilder:default="."
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="!self.startsWith('/') && !self.split('/').exists(s, s == '..')",message="path is relative and has no '..'"
	Path string `json:"path,omitempty"`
}

// ReceiptsHTTP has receipts on a server of HTTP, each at a path below a URL.
// +kubebuilder:validation:XValidation:rule="!has(self.tokenSecretRef) || !has(self.tokenExternalSecretRef)",message="at most one of tokenSecretRef and tokenExternalSecretRef can be given"
type ReceiptsHTTP struct {
	// URL that keys are put behind, such as https://expenses.acme.example/receipts. Plain HTTP is refused, unless the operator runs with
	// --allow-plain-http.
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:Pattern=`^https?://[^\s?#@]+$`
	URL string `json:"url"`
	// TokenSecretRef names the key of a Secret in this namespace that holds a token, which is sent with each request
	// (Authorization: Bearer).
	// +optional
	TokenSecretRef *SecretKeyReference `json:"tokenSecretRef,omitempty"`
	// TokenExternalSecretRef names the key of the Secret that an ExternalSecret in this namespace binds, instead.
	// +optional
	TokenExternalSecretRef *ExternalSecretKeyReference `json:"tokenExternalSecretRef,omitempty"`
}

// ReceiptsSource says which receipts claims have, and where they are. They are read for exports that ask for them.
// +kubebuilder:validation:XValidation:rule="(has(self.s3) ? 1 : 0) + (has(self.filesystem) ? 1 : 0) + (has(self.http) ? 1 : 0) == 1",message="exactly one of s3, filesystem and http is required"
type ReceiptsSource struct {
	// Table lists the receipts, in the database of the claims. Without it, they are those that the column receiptURI of lines names.
	// +optional
	Table *ReceiptsTable `json:"table,omitempty"`
	// S3 is the bucket that has them. The access key needs s3:GetObject, and s3:ListBucket to tell a receipt that is missing from one
	// that it may not see.
	// +optional
	S3 *S3Destination `json:"s3,omitempty"`
	// Filesystem is the directory that has them.
	// +optional
	Filesystem *ReceiptsFilesystem `json:"filesystem,omitempty"`
	// HTTP is the server that has them.
	// +optional
	HTTP *ReceiptsHTTP `json:"http,omitempty"`
}

// Store describes what has the receipts as what would write there; empty for a server of HTTP, where nothing is written.
func (r *ReceiptsSource) Store() ExportDestinationSpec {
	store := ExportDestinationSpec{S3: r.S3}
	if r.Filesystem != nil {
		store.Filesystem = &FilesystemDestination{Path: r.Filesystem.Path}
	}
	return store
}
