-- +goose Up
-- A reversal reverses vouchers, not runs: each says which place the voucher has that it reverses, and that one is reversed once.
ALTER TABLE ledgerport.reversal_vouchers
    ADD COLUMN reverses text COLLATE "C",
    ADD COLUMN reverses_position bigint,
    ADD CHECK ((reverses IS NULL) = (reverses_position IS NULL));
-- Until now a reversal reversed all vouchers of a run, in their order.
WITH runs AS (
    SELECT id, reverses FROM ledgerport.runs WHERE reverses IS NOT NULL AND state <> 'released'),
bound AS (
    SELECT run_id, position FROM ledgerport.exported_claims WHERE run_id IN (SELECT reverses FROM runs)
    UNION ALL
    SELECT run_id, position FROM ledgerport.reversal_vouchers),
places AS (
    SELECT run_id, position, row_number() OVER (PARTITION BY run_id ORDER BY position) AS place FROM bound)
UPDATE ledgerport.reversal_vouchers v SET reverses = runs.reverses, reverses_position = reversed.position
FROM runs
JOIN places reversing ON reversing.run_id = runs.id
JOIN places reversed ON reversed.run_id = runs.reverses AND reversed.place = reversing.place
WHERE v.run_id = reversing.run_id AND v.position = reversing.position;
CREATE UNIQUE INDEX reversal_vouchers_reversed ON ledgerport.reversal_vouchers (reverses, reverses_position) WHERE reverses IS NOT NULL;

COMMENT ON COLUMN ledgerport.reversal_vouchers.reverses IS 'The run whose voucher a reversing voucher reverses; empty of vouchers that were reversed';
COMMENT ON COLUMN ledgerport.reversal_vouchers.reverses_position IS 'The place of the voucher in that run: each is reversed at most once';

DROP INDEX ledgerport.runs_reversal;
CREATE INDEX runs_reverses ON ledgerport.runs (reverses) WHERE reverses IS NOT NULL;
COMMENT ON COLUMN ledgerport.runs.reverses IS 'The run that a reversal reverses, all of it or some of its vouchers';

-- +goose StatementBegin
CREATE OR REPLACE VIEW ledgerport.vouchers AS
WITH bound AS NOT MATERIALIZED (
    SELECT organization_id, claim_id, run_id, position, fiscal_year, voucher_number, NULL::text COLLATE "C" AS reverses, NULL::bigint AS reverses_position
    FROM ledgerport.exported_claims
    UNION ALL
    SELECT organization_id, claim_id, run_id, position, fiscal_year, voucher_number, reverses, reverses_position FROM ledgerport.reversal_vouchers)
SELECT b.organization_id, r.series, b.fiscal_year, b.voucher_number, b.claim_id, b.position,
    r.id AS run_id, r.namespace, r.export, r.name AS run, r.type, r.state,
    CASE WHEN o.claim_id IS NOT NULL THEN r.series || '/' || o.fiscal_year || '/' || o.voucher_number END AS reverses,
    reversal.name AS reversed_by, r.book
FROM bound b
JOIN ledgerport.runs r ON r.id = b.run_id
LEFT JOIN bound o ON o.organization_id = b.organization_id AND o.claim_id = b.claim_id AND o.run_id = b.reverses AND o.position = b.reverses_position
LEFT JOIN (ledgerport.reversal_vouchers w JOIN ledgerport.runs reversal ON reversal.id = w.run_id AND reversal.state = 'committed')
    ON w.reverses = b.run_id AND w.reverses_position = b.position;
-- +goose StatementEnd
