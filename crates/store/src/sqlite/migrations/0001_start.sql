-- Times are milliseconds since the epoch. Codes of states and causes: codes.rs.

CREATE TABLE organizations (
    number INTEGER PRIMARY KEY,
    id     TEXT NOT NULL UNIQUE,
    name   TEXT
) STRICT;

CREATE TABLE access_keys (
    id          TEXT PRIMARY KEY,
    org         INTEGER NOT NULL,
    name        TEXT,
    secret_hash BLOB NOT NULL,
    scopes      INTEGER NOT NULL,
    created_ms  INTEGER NOT NULL
) STRICT;

CREATE TABLE endpoints (
    number   INTEGER PRIMARY KEY,
    org      INTEGER NOT NULL,
    id       TEXT NOT NULL,
    name     TEXT,
    provider TEXT,
    sip_uri  TEXT,
    metadata TEXT NOT NULL,
    UNIQUE (org, id)
) STRICT;

CREATE TABLE phone_numbers (
    org      INTEGER NOT NULL,
    id       TEXT NOT NULL,
    number   TEXT,
    endpoint TEXT,
    PRIMARY KEY (org, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX phone_numbers_number ON phone_numbers (org, number) WHERE number IS NOT NULL;

CREATE TABLE control_urls (
    org    INTEGER PRIMARY KEY,
    url    TEXT NOT NULL,
    secret TEXT NOT NULL
) STRICT;

-- A call that was opened but never saved has no start_ms, and no reader sees it. AUTOINCREMENT: the place of a call
-- that a merge removed is never given to another.
CREATE TABLE calls (
    pk                 INTEGER PRIMARY KEY AUTOINCREMENT,
    org                INTEGER NOT NULL,
    name               TEXT NOT NULL,
    uuid               BLOB NOT NULL UNIQUE,
    start_ms           INTEGER,
    ringing_ms         INTEGER,
    answered_ms        INTEGER,
    ended_ms           INTEGER,
    status             INTEGER,
    direction          INTEGER,
    call_type          INTEGER,
    from_number        TEXT,
    to_number          TEXT,
    endpoint           TEXT,
    phone_number       TEXT, -- the one it belongs to, named by an event or found by number
    named_phone_number TEXT, -- the one an event named
    cause              INTEGER,
    ended_by           INTEGER,
    transfer           INTEGER,
    failed             INTEGER,
    inferred           INTEGER,
    opt_out            INTEGER,
    disconnection      INTEGER,
    talk_ms            INTEGER,
    total_ms           INTEGER,
    billed_seconds     INTEGER,
    cost_nanos         INTEGER,
    successful         INTEGER,
    sentiment          TEXT, -- in lower case
    in_voicemail       INTEGER,
    UNIQUE (org, name)
) STRICT;
CREATE INDEX calls_start ON calls (org, start_ms);
CREATE INDEX calls_status ON calls (org, status, start_ms);
CREATE INDEX calls_endpoint ON calls (org, endpoint, start_ms);
CREATE INDEX calls_phone_number ON calls (org, phone_number, start_ms);
CREATE INDEX calls_live ON calls (org, status) WHERE status BETWEEN 1 AND 3;

-- Out of the row, so that what is scanned stays small. The first byte of a body tells its encoding (documents.rs).
CREATE TABLE call_documents (
    pk   INTEGER PRIMARY KEY,
    body BLOB NOT NULL
) STRICT;

-- What a call was called before it was merged into another.
CREATE TABLE call_names (
    org  INTEGER NOT NULL,
    name TEXT NOT NULL,
    pk   INTEGER NOT NULL,
    PRIMARY KEY (org, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX call_names_call ON call_names (pk);
CREATE TABLE call_uuids (
    uuid BLOB PRIMARY KEY,
    org  INTEGER NOT NULL,
    pk   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX call_uuids_call ON call_uuids (pk);

CREATE TABLE events (
    pk          INTEGER NOT NULL,
    at_ms       INTEGER NOT NULL,
    id          TEXT NOT NULL,
    kind        TEXT NOT NULL,
    source      TEXT NOT NULL,
    received_ms INTEGER NOT NULL,
    flags       INTEGER NOT NULL, -- 1: the time was given, 2: blanked
    data        TEXT NOT NULL,
    PRIMARY KEY (pk, at_ms, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE legs (
    org     INTEGER NOT NULL,
    source  TEXT NOT NULL,
    leg     TEXT NOT NULL,
    pk      INTEGER NOT NULL,
    from_ms INTEGER NOT NULL,
    to_ms   INTEGER NOT NULL,
    PRIMARY KEY (org, source, leg, pk)
) STRICT, WITHOUT ROWID;
CREATE INDEX legs_call ON legs (pk);

CREATE TABLE call_meta (
    org      INTEGER NOT NULL,
    key      TEXT NOT NULL,
    value    TEXT NOT NULL,
    start_ms INTEGER NOT NULL,
    pk       INTEGER NOT NULL,
    PRIMARY KEY (org, key, value, start_ms, pk)
) STRICT, WITHOUT ROWID;

CREATE VIRTUAL TABLE transcripts USING fts5 (
    transcript, summary,
    content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 2'
);

-- Written to find out whether anything can be written.
CREATE TABLE probe (
    id    INTEGER PRIMARY KEY,
    count INTEGER NOT NULL
) STRICT;
