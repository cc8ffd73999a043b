-- +goose Up
-- A posting is a line of a voucher. To send vouchers to an accounting system is a submission.
ALTER TABLE ledgerport.runs DROP CONSTRAINT runs_state_check;
DROP INDEX ledgerport.runs_unfinished_series;
UPDATE ledgerport.runs SET state = 'submitted' WHERE state = 'posted';
ALTER TABLE ledgerport.runs ADD CONSTRAINT runs_state_check
    CHECK (state IN ('started', 'rendered', 'submitted', 'delivered', 'committed', 'released'));
CREATE UNIQUE INDEX runs_unfinished_series ON ledgerport.runs (organization_id, series)
    WHERE state IN ('started', 'rendered', 'submitted', 'delivered');
COMMENT ON COLUMN ledgerport.runs.state IS 'started (holds nothing), rendered (holds claims and numbers; hashes), submitted (the accounting system has answered for every voucher; only where vouchers are sent), delivered (also location), committed or released';

ALTER TABLE ledgerport.posted_vouchers RENAME TO submitted_vouchers;
ALTER TABLE ledgerport.submitted_vouchers RENAME CONSTRAINT posted_vouchers_pkey TO submitted_vouchers_pkey;
ALTER TABLE ledgerport.submitted_vouchers RENAME CONSTRAINT posted_vouchers_state_check TO submitted_vouchers_state_check;
