-- +goose Up
-- Which ledger this is, and how far it has come. A copy of the database has the same identity; one that was restored has a lower
-- sequence than the clusters that use it have seen. The sequence is a value in a row and no PostgreSQL SEQUENCE: those are logged
-- up to 32 values ahead and are not part of a transaction, so that a restored one can be ahead of what was forgotten.
CREATE TABLE ledgerport.ledger (
    only_row          boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    id                uuid NOT NULL DEFAULT gen_random_uuid(),
    system_identifier text NOT NULL DEFAULT '',
    sequence          bigint NOT NULL DEFAULT 0 CHECK (sequence >= 0)
);
INSERT INTO ledgerport.ledger DEFAULT VALUES;
-- +goose StatementBegin
DO $$ BEGIN
    UPDATE ledgerport.ledger SET system_identifier = (SELECT s.system_identifier::text FROM pg_catalog.pg_control_system() s);
EXCEPTION WHEN OTHERS THEN NULL; -- a managed service, or an administrator, may refuse it
END $$;
-- +goose StatementEnd

COMMENT ON TABLE ledgerport.ledger IS 'The one row says which ledger this is. Changed by "ledgerport ledger accept" only, but for the sequence';
COMMENT ON COLUMN ledgerport.ledger.id IS 'Random, made with the schema';
COMMENT ON COLUMN ledgerport.ledger.system_identifier IS 'pg_control_system() of the server that the ledger is on; empty if it may not be called, and then not compared';
COMMENT ON COLUMN ledgerport.ledger.sequence IS 'Raised by each step of a run that clusters are told of, in its transaction';

ALTER TABLE ledgerport.runs
    ADD COLUMN cluster text NOT NULL DEFAULT '',
    ADD COLUMN sequence bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN ledgerport.runs.cluster IS 'UID of the namespace kube-system of the cluster whose run it is; empty for runs from before it was recorded, which belong to the first cluster that goes on with them';
COMMENT ON COLUMN ledgerport.runs.sequence IS 'Sequence of the ledger at the newest step of the run';
