-- The role that Ledgerport logs in as, and what it may see of the application's tables: the contract's columns of the claims of
-- the one organisation that its transaction is bound to, and of their lines. Run it as the owner of the tables who may create
-- roles; running it again does nothing new. Then give the role a password: ALTER ROLE … PASSWORD '…', or \password in psql.
--
-- Made by "ledgerport grants" for a ClaimSource: make another for one whose tables or columns have other names.
BEGIN;
SET LOCAL search_path = pg_catalog, pg_temp; -- nothing that somebody has made in public runs here
SET LOCAL standard_conforming_strings = on;

DO $do$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'ledgerport_operator') THEN
    CREATE ROLE "ledgerport_operator" LOGIN;
  END IF;
  IF NOT has_database_privilege('ledgerport_operator', current_database(), 'CONNECT') THEN
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), 'ledgerport_operator');
  END IF;
END $do$;
GRANT USAGE ON SCHEMA "public" TO "ledgerport_operator";

DO $do$
DECLARE
  t record;
BEGIN
  FOR t IN
    SELECT c.oid, c.oid::regclass AS name, c.relkind, c.relrowsecurity, wanted.columns
    FROM (VALUES ('"public"."claims"', ARRAY['id', 'organization_id', 'claimant_id', 'claimant_name', 'claimant_iban', 'claimant_bic', 'claimant_address', 'currency', 'approved_at', 'approved_by', 'description', 'advance_amount', 'base_advance_amount', 'status']),
                 ('"public"."claim_lines"', ARRAY['claim_id', 'line_no', 'expense_date', 'category', 'description', 'gross_amount', 'tax_amount', 'tax_code', 'currency', 'base_gross_amount', 'base_tax_amount', 'dimensions', 'quantity', 'unit', 'receipt_uri', 'payment_method', 'payment_reference', 'merchant', 'country', 'document_number'])) AS wanted (name, columns)
    JOIN pg_class c ON c.oid = wanted.name::regclass
  LOOP
    EXECUTE format('REVOKE SELECT ON %s FROM %I', t.name, 'ledgerport_operator');
    EXECUTE (SELECT format('GRANT SELECT (%s) ON %s TO %I', string_agg(quote_ident(attname), ', ' ORDER BY attnum), t.name, 'ledgerport_operator')
             FROM pg_attribute WHERE attrelid = t.oid AND attnum > 0 AND NOT attisdropped AND attname = ANY (t.columns));
    IF t.relkind NOT IN ('r', 'p') THEN
      RAISE NOTICE '% is no table: policies are for what it is made of; let a view be security_invoker, or have the condition in it', t.name;
      CONTINUE;
    END IF;
    -- A table without policies of its own gets one that lets everybody else do what they could do before: row-level security
    -- shows nothing to whom no policy names.
    IF NOT t.relrowsecurity THEN
      EXECUTE format('DROP POLICY IF EXISTS everybody ON %s', t.name);
      EXECUTE format('CREATE POLICY everybody ON %s USING (true) WITH CHECK (true)', t.name);
    END IF;
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', t.name);
    EXECUTE format('DROP POLICY IF EXISTS ledgerport ON %s', t.name);
    EXECUTE format('DROP POLICY IF EXISTS ledgerport_may ON %s', t.name);
    EXECUTE format('CREATE POLICY ledgerport_may ON %s FOR SELECT TO %I USING (true)', t.name, 'ledgerport_operator');
  END LOOP;
END $do$;

-- Restrictive: no other policy can widen it. Every transaction of a run sets ledgerport.organization_id; without it nothing is
-- visible. It is compared as what the column is, so that an index serves, and a text letter by letter, whatever the collation.
DO $do$
DECLARE
  kind oid;
BEGIN
  SELECT CASE y.typtype WHEN 'd' THEN y.typbasetype ELSE y.oid END INTO kind
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'organization_id' JOIN pg_type y ON y.oid = a.atttypid
  WHERE c.oid = '"public"."claims"'::regclass AND c.relkind IN ('r', 'p');
  IF kind IS NULL THEN
    RETURN; -- no table, or no such column
  END IF;
  EXECUTE format('CREATE POLICY ledgerport ON %s AS RESTRICTIVE FOR ALL TO %I
    USING (%I = nullif(current_setting(''ledgerport.organization_id'', true), '''')::%s%s)',
    '"public"."claims"'::regclass, 'ledgerport_operator', 'organization_id',
    CASE WHEN kind IN ('varchar'::regtype, 'text'::regtype) THEN 'text' ELSE format_type(kind, NULL) END,
    CASE WHEN kind IN ('varchar'::regtype, 'text'::regtype)
      THEN format(' AND %I::text COLLATE "C" = current_setting(''ledgerport.organization_id'', true)', 'organization_id') ELSE '' END);
END $do$;
DO $do$ BEGIN
  IF (SELECT relkind FROM pg_class WHERE oid = '"public"."claim_lines"'::regclass) IN ('r', 'p') THEN
    CREATE POLICY ledgerport ON "public"."claim_lines" AS RESTRICTIVE FOR ALL TO "ledgerport_operator"
      USING (EXISTS (SELECT FROM "public"."claims" claim WHERE claim."id" = "public"."claim_lines"."claim_id")); -- of those that are visible
  END IF;
END $do$;
COMMIT;
