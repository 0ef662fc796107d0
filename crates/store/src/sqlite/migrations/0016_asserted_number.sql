-- The number that the network vouches for, by which a call is found that is to be erased: the one it shows may say nothing.
ALTER TABLE calls ADD COLUMN asserted_number TEXT;
CREATE INDEX calls_asserted ON calls (org, asserted_number) WHERE asserted_number IS NOT NULL;
