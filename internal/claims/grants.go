package claims

import (
	"cmp"
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"text/template"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

// OperatorRole is the role that Ledgerport logs in as, unless somebody names it otherwise.
const OperatorRole = "ledgerport_operator"

// Grants are scripts for a ClaimSource.
type Grants struct {
	// Role makes the role, and lets it see the contract's columns of the claims of one organisation at a time.
	Role string
	// Managed makes the schema "ledgerport" for a role that keeps it.
	Managed string
}

//go:embed grants/role.sql.tmpl
var roleTemplate string

//go:embed grants/managed.sql.tmpl
var managedTemplate string

// granted is what the scripts are made of, quoted as SQL.
type granted struct {
	Role, RoleLiteral        string
	Schemas                  []string
	Claims                   grantedTable
	OfClaims                 []grantedTable // lines, and receipts where a table lists them
	ID                       string
	OrganizationLiteral, Tag string
}

type grantedTable struct {
	Name, Literal string
	Columns       string // literals, of the contract; those that the table lacks are left out when the script runs
	ClaimID       string // the column that names the claim of a row
}

// GrantsFor returns the scripts for the tables of a source. Names come from the resource, and are quoted.
func GrantsFor(source v1alpha1.ClaimSourceSpec, role string) (Grants, error) {
	spec := source.Postgres
	claims := tableOf(cmp.Or(spec.Claims.Table, "public.claims"), spec.Claims.Columns, claimRules, cmp.Or(spec.Claims.Approved.Column, "status"))
	ofClaims := []grantedTable{tableOf(cmp.Or(spec.Lines.Table, "public.claim_lines"), spec.Lines.Columns, lineRules)}
	if receipts := source.Receipts; receipts != nil && receipts.Table != nil {
		ofClaims = append(ofClaims, tableOf(cmp.Or(receipts.Table.Table, "public.receipts"), receipts.Table.Columns, receiptRules))
	}
	column := func(renamed map[string]v1alpha1.ColumnName, key, name string) string {
		return cmp.Or(string(renamed[key]), name)
	}
	organization := column(spec.Claims.Columns, "organizationID", "organization_id")
	g := granted{
		Role: quoteName(role), RoleLiteral: literal(role), Claims: claims, OfClaims: ofClaims,
		ID:                  quoteName(column(spec.Claims.Columns, "id", "id")),
		OrganizationLiteral: literal(organization),
	}
	for _, table := range append(ofClaims, claims) {
		schema, _, _ := strings.Cut(table.Name, `".`)
		g.Schemas = append(g.Schemas, schema+`"`)
	}
	slices.Sort(g.Schemas)
	g.Schemas = slices.Compact(g.Schemas)
	g.Tag = tagFor(fmt.Sprint(g))
	var scripts Grants
	var err error
	if scripts.Role, err = fill(roleTemplate, g); err == nil {
		scripts.Managed, err = fill(managedTemplate, g)
	}
	return scripts, err
}

func fill(text string, g granted) (string, error) {
	parsed, err := template.New("grants").Parse(text)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	err = parsed.Execute(&out, g)
	return out.String(), err
}

func tableOf(declared string, renamed map[string]v1alpha1.ColumnName, rules []columnRule, more ...string) grantedTable {
	var columns []string
	for _, rule := range rules {
		columns = append(columns, literal(cmp.Or(string(renamed[rule.key]), rule.name)))
	}
	for _, name := range more {
		columns = append(columns, literal(name))
	}
	name := quoteTable(declared)
	return grantedTable{Name: name, Literal: literal(name), Columns: strings.Join(columns, ", "), ClaimID: quoteName(cmp.Or(string(renamed["claimID"]), "claim_id"))}
}

func quoteName(name string) string { return pgx.Identifier{name}.Sanitize() }

// tagFor returns a tag of a dollar-quoted text that does not end within names.
func tagFor(content string) string {
	tag := "$do$"
	for strings.Contains(content, tag) {
		tag = strings.TrimSuffix(tag, "$") + "o$"
	}
	return tag
}
