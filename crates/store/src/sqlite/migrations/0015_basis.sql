-- Every tariff that calls are priced by, as it was: tariffs.rs.
CREATE TABLE price_lists (
    id     INTEGER PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE, -- of the body
    body   TEXT NOT NULL
) STRICT;

-- What a call was folded with beside its events. Null where a version before this step folded it.
ALTER TABLE calls ADD COLUMN price_list INTEGER;
ALTER TABLE calls ADD COLUMN folded_by INTEGER; -- the version of the program
