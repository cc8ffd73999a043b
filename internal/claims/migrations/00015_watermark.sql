-- +goose Up
-- How far a run has come among the approved claims: what later runs need not compare with all that was ever exported. It is part of
-- the row of the run, and so of the transaction that reserves its claims.
ALTER TABLE ledgerport.runs
    ADD COLUMN watermark timestamptz,
    ADD COLUMN watermark_scope text COLLATE "C",
    ADD COLUMN watermark_sequence bigint,
    ADD COLUMN compared_at timestamptz,
    ADD COLUMN freed_sequence bigint,
    ADD CHECK (num_nulls(watermark, watermark_scope, watermark_sequence, compared_at) IN (0, 4));
CREATE INDEX runs_watermark ON ledgerport.runs (organization_id, watermark_scope, compared_at) WHERE watermark IS NOT NULL;
CREATE INDEX runs_freed ON ledgerport.runs (organization_id, book, freed_sequence) WHERE freed_sequence IS NOT NULL;

COMMENT ON COLUMN ledgerport.runs.watermark IS 'When the run reserved its claims, all that were approved before this instant were exported, held or not selected';
COMMENT ON COLUMN ledgerport.runs.watermark_scope IS 'Which claims that is said of: a hash of the table, its columns and the selection, behind the id of the ledger';
COMMENT ON COLUMN ledgerport.runs.watermark_sequence IS 'Sequence of the ledger in the snapshot that it is said of';
COMMENT ON COLUMN ledgerport.runs.compared_at IS 'When all approved claims were last compared with all that are exported, by this run or by the one whose watermark it used';
COMMENT ON COLUMN ledgerport.runs.freed_sequence IS 'Sequence of the ledger at the newest step of the run that freed claims; watermarks of an earlier one in the same book do not count any more';

-- The claims of a run are found by it. A summary of ranges of pages found them only where runs are large: the ids of runs are random,
-- so that each range of many small runs may have any of them. Equal keys are kept once.
DROP INDEX ledgerport.exported_claims_run;
CREATE INDEX exported_claims_run ON ledgerport.exported_claims (run_id);
