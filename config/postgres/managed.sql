-- For a ClaimSource with manageSchema: true. The role owns the schema "ledgerport", which it creates and migrates itself, and may
-- create nothing else. As their owner it is not bound by policies on the tables in it; those on the application's tables bind it
-- all the same. Run it as somebody who may create schemas in the database, and roles; running it again does nothing new.
BEGIN;
SET LOCAL search_path = pg_catalog, pg_temp;
SET LOCAL standard_conforming_strings = on;
DO $do$
DECLARE
  lent boolean := NOT pg_has_role(current_user, 'ledgerport_operator',
    CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END);
  keeper text := (SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = 'ledgerport');
BEGIN
  IF keeper IS NULL THEN
    -- Who makes something for another role must have that role meanwhile.
    IF lent THEN
      EXECUTE format('GRANT %I TO %I', 'ledgerport_operator', current_user);
    END IF;
    CREATE SCHEMA ledgerport AUTHORIZATION "ledgerport_operator";
    IF lent THEN
      EXECUTE format('REVOKE %I FROM %I', 'ledgerport_operator', current_user);
    END IF;
  ELSIF keeper <> 'ledgerport_operator' THEN
    RAISE 'the schema ledgerport is owned by %, and not by the role %', keeper, 'ledgerport_operator'
      USING HINT = 'Set manageSchema to false and run migrated.sql, or give the schema and all that is in it to the role.';
  END IF;
END $do$;
COMMIT;
