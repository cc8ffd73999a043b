-- +goose Up
CREATE TABLE ledgerport.runs (
    id              text PRIMARY KEY,
    namespace       text NOT NULL,
    export          text NOT NULL,
    name            text NOT NULL,
    organization_id text NOT NULL,
    series          text NOT NULL,
    state           text NOT NULL CHECK (state IN ('started', 'rendered', 'delivered', 'committed', 'released')),
    attempt         integer NOT NULL CHECK (attempt > 0),
    holder          text NOT NULL,
    deadline        timestamptz NOT NULL,
    cutoff          timestamptz NOT NULL,
    inputs          json NOT NULL,
    claims          bigint NOT NULL DEFAULT 0 CHECK (claims >= 0),
    lines           bigint NOT NULL DEFAULT 0 CHECK (lines >= 0),
    held            bigint NOT NULL DEFAULT 0 CHECK (held >= 0),
    first_voucher   text NOT NULL DEFAULT '',
    last_voucher    text NOT NULL DEFAULT '',
    files           jsonb NOT NULL DEFAULT '[]',
    manifest        json,
    location        text NOT NULL DEFAULT '',
    release_reason  text NOT NULL DEFAULT '',
    started_at      timestamptz NOT NULL DEFAULT now(),
    rendered_at     timestamptz,
    delivered_at    timestamptz,
    committed_at    timestamptz CHECK ((committed_at IS NOT NULL) = (state = 'committed')),
    released_at     timestamptz CHECK ((released_at IS NOT NULL) = (state = 'released'))
);
-- Voucher numbers are gapless because no two unfinished runs can draw from one series.
CREATE UNIQUE INDEX runs_unfinished_series ON ledgerport.runs (organization_id, series)
    WHERE state IN ('started', 'rendered', 'delivered');
CREATE INDEX runs_history ON ledgerport.runs (organization_id, started_at);

COMMENT ON TABLE ledgerport.runs IS 'One row per ExportRun: who executes it, how far it is, what it delivered';
COMMENT ON COLUMN ledgerport.runs.id IS 'UID of the ExportRun';
COMMENT ON COLUMN ledgerport.runs.export IS 'Name of the AccountingExport in the namespace';
COMMENT ON COLUMN ledgerport.runs.name IS 'Name of the ExportRun in the namespace';
COMMENT ON COLUMN ledgerport.runs.series IS 'Series of the voucher numbers';
COMMENT ON COLUMN ledgerport.runs.state IS 'started (holds nothing), rendered (holds claims and numbers; hashes), delivered (also location), committed or released';
COMMENT ON COLUMN ledgerport.runs.attempt IS 'Fencing token: raised by every attempt; a step of an older attempt changes nothing';
COMMENT ON COLUMN ledgerport.runs.holder IS 'Process that executes the newest attempt';
COMMENT ON COLUMN ledgerport.runs.deadline IS 'End of the newest attempt';
COMMENT ON COLUMN ledgerport.runs.cutoff IS 'Claims approved before this instant belong to the run';
COMMENT ON COLUMN ledgerport.runs.inputs IS 'Everything but the claims that decides the bytes of the artifact';
COMMENT ON COLUMN ledgerport.runs.held IS 'Claims left out; ledgerport.held_claims names those that still wait';
COMMENT ON COLUMN ledgerport.runs.files IS 'Files of the artifact: name, mediaType, size in bytes, sha256';
COMMENT ON COLUMN ledgerport.runs.manifest IS 'The artifact''s manifest.json, byte by byte';
COMMENT ON COLUMN ledgerport.runs.location IS 'URL of the delivered artifact';
COMMENT ON COLUMN ledgerport.runs.release_reason IS 'Why the claims were given back';
