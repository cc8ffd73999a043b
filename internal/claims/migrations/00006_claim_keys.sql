-- +goose Up
-- A claim is a row of a table: its key is the table and its id, whoever's claim it is and was.
CREATE TABLE ledgerport.claim_tables (
    id          integer PRIMARY KEY CHECK (id > 0),
    part_of     integer REFERENCES ledgerport.claim_tables,
    schema_name text,
    table_name  text,
    relation    oid,
    server      text,
    id_column   text,
    id_type     text,
    source      text,
    CHECK (num_nulls(schema_name, table_name, relation, server, id_column, id_type) IN (0, 6)),
    CHECK (part_of IS NULL OR table_name IS NULL)
);
COMMENT ON TABLE ledgerport.claim_tables IS 'Tables that claims were exported from. A row without a name has what was exported before tables were told apart';
COMMENT ON COLUMN ledgerport.claim_tables.part_of IS 'The table that the claims of a row without a name turned out to be of';
COMMENT ON COLUMN ledgerport.claim_tables.relation IS 'The table in pg_class of the server: it has this oid under whatever name';
COMMENT ON COLUMN ledgerport.claim_tables.server IS 'The server and database in which the oid means something';
COMMENT ON COLUMN ledgerport.claim_tables.id_column IS 'The column that has the ids, and in id_type its type';
COMMENT ON COLUMN ledgerport.claim_tables.source IS 'The ClaimSource that exported what a row without a name has';

-- What is there is of the table of the ClaimSource that its run names, which says which one that is when it is looked at next.
-- Ids are told apart by their value from now on: where two of one source are the same (they may be of two organisations),
-- the second is kept in a row of its own, so that both stay exported.
CREATE FUNCTION ledgerport.migrating_key(id text) RETURNS text IMMUTABLE LANGUAGE sql AS $$
    SELECT CASE WHEN id ~ '^([0-9a-fA-F]{4}(-?[0-9a-fA-F]{4}){7}|[{][0-9a-fA-F]{4}(-?[0-9a-fA-F]{4}){7}[}])$' THEN id::uuid::text
        WHEN id ~ '^[+-]?[0-9]+$' AND length(id) <= 1000 THEN id::numeric::text ELSE id END $$;
CREATE TABLE ledgerport.migrating AS
SELECT e.ctid AS place, k.source, k.key,
    row_number() OVER (PARTITION BY k.source, k.key ORDER BY e.organization_id, e.claim_id) AS copy,
    e.organization_id, e.run_id, e.position, e.fiscal_year, e.voucher_number
FROM ledgerport.exported_claims e
LEFT JOIN ledgerport.runs r ON r.id = e.run_id
CROSS JOIN LATERAL (SELECT coalesce(r.inputs->>'source', '') AS source, ledgerport.migrating_key(e.claim_id) COLLATE "C" AS key) k;

CREATE TABLE ledgerport.migrating_tables AS
SELECT row_number() OVER (ORDER BY copy, source)::integer AS id, source, copy FROM (
    SELECT source, copy FROM ledgerport.migrating
    UNION SELECT coalesce(r.inputs->>'source', ''), 1 FROM ledgerport.held_claims h LEFT JOIN ledgerport.runs r ON r.id = h.run_id
    UNION SELECT coalesce(r.inputs->>'source', ''), 1 FROM ledgerport.posted_vouchers p LEFT JOIN ledgerport.runs r ON r.id = p.run_id) t;
INSERT INTO ledgerport.claim_tables (id, source) SELECT id, source FROM ledgerport.migrating_tables;

