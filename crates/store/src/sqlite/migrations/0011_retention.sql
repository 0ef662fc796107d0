-- What is kept of a call, as bits: retention.rs. Where it is not known yet everything may be.
ALTER TABLE calls ADD COLUMN keeps INTEGER;

-- Those that a recording should come of.
CREATE INDEX calls_lacking_recording ON calls (ended_ms) WHERE keeps & 8;
