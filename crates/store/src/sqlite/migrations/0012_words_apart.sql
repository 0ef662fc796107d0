-- The words of calls lie in a file of their own, which is made anew from the calls: words/index.rs.
DROP TABLE transcripts;

-- Calls whose words have changed since they were taken into it: words/due.rs. Without AUTOINCREMENT a number follows the
-- last one that is here, and the last one stays.
CREATE TABLE words_due (
    number INTEGER PRIMARY KEY,
    pk     INTEGER NOT NULL -- the call, which may be gone
) STRICT;

-- By what the index knows that it is of this store.
CREATE TABLE words_store (
    only_one INTEGER PRIMARY KEY CHECK (only_one = 1),
    id       BLOB NOT NULL
) STRICT;
INSERT INTO words_store VALUES (1, randomblob(16));
