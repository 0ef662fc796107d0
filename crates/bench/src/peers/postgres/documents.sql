INSERT INTO call_documents (pk, body, words)
SELECT u.pk, u.body, to_tsvector('simple', u.words)
FROM unnest($1::bigint[], $2::text[], $3::text[]) AS u (pk, body, words)
ON CONFLICT (pk) DO UPDATE SET body = excluded.body, words = excluded.words
