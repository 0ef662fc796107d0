-- Counts of calls by bucket of time, derived from the calls: rollups.rs. They are filled in by the program.

-- Whose calls a row of buckets counts.
CREATE TABLE rollup_series (
    id        INTEGER PRIMARY KEY,
    org       INTEGER NOT NULL,
    dimension INTEGER NOT NULL, -- 0: all, 1: of an endpoint, 2: of a phone number
    name      TEXT NOT NULL,    -- of the endpoint or phone number, else empty
    UNIQUE (org, dimension, name)
) STRICT;

-- A day in one row: a call touches one page of each of its series. The sums are in front, since what lies behind them
-- is not read with them once the row is large.
CREATE TABLE rollups (
    series   INTEGER NOT NULL,
    day      INTEGER NOT NULL, -- since 1970-01-01, in UTC
    sums     BLOB NOT NULL,    -- this and the rest: packed.rs
    hours    BLOB NOT NULL,
    sketches BLOB NOT NULL,
    PRIMARY KEY (series, day)
) STRICT, WITHOUT ROWID;
