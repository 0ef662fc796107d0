-- What is kept of a call, as bits: save.rs. Where it is not known yet everything may be.
ALTER TABLE calls ADD COLUMN keeps INTEGER;
