package claims

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
)

// strangers finds who but its owner and this role may write the schema "ledgerport" or make it run something of theirs, each with
// the statement that ends it. Superusers may do anything, and a member of the owner's role is the owner. $1 says that the schema
// is the role's own to manage: another owner then is a stranger, but for the database's.
const strangers = `
	WITH RECURSIVE schema AS (SELECT oid, nspowner AS owner, nspacl AS acl FROM pg_namespace WHERE nspname = 'ledgerport'),
	keepers AS (
		SELECT oid FROM pg_roles WHERE rolsuper OR rolname = current_user
		UNION SELECT owner FROM schema WHERE NOT $1 OR pg_has_role(current_user, owner, 'MEMBER')
		UNION SELECT datdba FROM pg_database WHERE datname = current_database()),
	relations AS (SELECT c.oid, c.relkind AS kind, c.relowner AS owner, c.relacl AS acl, format('%I.%I', 'ledgerport', c.relname) AS name,
			CASE c.relkind WHEN 'S' THEN 'SEQUENCE ' ELSE '' END AS class
		FROM pg_class c JOIN schema ON schema.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')),
	given AS (
		SELECT 'CREATE' AS privilege, 'SCHEMA ledgerport' AS target, a.grantee FROM schema, aclexplode(schema.acl) a WHERE a.privilege_type = 'CREATE'
		UNION ALL SELECT a.privilege_type, r.class || r.name, a.grantee FROM relations r, aclexplode(r.acl) a
			WHERE a.privilege_type IN ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER')
		UNION ALL SELECT a.privilege_type || format(' (%I)', c.attname), r.name, a.grantee FROM relations r
			JOIN pg_attribute c ON c.attrelid = r.oid AND c.attacl IS NOT NULL, aclexplode(c.attacl) a WHERE a.privilege_type IN ('INSERT', 'UPDATE', 'REFERENCES')),
	code AS (
		SELECT tgrelid AS relation, format('the trigger %I', tgname) AS what, format('DROP TRIGGER %I ON ', tgname) AS remedy FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
			WHERE NOT tgisinternal AND (p.pronamespace NOT IN (SELECT oid FROM schema) OR p.proowner NOT IN (SELECT oid FROM keepers))
		UNION ALL SELECT ev_class, format('the rule %I', rulename), format('DROP RULE %I ON ', rulename) FROM pg_rewrite WHERE rulename <> '_RETURN'
		UNION ALL SELECT polrelid, format('the policy %I', polname), format('DROP POLICY %I ON ', polname) FROM pg_policy WHERE polname <> 'ledgerport'
		UNION ALL SELECT of.relation, format('%s with the function %s', of.what, p.oid::regprocedure), 'look at \d ' FROM pg_depend d
			JOIN pg_proc p ON d.refclassid = 'pg_proc'::regclass AND p.oid = d.refobjid AND p.proowner NOT IN (SELECT oid FROM keepers)
			JOIN LATERAL (
				SELECT adrelid AS relation, 'a default' AS what FROM pg_attrdef WHERE d.classid = 'pg_attrdef'::regclass AND oid = d.objid
				UNION ALL SELECT conrelid, 'a constraint' FROM pg_constraint WHERE d.classid = 'pg_constraint'::regclass AND oid = d.objid
				UNION ALL SELECT polrelid, 'a policy' FROM pg_policy WHERE d.classid = 'pg_policy'::regclass AND oid = d.objid
				UNION ALL SELECT indrelid, 'an index' FROM pg_index WHERE d.classid = 'pg_class'::regclass AND indexrelid = d.objid) of ON true)
	SELECT format('%s owns the schema', pg_get_userbyid(owner)), format('ALTER SCHEMA ledgerport OWNER TO %I', current_user) FROM schema WHERE owner NOT IN (SELECT oid FROM keepers)
	UNION ALL SELECT format('%s owns %s', pg_get_userbyid(r.owner), r.name), format('ALTER TABLE %s OWNER TO %I', r.name, pg_get_userbyid(s.owner)) FROM relations r, schema s
		WHERE r.owner NOT IN (SELECT oid FROM keepers)
	UNION ALL SELECT format('%s may %s on %s', g.role, g.privilege, g.target), format('REVOKE %s ON %s FROM %s', g.privilege, g.target, g.role)
		FROM (SELECT string_agg(privilege, ', ' ORDER BY privilege) AS privilege, target, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END AS role
			FROM given WHERE grantee NOT IN (SELECT oid FROM keepers) GROUP BY target, grantee) g
	UNION ALL SELECT format('%s has %s', r.name, c.what), c.remedy || r.name FROM code c JOIN relations r ON r.oid = c.relation
	LIMIT 10`

// trusted refuses a schema "ledgerport" that others may write: what is recorded there decides what is exported, and what is
// delivered and removed. Of its tables, those of the application's may be owned by anybody.
func (d *Database) trusted(ctx context.Context, tx pgx.Tx) error {
	managed := d.options.Layout.ManageSchema == nil || *d.options.Layout.ManageSchema
	rows, _ := tx.Query(ctx, strangers, managed) // the error comes with the rows
	var found, remedies []string
	var what, remedy string
	if _, err := pgx.ForEachRow(rows, []any{&what, &remedy}, func() error {
		found, remedies = append(found, what), append(remedies, remedy+";")
		return nil
	}); err != nil || len(found) == 0 {
		return err
	}
	return failure.OnSource.Transient(v1alpha1.ReasonSchemaNotTrusted, nil,
		`what the schema "ledgerport" says cannot be trusted, because others than its owner and the operator's role may change it: %s. Run %s`,
		strings.Join(found, "; "), strings.Join(remedies, " "))
}
