INSERT INTO call_meta (org, key, value, start_ms, pk)
SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::bigint[])
