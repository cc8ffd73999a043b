-- +goose Up
-- Vouchers are compressed from here on. No row changes; the version of the schema keeps operators away that could not read them.
COMMENT ON COLUMN ledgerport.run_vouchers.body IS 'Vouchers one after another, as package internal/journal writes them; compressed if the first byte is 5';
