-- +goose Up
CREATE TABLE ledgerport.run_receipts (
    run_id    text COLLATE "C" NOT NULL,
    block     integer NOT NULL,
    vouchers  bigint NOT NULL,
    delivered bigint NOT NULL,
    missing   bigint NOT NULL,
    bytes     bigint NOT NULL,
    rows      bytea NOT NULL,
    PRIMARY KEY (run_id, block)
);
COMMENT ON TABLE ledgerport.run_receipts IS 'What became of the receipts of each run: how an attempt that is resumed knows which it need not deliver again';
COMMENT ON COLUMN ledgerport.run_receipts.block IS 'Place of the block in the run, from 0';
COMMENT ON COLUMN ledgerport.run_receipts.vouchers IS 'How many vouchers of the run the blocks up to this one are of';
COMMENT ON COLUMN ledgerport.run_receipts.rows IS 'Rows of receipts.csv, to the letter';
