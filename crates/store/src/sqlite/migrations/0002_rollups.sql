-- Counts of calls by bucket of time, derived from the calls: rollups.rs. They are filled in by the program.

-- Whose calls a row of buckets counts.
CREATE TABLE rollup_series (
    id        INTEGER PRIMARY KEY,
    org       INTEGER NOT NULL,
    dimension INTEGER NOT NULL, -- 0: all, 1: of an endpoint, 2: of a phone number
    name      TEXT NOT NULL,    -- of the endpoint or phone number, else empty
    UNIQUE (org, dimension, name)
) STRICT;

CREATE TABLE rollups (
    series INTEGER NOT NULL,
    span   INTEGER NOT NULL, -- 0: days, 1: hours
    bucket INTEGER NOT NULL, -- how many spans after 1970-01-01T00:00:00Z it begins
    sums   BLOB NOT NULL,    -- packed.rs
    PRIMARY KEY (series, span, bucket)
) STRICT, WITHOUT ROWID;

-- Percentiles by day; out of the row above, so that what statistics read stays small.
CREATE TABLE rollup_sketches (
    series  INTEGER NOT NULL,
    measure INTEGER NOT NULL, -- 0: time of ringing, 1: time of talk
    bucket  INTEGER NOT NULL, -- in days
    counts  BLOB NOT NULL,    -- packed.rs
    PRIMARY KEY (series, measure, bucket)
) STRICT, WITHOUT ROWID;
