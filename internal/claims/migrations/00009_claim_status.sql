-- +goose Up
-- +goose StatementBegin
CREATE VIEW ledgerport.claim_status WITH (security_barrier) AS
SELECT e.organization_id, t.book, e.claim_id,
    CASE r.state WHEN 'committed' THEN 'exported' ELSE 'exporting' END AS state,
    r.series || '/' || e.fiscal_year || '/' || e.voucher_number AS voucher,
    r.namespace, r.export, r.name AS run, nullif(r.location, '') AS location, nullif(s.reference, '') AS reference,
    NULL AS reason, NULL AS message, coalesce(r.committed_at, r.rendered_at) AS since
FROM ledgerport.exported_claims e
JOIN ledgerport.claim_tables t ON t.id = e.claim_table
JOIN ledgerport.runs r ON r.id = e.run_id
LEFT JOIN ledgerport.submitted_vouchers s ON s.run_id = e.run_id AND s.position = e.position
WHERE e.organization_id = current_setting('ledgerport.organization_id', true)
UNION ALL
SELECT h.organization_id, t.book, h.claim_id, 'held', NULL, r.namespace, r.export, r.name, NULL, NULL, h.reason, h.message, h.held_since
FROM ledgerport.held_claims h
JOIN ledgerport.claim_tables t ON t.id = h.claim_table
LEFT JOIN ledgerport.runs r ON r.id = h.run_id
WHERE h.organization_id = current_setting('ledgerport.organization_id', true);
-- +goose StatementEnd

COMMENT ON VIEW ledgerport.claim_status IS 'For the application: what became of each claim of the organisation that the transaction has set as ledgerport.organization_id. A claim without a row is neither exported nor held';
COMMENT ON COLUMN ledgerport.claim_status.state IS 'exporting (bound to a run under way), exported, or held (it waits for a person)';
COMMENT ON COLUMN ledgerport.claim_status.reference IS 'By which the accounting system knows the voucher, where vouchers are sent to one';
COMMENT ON COLUMN ledgerport.claim_status.reason IS 'Why a claim is held, in one word; message says it for a person';
