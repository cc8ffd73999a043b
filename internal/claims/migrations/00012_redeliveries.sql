-- +goose Up
-- A redelivery has no claims and no numbers: it stands in no other run's way.
ALTER TABLE ledgerport.runs DROP CONSTRAINT runs_type_check;
ALTER TABLE ledgerport.runs ADD CONSTRAINT runs_type_check CHECK (type IN ('export', 'reversal', 'redelivery'));
ALTER TABLE ledgerport.runs ADD COLUMN redelivers text CHECK ((redelivers IS NOT NULL) = (type = 'redelivery'));
DROP INDEX ledgerport.runs_unfinished_series;
CREATE UNIQUE INDEX runs_unfinished_series ON ledgerport.runs (organization_id, book, series)
    WHERE state IN ('started', 'rendered', 'submitted', 'delivered') AND type <> 'redelivery';

COMMENT ON COLUMN ledgerport.runs.type IS 'export, reversal of another run, or redelivery of what another run has delivered';
COMMENT ON COLUMN ledgerport.runs.redelivers IS 'The run whose artifact a redelivery delivers again: it has the same files, at a place of its own, and no claims';
