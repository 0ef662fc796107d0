-- Calls in progress whose document is not written with every event, since that would cost as much as the whole call: it
-- follows from the events until it is written (deferred/mod.rs). Such a call has no row in call_documents.
CREATE TABLE deferred_documents (
    number  INTEGER PRIMARY KEY AUTOINCREMENT, -- never used again: with the version it tells two states of a call apart
    pk      INTEGER NOT NULL UNIQUE,
    version INTEGER NOT NULL                   -- how often the call was saved since
) STRICT;

-- The metadata by which such a call is found in call_meta, so that it can be taken back without the document.
CREATE TABLE deferred_metadata (
    pk    INTEGER NOT NULL,
    key   TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (pk, key)
) STRICT, WITHOUT ROWID;
