-- What a list is read by: query.rs. Of a call that has no such value there is no entry, since to write one when the call
-- is opened and take it back when it ends would cost as much as the entry itself.
CREATE INDEX calls_from ON calls (org, from_number, start_ms) WHERE from_number IS NOT NULL;
CREATE INDEX calls_to ON calls (org, to_number, start_ms) WHERE to_number IS NOT NULL;
CREATE INDEX calls_ended ON calls (org, ended_ms) WHERE ended_ms IS NOT NULL;
CREATE INDEX calls_total ON calls (org, total_ms) WHERE total_ms IS NOT NULL;
-- Those that come last in a list by end or by time.
CREATE INDEX calls_unended ON calls (org) WHERE start_ms IS NOT NULL AND ended_ms IS NULL;

-- The words of calls that have ended, each with its organization in front: words.rs. They are filled in by the program.
DROP TABLE transcripts;
CREATE VIRTUAL TABLE transcripts USING fts5 (
    transcript, summary,
    content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 2'
);
