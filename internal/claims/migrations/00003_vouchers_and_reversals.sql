-- +goose Up
CREATE TABLE ledgerport.run_vouchers (
    run_id text COLLATE "C" NOT NULL,
    block  integer NOT NULL,
    body   bytea NOT NULL,
    PRIMARY KEY (run_id, block)
);
-- It is read and written whole and has no repetition left in it: compressing it costs time and gains little.
ALTER TABLE ledgerport.run_vouchers ALTER COLUMN body SET STORAGE EXTERNAL;

COMMENT ON TABLE ledgerport.run_vouchers IS 'The vouchers of each run, to the letter: what resuming delivers and a reversal reverses, whatever the claims have become';
COMMENT ON COLUMN ledgerport.run_vouchers.block IS 'Place of the block in the run, from 0';
COMMENT ON COLUMN ledgerport.run_vouchers.body IS 'Vouchers one after another, as package internal/journal writes them';

ALTER TABLE ledgerport.runs
    ADD COLUMN type text NOT NULL DEFAULT 'export' CHECK (type IN ('export', 'reversal')),
    ADD COLUMN reverses text CHECK ((reverses IS NOT NULL) = (type = 'reversal')),
    ADD COLUMN artifact_removed_at timestamptz;
-- A run is reversed once. A reversal that was released did not happen.
CREATE UNIQUE INDEX runs_reversal ON ledgerport.runs (reverses) WHERE state <> 'released';

COMMENT ON COLUMN ledgerport.runs.type IS 'export, or reversal of another run';
COMMENT ON COLUMN ledgerport.runs.reverses IS 'The run that a reversal reverses';
COMMENT ON COLUMN ledgerport.runs.artifact_removed_at IS 'When the artifact was removed from its destination, as the destination''s retention says';

-- The rows of exported_claims that are history, and those of reversals: none of them keeps its claim from being exported.
CREATE TABLE ledgerport.reversal_vouchers (
    organization_id text COLLATE "C" NOT NULL,
    claim_id        text COLLATE "C" NOT NULL,
    run_id          text COLLATE "C" NOT NULL,
    position        bigint NOT NULL,
    fiscal_year     integer NOT NULL,
    voucher_number  bigint NOT NULL,
    PRIMARY KEY (organization_id, claim_id, run_id)
);
CREATE INDEX reversal_vouchers_run ON ledgerport.reversal_vouchers USING brin (run_id) WITH (pages_per_range = 32, autosummarize = on);

COMMENT ON TABLE ledgerport.reversal_vouchers IS 'Vouchers that reverse others, from when they are reserved, and vouchers that were reversed, from when that is committed';
COMMENT ON COLUMN ledgerport.reversal_vouchers.run_id IS 'The run whose voucher it is: a reversal, or an export that was reversed';

-- +goose StatementBegin
CREATE VIEW ledgerport.vouchers AS
WITH bound AS NOT MATERIALIZED (
    SELECT organization_id, claim_id, run_id, position, fiscal_year, voucher_number FROM ledgerport.exported_claims
    UNION ALL
    SELECT organization_id, claim_id, run_id, position, fiscal_year, voucher_number FROM ledgerport.reversal_vouchers)
SELECT b.organization_id, r.series, b.fiscal_year, b.voucher_number, b.claim_id, b.position,
    r.id AS run_id, r.namespace, r.export, r.name AS run, r.type, r.state,
    CASE WHEN o.claim_id IS NOT NULL THEN r.series || '/' || o.fiscal_year || '/' || o.voucher_number END AS reverses,
    reversal.name AS reversed_by
FROM bound b
JOIN ledgerport.runs r ON r.id = b.run_id
LEFT JOIN bound o ON o.organization_id = b.organization_id AND o.claim_id = b.claim_id AND o.run_id = r.reverses
LEFT JOIN ledgerport.runs reversal ON reversal.reverses = r.id AND reversal.state = 'committed';
-- +goose StatementEnd

COMMENT ON VIEW ledgerport.vouchers IS 'Every voucher number in use: whose claim it is, in which run and artifact it was, which voucher it reverses and which run reversed it';
