-- The role that Ledgerport logs in as, and what it may see of the application's tables: the claims of the one organisation
-- that its transaction is bound to, and their lines. Run it as the owner of the tables who may create roles; running it
-- again does nothing new. Then give the role a password: ALTER ROLE ledgerport_operator PASSWORD '…'.
--
-- Where your tables or columns have other names, write those here as in spec.postgres of the ClaimSource.
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'ledgerport_operator') THEN
    CREATE ROLE ledgerport_operator LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
  END IF;
  EXECUTE format('GRANT CONNECT ON DATABASE %I TO ledgerport_operator', current_database());
  -- Functions and operators are PostgreSQL's own: one that somebody has made in public would run with the role's rights. Tables
  -- are named with their schema.
  EXECUTE format('ALTER ROLE ledgerport_operator IN DATABASE %I SET search_path = pg_catalog, pg_temp', current_database());
END $$;
GRANT USAGE ON SCHEMA public TO ledgerport_operator;
GRANT SELECT ON public.claims, public.claim_lines TO ledgerport_operator;

-- A table without policies of its own gets one that lets everybody else do what they could do before: row-level security
-- shows nothing to whom no policy names.
DO $$
DECLARE
  t regclass;
BEGIN
  FOREACH t IN ARRAY ARRAY['public.claims', 'public.claim_lines']::regclass[] LOOP
    IF NOT (SELECT relrowsecurity FROM pg_class WHERE oid = t) THEN
      EXECUTE format('DROP POLICY IF EXISTS everybody ON %s', t);
      EXECUTE format('CREATE POLICY everybody ON %s USING (true) WITH CHECK (true)', t);
    END IF;
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('DROP POLICY IF EXISTS ledgerport ON %s', t);
    EXECUTE format('DROP POLICY IF EXISTS ledgerport_may ON %s', t);
    EXECUTE format('CREATE POLICY ledgerport_may ON %s FOR SELECT TO ledgerport_operator USING (true)', t);
  END LOOP;
END $$;

-- Restrictive: no other policy can widen it. Every transaction of a run sets ledgerport.organization_id; without it
-- nothing is visible.
CREATE POLICY ledgerport ON public.claims AS RESTRICTIVE FOR ALL TO ledgerport_operator
  USING (organization_id::text = current_setting('ledgerport.organization_id', true));
CREATE POLICY ledgerport ON public.claim_lines AS RESTRICTIVE FOR ALL TO ledgerport_operator
  USING (EXISTS (SELECT FROM public.claims c WHERE c.id = claim_id)); -- of those that are visible
