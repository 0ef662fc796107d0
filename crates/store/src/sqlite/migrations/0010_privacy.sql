-- Calls that must not go for the time being.
CREATE TABLE holds (
    pk       INTEGER PRIMARY KEY, -- the call
    org      INTEGER NOT NULL,
    reason   TEXT NOT NULL,
    since_ms INTEGER NOT NULL
) STRICT;

-- Orders to erase every call from and to a number: erasures.rs.
CREATE TABLE erasures (
    id          BLOB PRIMARY KEY,
    org         INTEGER NOT NULL,
    number      TEXT,             -- its digits; null as soon as its calls are gone
    created_ms  INTEGER NOT NULL,
    finished_ms INTEGER,
    erased      INTEGER NOT NULL, -- calls that are gone
    held        INTEGER NOT NULL, -- of the last time that all were looked at: those on hold
    live        INTEGER NOT NULL  -- and those that were not over
) STRICT, WITHOUT ROWID;
