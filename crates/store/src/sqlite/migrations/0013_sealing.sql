-- The keys that anything here, or a recording beside it, may be sealed with (sealing.rs).
CREATE TABLE sealing_keys (
    id BLOB PRIMARY KEY
) STRICT, WITHOUT ROWID;
