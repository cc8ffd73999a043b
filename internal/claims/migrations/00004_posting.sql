-- +goose Up
ALTER TABLE ledgerport.runs DROP CONSTRAINT runs_state_check;
ALTER TABLE ledgerport.runs ADD CONSTRAINT runs_state_check
    CHECK (state IN ('started', 'rendered', 'posted', 'delivered', 'committed', 'released'));
DROP INDEX ledgerport.runs_unfinished_series;
CREATE UNIQUE INDEX runs_unfinished_series ON ledgerport.runs (organization_id, series)
    WHERE state IN ('started', 'rendered', 'posted', 'delivered');
COMMENT ON COLUMN ledgerport.runs.state IS 'started (holds nothing), rendered (holds claims and numbers; hashes), posted (the accounting system has answered for every voucher; only where vouchers are sent), delivered (also location), committed or released';

CREATE TABLE ledgerport.posted_vouchers (
    run_id          text COLLATE "C" NOT NULL,
    position        bigint NOT NULL,
    organization_id text COLLATE "C" NOT NULL,
    claim_id        text COLLATE "C" NOT NULL,
    fiscal_year     integer NOT NULL,
    voucher_number  bigint NOT NULL,
    lines           bigint NOT NULL,
    currency        text NOT NULL,
    debit           bigint NOT NULL,
    payable         bigint NOT NULL,
    base_debit      bigint NOT NULL,
    base_payable    bigint NOT NULL,
    state           text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sent', 'acknowledged', 'rejected')),
    sent_at         timestamptz,
    reference       text NOT NULL DEFAULT '',
    message         text NOT NULL DEFAULT '',
    PRIMARY KEY (run_id, position)
);
COMMENT ON TABLE ledgerport.posted_vouchers IS 'What became of each voucher of a run that sends them to an accounting system';
COMMENT ON COLUMN ledgerport.posted_vouchers.position IS 'Place of the claim in the run, from 1';
COMMENT ON COLUMN ledgerport.posted_vouchers.lines IS 'Lines of the claim';
COMMENT ON COLUMN ledgerport.posted_vouchers.debit IS 'Debit in minor units of the claim''s currency; base_debit in the books''. The credit is the same';
COMMENT ON COLUMN ledgerport.posted_vouchers.payable IS 'What the claimant is owed, in minor units of the claim''s currency; base_payable in the books''';
COMMENT ON COLUMN ledgerport.posted_vouchers.state IS 'waiting (the system has nothing of it), sent (it may have), acknowledged (it has it) or rejected (it refused it)';
COMMENT ON COLUMN ledgerport.posted_vouchers.sent_at IS 'When it was sent last';
COMMENT ON COLUMN ledgerport.posted_vouchers.reference IS 'By which the system knows the voucher';
COMMENT ON COLUMN ledgerport.posted_vouchers.message IS 'Why the system rejected it, in its own words';
