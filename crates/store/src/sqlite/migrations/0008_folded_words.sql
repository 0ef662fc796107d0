-- Words come folded, as pegcount_calls::words makes them: the index parts them at blanks and changes nothing. They are
-- filled in by the program.
DROP TABLE transcripts;
CREATE VIRTUAL TABLE transcripts USING fts5 (
    transcript, summary,
    content = '', contentless_delete = 1, tokenize = 'ascii'
);
-- As in 0006.
INSERT INTO transcripts (transcripts, rank) VALUES ('automerge', 0);
INSERT INTO transcripts (transcripts, rank) VALUES ('crisismerge', 256);
