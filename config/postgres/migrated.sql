-- For a ClaimSource with manageSchema: false. Run it as the role that ran "ledgerport migrate", after every time it was run.
BEGIN;
SET LOCAL search_path = pg_catalog, pg_temp;
GRANT USAGE ON SCHEMA ledgerport TO ledgerport_operator;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ledgerport TO ledgerport_operator;
REVOKE INSERT, UPDATE, DELETE ON ledgerport.schema_version FROM ledgerport_operator;
REVOKE INSERT, UPDATE, DELETE ON ledgerport.ledger FROM ledgerport_operator;
GRANT UPDATE (sequence) ON ledgerport.ledger TO ledgerport_operator; -- its identity is an administrator's
REVOKE DELETE ON ledgerport.runs, ledgerport.voucher_numbers, ledgerport.voided_vouchers, ledgerport.claim_tables, ledgerport.adopted_vouchers FROM ledgerport_operator;
REVOKE ALL ON ledgerport.vouchers, ledgerport.claim_status FROM ledgerport_operator; -- views for people and the application, which policies do not bind

-- A transaction sees the rows of its organisation; and, to learn whose a run is, the one run that it names.
DROP POLICY IF EXISTS ledgerport ON ledgerport.runs;
ALTER TABLE ledgerport.runs ENABLE ROW LEVEL SECURITY;
CREATE POLICY ledgerport ON ledgerport.runs TO ledgerport_operator
  USING (organization_id = current_setting('ledgerport.organization_id', true) OR id = current_setting('ledgerport.run_id', true));

-- Every other table with an organisation, or with a run, is bound to it; save those that are filled by COPY, which row-level
-- security does not know. They hold ids and numbers, and nothing of a claim.
DO $$
DECLARE
  t record;
BEGIN
  FOR t IN
    SELECT c.oid::regclass AS name, bool_or(a.attname = 'organization_id') AS by_organization
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname IN ('organization_id', 'run_id') AND NOT a.attisdropped
    WHERE c.relnamespace = 'ledgerport'::regnamespace AND c.relkind IN ('r', 'p')
      AND c.relname NOT IN ('runs', 'exported_claims', 'reversal_vouchers')
    GROUP BY c.oid
  LOOP
    EXECUTE format('DROP POLICY IF EXISTS ledgerport ON %s', t.name);
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', t.name);
    EXECUTE format('CREATE POLICY ledgerport ON %s TO ledgerport_operator USING (%s)', t.name, CASE
      WHEN t.by_organization THEN $q$organization_id = current_setting('ledgerport.organization_id', true)$q$
      ELSE 'EXISTS (SELECT FROM ledgerport.runs r WHERE r.id = run_id)' END);
  END LOOP;
END $$;
COMMIT;
