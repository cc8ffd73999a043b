-- +goose Up
-- No foreign key to runs: it would be checked claim by claim and lock the run's row, and doubles the cost of reserving.
-- Rows are only written and removed together with their run.
CREATE TABLE ledgerport.exported_claims (
    organization_id text COLLATE "C" NOT NULL,
    claim_id        text COLLATE "C" NOT NULL,
    run_id          text COLLATE "C" NOT NULL,
    position        bigint NOT NULL,
    fiscal_year     integer NOT NULL,
    voucher_number  bigint NOT NULL,
    PRIMARY KEY (organization_id, claim_id)
);
-- The rows of a run lie together, so that a summary of each range of pages finds them; it costs next to nothing to keep.
CREATE INDEX exported_claims_run ON ledgerport.exported_claims USING brin (run_id) WITH (pages_per_range = 32, autosummarize = on);

COMMENT ON TABLE ledgerport.exported_claims IS 'Claims that are bound to a run: exported once it is committed, and never again';
COMMENT ON COLUMN ledgerport.exported_claims.claim_id IS 'The claim''s id as text';
COMMENT ON COLUMN ledgerport.exported_claims.position IS 'Place of the claim in the run''s artifact, from 1';
COMMENT ON COLUMN ledgerport.exported_claims.fiscal_year IS 'Fiscal year of the voucher, named after the year it begins in';
COMMENT ON COLUMN ledgerport.exported_claims.voucher_number IS 'Number of the voucher in the series of the run and the fiscal year';

CREATE TABLE ledgerport.voucher_numbers (
    organization_id text NOT NULL,
    series          text NOT NULL,
    fiscal_year     integer NOT NULL,
    next            bigint NOT NULL CHECK (next > 0),
    PRIMARY KEY (organization_id, series, fiscal_year)
);
COMMENT ON TABLE ledgerport.voucher_numbers IS 'The next number of each series and fiscal year';

CREATE TABLE ledgerport.voided_vouchers (
    organization_id text NOT NULL,
    series          text NOT NULL,
    fiscal_year     integer NOT NULL,
    first           bigint NOT NULL,
    last            bigint NOT NULL CHECK (last >= first),
    run_id          text NOT NULL,
    reason          text NOT NULL,
    voided_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, series, fiscal_year, first)
);
COMMENT ON TABLE ledgerport.voided_vouchers IS 'Numbers of released runs: allocated, on record, and used by no voucher';
COMMENT ON COLUMN ledgerport.voided_vouchers.first IS 'First number of the unbroken range';
COMMENT ON COLUMN ledgerport.voided_vouchers.last IS 'Last number of the unbroken range';

CREATE TABLE ledgerport.held_claims (
    organization_id text NOT NULL,
    claim_id        text NOT NULL,
    run_id          text NOT NULL,
    reason          text NOT NULL,
    message         text NOT NULL,
    held_since      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, claim_id)
);
COMMENT ON TABLE ledgerport.held_claims IS 'Approved claims that wait for a person: why, and what to do';
COMMENT ON COLUMN ledgerport.held_claims.run_id IS 'The last run that held the claim';
COMMENT ON COLUMN ledgerport.held_claims.held_since IS 'When a run first held the claim';
