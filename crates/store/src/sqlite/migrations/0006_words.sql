-- The index of words is merged in small steps by the program (words.rs), not in large ones by the commits of others.
INSERT INTO transcripts (transcripts, rank) VALUES ('automerge', 0);
INSERT INTO transcripts (transcripts, rank) VALUES ('crisismerge', 256);
