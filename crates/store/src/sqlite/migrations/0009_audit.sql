-- Who did what: audit.rs. Rows are added at the end and taken away at the beginning, none in between.
CREATE TABLE audit (
    number  INTEGER PRIMARY KEY,
    at_ms   INTEGER NOT NULL,
    org     INTEGER,          -- NULL: the whole server's
    actor   TEXT NOT NULL,
    action  TEXT NOT NULL,
    subject TEXT,
    details TEXT NOT NULL,    -- a JSON object without personal data
    hash    BLOB NOT NULL     -- of the hash before it and of this row
) STRICT;
CREATE INDEX audit_time ON audit (org, at_ms);
CREATE INDEX audit_action ON audit (org, action, at_ms);
CREATE INDEX audit_actor ON audit (org, actor, at_ms);
CREATE INDEX audit_subject ON audit (subject, at_ms) WHERE subject IS NOT NULL;

-- Where the log begins and ends, so that an end that is cut off is noticed too.
CREATE TABLE audit_ends (
    id          INTEGER PRIMARY KEY CHECK (id = 1),
    cut_number  INTEGER NOT NULL, -- the last row that was taken away because of its age, 0: none
    cut_hash    BLOB NOT NULL,
    last_number INTEGER NOT NULL, -- the last row that was written, 0: none
    last_hash   BLOB NOT NULL
) STRICT;
INSERT INTO audit_ends VALUES (1, 0, zeroblob(32), 0, zeroblob(32));
