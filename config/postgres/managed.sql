-- For a ClaimSource with manageSchema: true. The role owns the schema "ledgerport", which it creates and migrates itself,
-- and may create nothing else. As their owner it is not bound by policies on the tables in it; those on the application's
-- tables bind it all the same.
CREATE SCHEMA IF NOT EXISTS ledgerport AUTHORIZATION ledgerport_operator;
