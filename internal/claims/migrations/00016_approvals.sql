-- +goose Up
-- Both pairs of eyes of a run that needed an approval. The ExportRun names them, too, but goes with the limits of history.
ALTER TABLE ledgerport.runs
    ADD COLUMN requested_by text,
    ADD COLUMN approved_by text,
    ADD COLUMN approved_at timestamptz,
    ADD CHECK (num_nulls(requested_by, approved_by, approved_at) IN (0, 3));

COMMENT ON COLUMN ledgerport.runs.requested_by IS 'User of the cluster that asked for the run, or system:ledgerport:schedule; of a run that was approved';
COMMENT ON COLUMN ledgerport.runs.approved_by IS 'User of the cluster that approved what the run delivers, if it needed an approval';
COMMENT ON COLUMN ledgerport.runs.approved_at IS 'When the operator saw the approval';
