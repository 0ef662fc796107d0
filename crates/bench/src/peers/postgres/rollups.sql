INSERT INTO rollups AS r
SELECT * FROM unnest(
    $1::bigint[], $2::smallint[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[],
    $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[],
    $16::bigint[], $17::bigint[])
ON CONFLICT (org, dimension, name, bucket) DO UPDATE SET
    s0 = r.s0 + excluded.s0, s1 = r.s1 + excluded.s1, s2 = r.s2 + excluded.s2, s3 = r.s3 + excluded.s3,
    s4 = r.s4 + excluded.s4, s5 = r.s5 + excluded.s5, s6 = r.s6 + excluded.s6, s7 = r.s7 + excluded.s7,
    s8 = r.s8 + excluded.s8, outbound = r.outbound + excluded.outbound, answered = r.answered + excluded.answered,
    talk_seconds = r.talk_seconds + excluded.talk_seconds, cost_nanos = r.cost_nanos + excluded.cost_nanos
