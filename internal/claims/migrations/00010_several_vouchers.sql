-- +goose Up
-- A claim may become several vouchers. The first binds the claim to its run, and those behind it are beside the others that bind none.
COMMENT ON TABLE ledgerport.exported_claims IS 'Claims that are bound to a run: exported once it is committed, and never again. Each row has the first voucher of its claim';
COMMENT ON TABLE ledgerport.reversal_vouchers IS 'Vouchers that bind no claim: those behind the first one of a claim and those that reverse others, from when they are reserved, and vouchers that were reversed, from when that is committed';
COMMENT ON COLUMN ledgerport.exported_claims.position IS 'Place of the voucher in the run''s artifact, from 1';

-- +goose StatementBegin
CREATE OR REPLACE VIEW ledgerport.vouchers AS
WITH bound AS NOT MATERIALIZED (
    SELECT organization_id, claim_id, run_id, position, fiscal_year, voucher_number FROM ledgerport.exported_claims
    UNION ALL
    SELECT organization_id, claim_id, run_id, position, fiscal_year, voucher_number FROM ledgerport.reversal_vouchers)
SELECT b.organization_id, r.series, b.fiscal_year, b.voucher_number, b.claim_id, b.position,
    r.id AS run_id, r.namespace, r.export, r.name AS run, r.type, r.state,
    CASE WHEN o.claim_id IS NOT NULL THEN r.series || '/' || o.fiscal_year || '/' || o.voucher_number END AS reverses,
    reversal.name AS reversed_by, r.book
FROM bound b
JOIN ledgerport.runs r ON r.id = b.run_id
LEFT JOIN bound o ON o.organization_id = b.organization_id AND o.claim_id = b.claim_id AND o.run_id = r.reverses AND o.position = b.position
LEFT JOIN ledgerport.runs reversal ON reversal.reverses = r.id AND reversal.state = 'committed';

CREATE OR REPLACE VIEW ledgerport.claim_status WITH (security_barrier) AS
SELECT e.organization_id, t.book, e.claim_id,
    CASE r.state WHEN 'committed' THEN 'exported' ELSE 'exporting' END AS state,
    r.series || '/' || e.fiscal_year || '/' || e.voucher_number AS voucher,
    r.namespace, r.export, r.name AS run, nullif(r.location, '') AS location, nullif(s.reference, '') AS reference,
    NULL AS reason, NULL AS message, coalesce(r.committed_at, r.rendered_at) AS since,
    -- The vouchers of a claim come one after another, and are at most 1,000.
    ARRAY(SELECT r.series || '/' || v.fiscal_year || '/' || v.voucher_number FROM (
            SELECT e.position, e.fiscal_year, e.voucher_number
            UNION ALL SELECT f.position, f.fiscal_year, f.voucher_number FROM ledgerport.reversal_vouchers f
            WHERE f.run_id = e.run_id AND f.position > e.position AND f.position < e.position + 1000 AND f.claim_id = e.claim_id) v
        ORDER BY v.position) AS vouchers
FROM ledgerport.exported_claims e
JOIN ledgerport.claim_tables t ON t.id = e.claim_table
JOIN ledgerport.runs r ON r.id = e.run_id
LEFT JOIN ledgerport.submitted_vouchers s ON s.run_id = e.run_id AND s.position = e.position
WHERE e.organization_id = current_setting('ledgerport.organization_id', true)
UNION ALL
SELECT h.organization_id, t.book, h.claim_id, 'held', NULL, r.namespace, r.export, r.name, NULL, NULL, h.reason, h.message, h.held_since, '{}'
FROM ledgerport.held_claims h
JOIN ledgerport.claim_tables t ON t.id = h.claim_table
LEFT JOIN ledgerport.runs r ON r.id = h.run_id
WHERE h.organization_id = current_setting('ledgerport.organization_id', true);
-- +goose StatementEnd

COMMENT ON COLUMN ledgerport.claim_status.voucher IS 'The first of vouchers';
COMMENT ON COLUMN ledgerport.claim_status.vouchers IS 'All vouchers that the claim became, in their order';
