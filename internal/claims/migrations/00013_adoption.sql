-- +goose Up
-- A run of type adoption records claims that were booked elsewhere, each with the voucher that it has there. It takes no number of a
-- series, so that its claims have none.
ALTER TABLE ledgerport.runs DROP CONSTRAINT runs_type_check;
ALTER TABLE ledgerport.runs ADD CONSTRAINT runs_type_check CHECK (type IN ('export', 'reversal', 'redelivery', 'adoption'));
COMMENT ON COLUMN ledgerport.runs.type IS 'export, reversal of another run, redelivery of what another run has delivered, or adoption of claims that were booked elsewhere';
COMMENT ON COLUMN ledgerport.runs.id IS 'UID of the ExportRun; a random one of an adoption, and of the reversal of one';

ALTER TABLE ledgerport.exported_claims ALTER COLUMN fiscal_year DROP NOT NULL, ALTER COLUMN voucher_number DROP NOT NULL;
ALTER TABLE ledgerport.reversal_vouchers ALTER COLUMN fiscal_year DROP NOT NULL, ALTER COLUMN voucher_number DROP NOT NULL;
COMMENT ON COLUMN ledgerport.exported_claims.position IS 'Place of the voucher in the run''s artifact, or of the claim in its adoption, from 1';
COMMENT ON COLUMN ledgerport.exported_claims.fiscal_year IS 'Fiscal year of the voucher, named after the year it begins in; null if the claim was adopted';
COMMENT ON COLUMN ledgerport.exported_claims.voucher_number IS 'Number of the voucher in the series of the run and the fiscal year; null if the claim was adopted';

CREATE TABLE ledgerport.adopted_vouchers (
    run_id          text COLLATE "C" NOT NULL,
    position        bigint NOT NULL,
    organization_id text COLLATE "C" NOT NULL,
    voucher         text NOT NULL,
    booked_on       date NOT NULL,
    note            text NOT NULL DEFAULT '',
    PRIMARY KEY (run_id, position)
);
COMMENT ON TABLE ledgerport.adopted_vouchers IS 'Vouchers that adopted claims have elsewhere; they stay when the adoption is reversed';
COMMENT ON COLUMN ledgerport.adopted_vouchers.position IS 'Place of the claim in the adoption, from 1';
COMMENT ON COLUMN ledgerport.adopted_vouchers.voucher IS 'Its number there, which may be that of several claims';
COMMENT ON COLUMN ledgerport.adopted_vouchers.booked_on IS 'The day on which it was booked there';

-- +goose StatementBegin
CREATE OR REPLACE VIEW ledgerport.vouchers AS
WITH bound AS NOT MATERIALIZED (
    SELECT organization_id, claim_id, run_id, position, fiscal_year, voucher_number, NULL::text COLLATE "C" AS reverses, NULL::bigint AS reverses_position
    FROM ledgerport.exported_claims
    UNION ALL
    SELECT organization_id, claim_id, run_id, position, fiscal_year, voucher_number, reverses, reverses_position FROM ledgerport.reversal_vouchers)
SELECT b.organization_id, CASE WHEN r.type <> 'adoption' THEN r.series END AS series, b.fiscal_year, b.voucher_number, b.claim_id, b.position,
    r.id AS run_id, r.namespace, r.export, r.name AS run, r.type, r.state,
    CASE WHEN o.claim_id IS NOT NULL THEN r.series || '/' || o.fiscal_year || '/' || o.voucher_number END AS reverses,
    coalesce(reversal.name, undone.name) AS reversed_by, r.book, a.voucher AS foreign_voucher, a.booked_on
FROM bound b
JOIN ledgerport.runs r ON r.id = b.run_id
LEFT JOIN bound o ON o.organization_id = b.organization_id AND o.claim_id = b.claim_id AND o.run_id = b.reverses AND o.position = b.reverses_position
LEFT JOIN (ledgerport.reversal_vouchers w JOIN ledgerport.runs reversal ON reversal.id = w.run_id AND reversal.state = 'committed')
    ON w.reverses = b.run_id AND w.reverses_position = b.position
LEFT JOIN ledgerport.runs undone ON r.type = 'adoption' AND undone.reverses = r.id AND undone.state = 'committed'
LEFT JOIN ledgerport.adopted_vouchers a ON a.run_id = b.run_id AND a.position = b.position;

CREATE OR REPLACE VIEW ledgerport.claim_status WITH (security_barrier) AS
SELECT e.organization_id, t.book, e.claim_id,
    CASE WHEN r.type = 'adoption' THEN 'adopted' WHEN r.state = 'committed' THEN 'exported' ELSE 'exporting' END AS state,
    coalesce(a.voucher, r.series || '/' || e.fiscal_year || '/' || e.voucher_number) AS voucher,
    r.namespace, r.export, r.name AS run, nullif(r.location, '') AS location, nullif(s.reference, '') AS reference,
    NULL AS reason, NULL AS message, coalesce(r.committed_at, r.rendered_at) AS since,
    -- The vouchers of a claim come one after another, and are at most 1,000.
    CASE WHEN a.voucher IS NOT NULL THEN ARRAY[a.voucher] ELSE
        ARRAY(SELECT r.series || '/' || v.fiscal_year || '/' || v.voucher_number FROM (
            SELECT e.position, e.fiscal_year, e.voucher_number
            UNION ALL SELECT f.position, f.fiscal_year, f.voucher_number FROM ledgerport.reversal_vouchers f
            WHERE f.run_id = e.run_id AND f.position > e.position AND f.position < e.position + 1000 AND f.claim_id = e.claim_id) v
        ORDER BY v.position) END AS vouchers
FROM ledgerport.exported_claims e
JOIN ledgerport.claim_tables t ON t.id = e.claim_table
JOIN ledgerport.runs r ON r.id = e.run_id
LEFT JOIN ledgerport.submitted_vouchers s ON s.run_id = e.run_id AND s.position = e.position
LEFT JOIN ledgerport.adopted_vouchers a ON a.run_id = e.run_id AND a.position = e.position
WHERE e.organization_id = current_setting('ledgerport.organization_id', true)
UNION ALL
SELECT h.organization_id, t.book, h.claim_id, 'held', NULL, r.namespace, r.export, r.name, NULL, NULL, h.reason, h.message, h.held_since, '{}'
FROM ledgerport.held_claims h
JOIN ledgerport.claim_tables t ON t.id = h.claim_table
LEFT JOIN ledgerport.runs r ON r.id = h.run_id
WHERE h.organization_id = current_setting('ledgerport.organization_id', true);
-- +goose StatementEnd

COMMENT ON COLUMN ledgerport.vouchers.foreign_voucher IS 'The voucher that an adopted claim has elsewhere; such a claim has no series, year and number';
COMMENT ON COLUMN ledgerport.claim_status.state IS 'exporting (bound to a run under way), exported, adopted (booked elsewhere: voucher is the one that it has there), or held (it waits for a person)';
