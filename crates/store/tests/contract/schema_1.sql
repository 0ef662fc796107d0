-- The rows of a store that the first schema (0001_start.sql) held, as the program of that time wrote them.
INSERT INTO organizations (number, id)
VALUES (1, 'org_default');
INSERT INTO access_keys (id, org, name, secret_hash, scopes, created_ms)
VALUES ('key_npl446pq7jqvm4ap', 1, 'first key', X'0000000000000000000000000000000000000000000000000000000000000000', 63, 1795197882922);
INSERT INTO endpoints (number, org, id, name, provider, metadata)
VALUES (123, 1, 'ep_1', 'Desk', 'x', '{}');
INSERT INTO phone_numbers (org, id, number, endpoint)
VALUES (1, 'pn_1', '+15550000', 'ep_1');
INSERT INTO calls (pk, org, name, uuid, start_ms, answered_ms, ended_ms, status, direction, call_type, from_number, to_number, endpoint, phone_number, cause, transfer, failed, inferred, opt_out, disconnection, talk_ms, total_ms, billed_seconds)
VALUES (1, 1, 'ended', X'01a1fa21d34375a8a5afbde2180b453d', 1767261600000, 1767261605000, 1767261665000, 4, 0, 0, '+15550001', '+15550000', 'ep_1', 'pn_1', 1, 0, 0, 0, 0, 0, 60000, 65000, 60);
INSERT INTO calls (pk, org, name, uuid, start_ms, answered_ms, status, direction, call_type, opt_out)
VALUES (2, 1, 'live', X'01a1fa21d34375a8a5afbde33bc255e7', 1767265200000, 1767265200000, 3, 0, 0, 0);
INSERT INTO calls (pk, org, name, uuid, start_ms, ringing_ms, ended_ms, status, direction, call_type, cause, transfer, failed, inferred, opt_out, disconnection, talk_ms, total_ms, billed_seconds)
VALUES (3, 1, 'missed', X'01a1fa21d34477a99c58bc8ea391705b', 1767348000000, 1767348000000, 1767348030000, 5, 0, 0, 0, 0, 0, 0, 0, 5, 0, 30000, 0);
INSERT INTO call_documents (pk, body)
VALUES (1, X'017a02000028b52ffd607a01b50a005617411f404ddb0690c294c93a6cf78b346d9626fada7354785fd8535fc4601c453910360039003a000d81bdfc07033ff83943c5f6edfcfad43522370b4a16635264a8a09bd4629479e9ed3ca1bb906062df642a7adec0d76fe7add8bae92dec9a6f8e7c980980390e0450829fb79e2117fc1c73d9dbb95ac737455118851160080c180301e77d6f06e7ac4c695e9cc8d33b7429b609d94d88f0266a6c4897a066b60f895e798a033b045118259676ceb892625fa24e164bacc73a77fb066159f038e5d0cb1b048373566c1f9462e6425007cb92a9e8795e6fdf20d8eba630ce59e92664a4b09d67ae849ba57953c402c23e863013e4f8669752ee6649a8362dc3eec5d0ce6fa91e009612b63ae4378d804aafce8279da380cd60a0b5690b6c3efca651224a1b99029eba86174164e86f8d8c77d50f9846a0835dda1c44dc2c479cf249126995027ab84eb36093475919c1c1910aa0c');
INSERT INTO call_documents (pk, body)
VALUES (2, X'007b22636f6e74656e74223a7b227461736b223a6e756c6c2c2274656c6570686f6e79223a7b2263616c6c5f736964223a6e756c6c2c22636f6e666572656e63655f736964223a6e756c6c2c227369705f63616c6c5f6964223a6e756c6c7d2c226d65746164617461223a7b7d2c22636f6e74657874223a6e756c6c2c227265636f7264696e67223a6e756c6c2c22616e616c79736973223a6e756c6c2c227475726e73223a5b5d2c22746f6f6c73223a5b5d2c227472616e7363726970745f74657874223a6e756c6c2c226c6174656e63696573223a7b7d2c226c6174656e63795f73756d6d6172696573223a7b7d2c227175616c697479223a7b7d2c22776f7273745f7061636b65745f6c6f7373223a6e756c6c2c226d65646961223a7b226c6174656e63795f6d696c6c6973223a6e756c6c2c226a69747465725f6d696c6c6973223a6e756c6c2c227061636b65745f6c6f7373223a6e756c6c2c226d6f73223a6e756c6c2c22636f646563223a6e756c6c7d2c22617564696f223a7b22636f646563223a6e756c6c2c2273616d706c655f726174655f687a223a6e756c6c7d2c22636f737473223a5b5d7d2c2262696c6c223a7b2262696c6c65645f7365636f6e6473223a6e756c6c2c226974656d73223a5b5d2c22746f74616c223a6e756c6c7d7d');
INSERT INTO call_documents (pk, body)
VALUES (3, X'007b22636f6e74656e74223a7b227461736b223a6e756c6c2c2274656c6570686f6e79223a7b2263616c6c5f736964223a6e756c6c2c22636f6e666572656e63655f736964223a6e756c6c2c227369705f63616c6c5f6964223a6e756c6c7d2c226d65746164617461223a7b7d2c22636f6e74657874223a6e756c6c2c227265636f7264696e67223a6e756c6c2c22616e616c79736973223a6e756c6c2c227475726e73223a5b5d2c22746f6f6c73223a5b5d2c227472616e7363726970745f74657874223a6e756c6c2c226c6174656e63696573223a7b7d2c226c6174656e63795f73756d6d6172696573223a7b7d2c227175616c697479223a7b7d2c22776f7273745f7061636b65745f6c6f7373223a6e756c6c2c226d65646961223a7b226c6174656e63795f6d696c6c6973223a6e756c6c2c226a69747465725f6d696c6c6973223a6e756c6c2c227061636b65745f6c6f7373223a6e756c6c2c226d6f73223a6e756c6c2c22636f646563223a6e756c6c7d2c22617564696f223a7b22636f646563223a6e756c6c2c2273616d706c655f726174655f687a223a6e756c6c7d2c22636f737473223a5b5d7d2c2262696c6c223a7b2262696c6c65645f7365636f6e6473223a302c226974656d73223a5b5d2c22746f74616c223a6e756c6c7d7d');
INSERT INTO events (pk, at_ms, id, kind, source, received_ms, flags, data)
VALUES (1, 1767261600000, '1', 'call_initiated', 'native', 1795197883202, 1, '{"direction":"inbound","from_number":"+15550001","to_number":"+15550000","endpoint_id":"ep_1","metadata":{"order":"7"}}');
INSERT INTO events (pk, at_ms, id, kind, source, received_ms, flags, data)
VALUES (1, 1767261605000, '2', 'call_answered', 'native', 1795197883202, 1, '{}');
INSERT INTO events (pk, at_ms, id, kind, source, received_ms, flags, data)
VALUES (1, 1767261606000, '3', 'transcript_turn', 'native', 1795197883202, 1, '{"role":"caller","content":"An egg, please"}');
INSERT INTO events (pk, at_ms, id, kind, source, received_ms, flags, data)
VALUES (1, 1767261665000, '4', 'call_completed', 'native', 1795197883202, 1, '{"hangup_cause":"user_hangup"}');
INSERT INTO events (pk, at_ms, id, kind, source, received_ms, flags, data)
VALUES (2, 1767265200000, '1', 'call_answered', 'native', 1795197883202, 1, '{"direction":"outbound","from_number":"+15550000","to_number":"+15550002"}');
INSERT INTO events (pk, at_ms, id, kind, source, received_ms, flags, data)
VALUES (3, 1767348000000, '1', 'call_ringing', 'native', 1795197883202, 1, '{"direction":"inbound"}');
INSERT INTO events (pk, at_ms, id, kind, source, received_ms, flags, data)
VALUES (3, 1767348030000, '2', 'call_completed', 'native', 1795197883202, 1, '{}');
INSERT INTO call_meta (org, key, value, start_ms, pk)
VALUES (1, 'order', '7', 1767261600000, 1);
INSERT INTO transcripts (rowid, transcript, summary) VALUES (1, 'An egg, please', '');
