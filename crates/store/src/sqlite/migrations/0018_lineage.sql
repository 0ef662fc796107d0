-- Which store this is, and how many transactions it has committed. A backup gets another id (lineage.rs).
CREATE TABLE lineage (
    only_one INTEGER PRIMARY KEY CHECK (only_one = 1),
    id       BLOB NOT NULL,
    commits  INTEGER NOT NULL
) STRICT;
INSERT INTO lineage (only_one, id, commits) VALUES (1, randomblob(16), 0);
