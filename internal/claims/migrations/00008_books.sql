-- +goose Up
-- A claim is exported once to each book: a book has a row of its own for each table that it has claims of. What was exported until
-- now is in the book main.
ALTER TABLE ledgerport.claim_tables ADD COLUMN book text COLLATE "C" NOT NULL DEFAULT 'main';
COMMENT ON TABLE ledgerport.claim_tables IS 'Tables that claims were exported from, each once for each book. A row without a name has what was exported before tables were told apart';
COMMENT ON COLUMN ledgerport.claim_tables.book IS 'The book that the claims were exported to';
COMMENT ON COLUMN ledgerport.exported_claims.claim_table IS 'The table in ledgerport.claim_tables that the claim is a row of, and the book';

ALTER TABLE ledgerport.runs ADD COLUMN book text COLLATE "C" NOT NULL DEFAULT 'main';
COMMENT ON COLUMN ledgerport.runs.book IS 'The book that the claims of the run are exported to';
DROP INDEX ledgerport.runs_unfinished_series;
CREATE UNIQUE INDEX runs_unfinished_series ON ledgerport.runs (organization_id, book, series)
    WHERE state IN ('started', 'rendered', 'submitted', 'delivered');

ALTER TABLE ledgerport.voucher_numbers ADD COLUMN book text COLLATE "C" NOT NULL DEFAULT 'main';
ALTER TABLE ledgerport.voucher_numbers DROP CONSTRAINT voucher_numbers_pkey, ADD PRIMARY KEY (organization_id, book, series, fiscal_year);
COMMENT ON TABLE ledgerport.voucher_numbers IS 'The next number of each series and fiscal year of a book';

ALTER TABLE ledgerport.voided_vouchers ADD COLUMN book text COLLATE "C" NOT NULL DEFAULT 'main';
ALTER TABLE ledgerport.voided_vouchers DROP CONSTRAINT voided_vouchers_pkey, ADD PRIMARY KEY (organization_id, book, series, fiscal_year, first);

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
LEFT JOIN bound o ON o.organization_id = b.organization_id AND o.claim_id = b.claim_id AND o.run_id = r.reverses
LEFT JOIN ledgerport.runs reversal ON reversal.reverses = r.id AND reversal.state = 'committed';
-- +goose StatementEnd
