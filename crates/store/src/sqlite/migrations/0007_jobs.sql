-- Work that is done after what caused it is on disk, and again until it is done: jobs.rs. Numbers are never used again,
-- since whoever ran a job that is gone must not finish another one.
CREATE TABLE jobs (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    org             INTEGER NOT NULL,
    kind            TEXT NOT NULL,
    subject         TEXT NOT NULL,
    pk              INTEGER,          -- the call that it is about
    data            TEXT NOT NULL,    -- a JSON value without secrets
    state           INTEGER NOT NULL, -- 0: waiting, 1: running, 2: dead
    attempts        INTEGER NOT NULL,
    due_ms          INTEGER NOT NULL,
    leased_until_ms INTEGER,
    again_ms        INTEGER,          -- it was asked for again while it ran, to be run then
    created_ms      INTEGER NOT NULL,
    failed_ms       INTEGER,
    error           TEXT,
    UNIQUE (org, kind, subject)
) STRICT;
CREATE INDEX jobs_due ON jobs (kind, state, due_ms);
CREATE INDEX jobs_call ON jobs (pk) WHERE pk IS NOT NULL;
