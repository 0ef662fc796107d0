-- Events lie in the table by their place: the call's key and, in the lowest 20 bits, a number in the order of arrival. So
-- those of a call lie together, and a row may be as large as a page: without a rowid, one of more than a quarter of a
-- page takes a page of its own for the rest.
CREATE TABLE events_by_place (
    place       INTEGER PRIMARY KEY,
    pk          INTEGER GENERATED ALWAYS AS (place >> 20) VIRTUAL,
    at_ms       INTEGER NOT NULL,
    id          TEXT NOT NULL,
    kind        TEXT NOT NULL,
    source      TEXT NOT NULL,
    received_ms INTEGER NOT NULL,
    flags       INTEGER NOT NULL, -- 1: the time was given, 2: blanked
    data        TEXT NOT NULL
) STRICT;
INSERT INTO events_by_place (place, at_ms, id, kind, source, received_ms, flags, data)
    SELECT (pk << 20) + row_number() OVER (PARTITION BY pk ORDER BY at_ms, id) - 1,
        at_ms, id, kind, source, received_ms, flags, data
    FROM events;
DROP TABLE events;
ALTER TABLE events_by_place RENAME TO events;
