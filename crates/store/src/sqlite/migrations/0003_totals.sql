-- Percentiles by the hour, of the stages of agents too, and by status and direction; counts of erased calls.

-- The latencies of a call that is over, as the sketches count them: packed.rs. The last column: what is scanned for
-- other reasons does not read over it.
ALTER TABLE calls ADD COLUMN latencies BLOB;

-- All counts are made anew by the program.
DROP TABLE rollups;
CREATE TABLE rollups (
    series INTEGER NOT NULL,
    day    INTEGER NOT NULL, -- since 1970-01-01, in UTC
    sums   BLOB NOT NULL,    -- in front, since what lies behind them is not read with them once the row is large
    hours  BLOB NOT NULL,
    PRIMARY KEY (series, day)
) STRICT, WITHOUT ROWID;

-- Apart from the sums: a call changes those often, and its values once, when it is over.
CREATE TABLE rollup_sketches (
    series INTEGER NOT NULL,
    span   INTEGER NOT NULL, -- 0: a day, 1: an hour
    bucket INTEGER NOT NULL, -- days or hours since 1970, in UTC
    counts BLOB NOT NULL,
    PRIMARY KEY (series, span, bucket)
) STRICT, WITHOUT ROWID;

-- As much of an erased call as is counted, and nothing by which it or its people could be known.
CREATE TABLE erased_calls (
    pk            INTEGER PRIMARY KEY,
    org           INTEGER NOT NULL,
    start_ms      INTEGER NOT NULL,
    ringing_ms    INTEGER,
    answered_ms   INTEGER,
    ended_ms      INTEGER,
    status        INTEGER NOT NULL,
    direction     INTEGER NOT NULL,
    endpoint      TEXT,
    phone_number  TEXT,
    disconnection INTEGER,
    talk_ms       INTEGER,
    total_ms      INTEGER,
    cost_nanos    INTEGER,
    latencies     BLOB
) STRICT;
CREATE INDEX erased_calls_start ON erased_calls (org, start_ms);

-- What erased calls and their legs were called, as keyed hashes: an event that comes late is known by them.
CREATE TABLE tombstones (
    hash    BLOB NOT NULL,
    from_ms INTEGER NOT NULL, -- when the name was in use: the span of a leg, for ever of a call
    to_ms   INTEGER NOT NULL,
    PRIMARY KEY (hash, from_ms, to_ms)
) STRICT, WITHOUT ROWID;
CREATE TABLE tombstone_key (
    id  INTEGER PRIMARY KEY CHECK (id = 1),
    key BLOB NOT NULL
) STRICT;
