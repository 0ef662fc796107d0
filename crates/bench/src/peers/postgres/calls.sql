INSERT INTO calls (
    pk, org, name, uuid, start_ms, ringing_ms, answered_ms, ended_ms, status, direction, call_type, cause, ended_by,
    transfer, failed, inferred, opt_out, disconnection, talk_ms, total_ms, billed_seconds, cost_nanos, successful,
    in_voicemail, from_number, to_number, endpoint, phone_number, sentiment)
SELECT u.pk, u.org, u.name, u.uuid::uuid, u.a, u.b, u.c, u.d, u.e, u.f, u.g, u.h, u.i, u.j, u.k, u.l, u.m, u.n, u.o,
    u.p, u.q, u.r, u.s, u.t, u.v, u.w, u.x, u.y, u.z
FROM unnest(
    $1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[],
    $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[],
    $16::bigint[], $17::bigint[], $18::bigint[], $19::bigint[], $20::bigint[], $21::bigint[], $22::bigint[],
    $23::bigint[], $24::bigint[], $25::text[], $26::text[], $27::text[], $28::text[], $29::text[]
) AS u (pk, org, name, uuid, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, v, w, x, y, z)
ON CONFLICT (pk) DO UPDATE SET
    start_ms = excluded.start_ms, ringing_ms = excluded.ringing_ms, answered_ms = excluded.answered_ms,
    ended_ms = excluded.ended_ms, status = excluded.status, direction = excluded.direction,
    call_type = excluded.call_type, cause = excluded.cause, ended_by = excluded.ended_by,
    transfer = excluded.transfer, failed = excluded.failed, inferred = excluded.inferred,
    opt_out = excluded.opt_out, disconnection = excluded.disconnection, talk_ms = excluded.talk_ms,
    total_ms = excluded.total_ms, billed_seconds = excluded.billed_seconds, cost_nanos = excluded.cost_nanos,
    successful = excluded.successful, in_voicemail = excluded.in_voicemail, from_number = excluded.from_number,
    to_number = excluded.to_number, endpoint = excluded.endpoint, phone_number = excluded.phone_number,
    sentiment = excluded.sentiment
