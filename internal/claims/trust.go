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
// is the role's own to manage: another owner then is a stranger, but for the database's. The relations are found by what depends on the
// schema, and all else by the relations: how many tables and functions the application has besides makes no difference.
const strangers = `
	WITH RECURSIVE schema AS (SELECT oid, nspowner AS owner, nspacl AS acl FROM pg_namespace WHERE nspname = 'ledgerport'),
	keepers AS (
		SELECT oid FROM pg_roles WHERE rolsuper OR rolname = current_user
		UNION SELECT owner FROM schema WHERE NOT $1 OR pg_has_role(current_user, owner, 'MEMBER')
		UNION SELECT datdba FROM pg_database WHERE datname = current_database()),
	relations AS (SELECT c.oid, c.relowner AS owner, c.relacl AS acl, format('%I.%I', 'ledgerport', c.relname) AS name,
			CASE c.relkind WHEN 'S' THEN 'SEQUENCE ' ELSE '' END AS class
		FROM pg_class c WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND c.oid = ANY(ARRAY(
			SELECT objid FROM pg_depend WHERE refclassid = 'pg_namespace'::regclass AND refobjid = (SELECT oid FROM schema) AND classid = 'pg_class'::regclass))),
	theirs AS (SELECT array_agg(oid) AS oids FROM relations),
	given AS (
		SELECT 'CREATE' AS privilege, 'SCHEMA ledgerport' AS target, a.grantee FROM schema, aclexplode(schema.acl) a WHERE a.privilege_type = 'CREATE'
		UNION ALL SELECT a.privilege_type, r.class || r.name, a.grantee FROM relations r, aclexplode(r.acl) a
			WHERE a.privilege_type IN ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER')
		UNION ALL SELECT a.privilege_type || format(' (%I)', c.attname), format('%I.%I', 'ledgerport', r.relname), a.grantee
			FROM pg_attribute c JOIN pg_class r ON r.oid = c.attrelid, aclexplode(c.attacl) a
			WHERE c.attrelid = ANY((SELECT oids FROM theirs)::oid[]) AND c.attacl IS NOT NULL AND a.privilege_type IN ('INSERT', 'UPDATE', 'REFERENCES')),
	written AS (
		SELECT 'pg_attrdef'::regclass AS class, oid, adrelid AS relation, 'a default' AS what FROM pg_attrdef WHERE adrelid = ANY((SELECT oids FROM theirs)::oid[])
		UNION ALL SELECT 'pg_constraint'::regclass, oid, conrelid, 'a constraint' FROM pg_constraint WHERE conrelid = ANY((SELECT oids FROM theirs)::oid[])
		UNION ALL SELECT 'pg_policy'::regclass, oid, polrelid, 'a policy' FROM pg_policy WHERE polrelid = ANY((SELECT oids FROM theirs)::oid[])
		UNION ALL SELECT 'pg_class'::regclass, indexrelid, indrelid, 'an index' FROM pg_index WHERE indrelid = ANY((SELECT oids FROM theirs)::oid[])),
	code AS (
		SELECT tgrelid AS relation, format('the trigger %I', tgname) AS what, format('DROP TRIGGER %I ON ', tgname) AS remedy FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
			WHERE tgrelid = ANY((SELECT oids FROM theirs)::oid[]) AND NOT tgisinternal
			AND (p.pronamespace NOT IN (SELECT oid FROM schema) OR p.proowner NOT IN (SELECT oid FROM keepers))
		UNION ALL SELECT ev_class, format('the rule %I', rulename), format('DROP RULE %I ON ', rulename) FROM pg_rewrite
			WHERE ev_class = ANY((SELECT oids FROM theirs)::oid[]) AND rulename <> '_RETURN'
		UNION ALL SELECT polrelid, format('the policy %I', polname), format('DROP POLICY %I ON ', polname) FROM pg_policy
			WHERE polrelid = ANY((SELECT oids FROM theirs)::oid[]) AND polname <> 'ledgerport'
		UNION ALL SELECT w.relation, format('%s with the function %s', w.what, p.oid::regprocedure), 'look at \d '
			FROM written w JOIN pg_depend d ON d.classid = w.class AND d.objid = w.oid AND d.refclassid = 'pg_proc'::regclass
			JOIN pg_proc p ON p.oid = d.refobjid AND p.proowner NOT IN (SELECT oid FROM keepers))
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
