-- The tables of the ledger as PostgreSQL would keep them: the same rows, found by the same keys. Not here, though the
-- ledger's own store has them: the text index, the legs, the sketches of percentiles.
DROP TABLE IF EXISTS calls, call_documents, events, call_meta, rollups;

CREATE TABLE calls (
    pk bigint PRIMARY KEY, org bigint NOT NULL, name text NOT NULL, uuid uuid NOT NULL UNIQUE,
    start_ms bigint, ringing_ms bigint, answered_ms bigint, ended_ms bigint,
    status smallint, direction smallint, call_type smallint, cause smallint, ended_by smallint,
    transfer smallint, failed smallint, inferred smallint, opt_out smallint, disconnection smallint,
    talk_ms bigint, total_ms bigint, billed_seconds bigint, cost_nanos bigint,
    successful smallint, in_voicemail smallint,
    from_number text, to_number text, endpoint text, phone_number text, sentiment text,
    UNIQUE (org, name)
) WITH (fillfactor = 75);
CREATE INDEX ON calls (org, start_ms);
CREATE INDEX ON calls (org, status, start_ms);
CREATE INDEX ON calls (org, endpoint, start_ms);
CREATE INDEX ON calls (org, phone_number, start_ms);
CREATE INDEX ON calls (org, status) WHERE status BETWEEN 1 AND 3;

CREATE TABLE call_documents (pk bigint PRIMARY KEY, body text COMPRESSION lz4 NOT NULL, words tsvector);

CREATE TABLE events (
    pk bigint NOT NULL, at_ms bigint NOT NULL, id text NOT NULL, kind text NOT NULL, source text NOT NULL,
    received_ms bigint NOT NULL, flags smallint NOT NULL, data text COMPRESSION lz4 NOT NULL,
    PRIMARY KEY (pk, at_ms, id)
);

CREATE TABLE call_meta (
    org bigint NOT NULL, key text NOT NULL, value text NOT NULL, start_ms bigint NOT NULL, pk bigint NOT NULL,
    PRIMARY KEY (org, key, value, start_ms, pk)
);

-- A row for each day of an organization (dimension 0), an endpoint (1) and a phone number (2), and for each hour of an
-- organization (3).
CREATE TABLE rollups (
    org bigint NOT NULL, dimension smallint NOT NULL, name text NOT NULL, bucket bigint NOT NULL,
    s0 bigint NOT NULL, s1 bigint NOT NULL, s2 bigint NOT NULL, s3 bigint NOT NULL, s4 bigint NOT NULL,
    s5 bigint NOT NULL, s6 bigint NOT NULL, s7 bigint NOT NULL, s8 bigint NOT NULL,
    outbound bigint NOT NULL, answered bigint NOT NULL, talk_seconds bigint NOT NULL, cost_nanos bigint NOT NULL,
    PRIMARY KEY (org, dimension, name, bucket)
) WITH (fillfactor = 75);
