INSERT INTO call_documents (pk, body) SELECT * FROM unnest($1::bigint[], $2::text[])
ON CONFLICT (pk) DO UPDATE SET body = excluded.body