DROP VIEW ledgerport.vouchers;
DROP TABLE ledgerport.exported_claims;
CREATE TABLE ledgerport.exported_claims (
    claim_table     integer NOT NULL,
    organization_id text COLLATE "C" NOT NULL,
    claim_id        text COLLATE "C" NOT NULL,
    run_id          text COLLATE "C" NOT NULL,
    position        bigint NOT NULL,
    fiscal_year     integer NOT NULL,
    voucher_number  bigint NOT NULL
);
INSERT INTO ledgerport.exported_claims (claim_table, organization_id, claim_id, run_id, position, fiscal_year, voucher_number)
SELECT t.id, m.organization_id, m.key, m.run_id, m.position, m.fiscal_year, m.voucher_number
FROM ledgerport.migrating m JOIN ledgerport.migrating_tables t USING (source, copy) ORDER BY m.place;
ALTER TABLE ledgerport.exported_claims ADD PRIMARY KEY (claim_table, claim_id);
-- What one organisation has exported of a table is found whatever others have. Equal keys are kept once: it is small, and new
-- rows of a run all go to the same page of it.
CREATE INDEX exported_claims_organization ON ledgerport.exported_claims (claim_table, organization_id);
CREATE INDEX exported_claims_run ON ledgerport.exported_claims USING brin (run_id) WITH (pages_per_range = 32, autosummarize = on);

COMMENT ON TABLE ledgerport.exported_claims IS 'Claims that are bound to a run: exported once it is committed, and never again';
COMMENT ON COLUMN ledgerport.exported_claims.claim_table IS 'The table in ledgerport.claim_tables that the claim is a row of';
COMMENT ON COLUMN ledgerport.exported_claims.organization_id IS 'Whose claim it was when it was exported';
COMMENT ON COLUMN ledgerport.exported_claims.claim_id IS 'The claim''s id as text: a uuid in lower case with hyphens, an integer without leading zeros, whatever the column''s type is';
COMMENT ON COLUMN ledgerport.exported_claims.position IS 'Place of the claim in the run''s artifact, from 1';
COMMENT ON COLUMN ledgerport.exported_claims.fiscal_year IS 'Fiscal year of the voucher, named after the year it begins in';
COMMENT ON COLUMN ledgerport.exported_claims.voucher_number IS 'Number of the voucher in the series of the run and the fiscal year';

-- A voucher is found by its place in its run, which has one table.
ALTER TABLE ledgerport.reversal_vouchers DROP CONSTRAINT reversal_vouchers_pkey;
UPDATE ledgerport.reversal_vouchers SET claim_id = ledgerport.migrating_key(claim_id) WHERE claim_id <> ledgerport.migrating_key(claim_id);
ALTER TABLE ledgerport.reversal_vouchers ADD PRIMARY KEY (run_id, position);
DROP INDEX ledgerport.reversal_vouchers_run;

ALTER TABLE ledgerport.held_claims ADD COLUMN claim_table integer;
UPDATE ledgerport.held_claims h SET claim_table = t.id FROM ledgerport.migrating_tables t
WHERE t.copy = 1 AND t.source = coalesce((SELECT r.inputs->>'source' FROM ledgerport.runs r WHERE r.id = h.run_id), '');
ALTER TABLE ledgerport.held_claims ALTER COLUMN claim_table SET NOT NULL, DROP CONSTRAINT held_claims_pkey,
    ADD PRIMARY KEY (organization_id, claim_table, claim_id);
COMMENT ON COLUMN ledgerport.held_claims.claim_table IS 'The table in ledgerport.claim_tables that the claim is a row of';
COMMENT ON COLUMN ledgerport.held_claims.claim_id IS 'The claim''s id as its table has it; one that is too long, or can not be printed, is shortened';

ALTER TABLE ledgerport.posted_vouchers ADD COLUMN claim_table integer;
UPDATE ledgerport.posted_vouchers p SET claim_table = t.id FROM ledgerport.migrating_tables t
WHERE t.copy = 1 AND t.source = coalesce((SELECT r.inputs->>'source' FROM ledgerport.runs r WHERE r.id = p.run_id), '');
ALTER TABLE ledgerport.posted_vouchers ALTER COLUMN claim_table SET NOT NULL;
COMMENT ON COLUMN ledgerport.posted_vouchers.claim_table IS 'The table in ledgerport.claim_tables that the claim is a row of';

DROP TABLE ledgerport.migrating, ledgerport.migrating_tables;
DROP FUNCTION ledgerport.migrating_key(text);

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
