-- What a service of version 12 wrote beside: a token, what was changed by it, and a message that a
-- client named.
INSERT INTO token (name, handle, digest, scopes, created_ms, expires_ms, revoked_ms, used_ms) VALUES
    ('crm', 72340172838076673, x'0101010101010101010101010101010101010101010101010101010101010101', 'read replay', 1211868000000, NULL, NULL, 1211868600000),
    ('old', 144680345676153346, x'0202020202020202020202020202020202020202020202020202020202020202', 'admin', 1211868000000, 1211954400000, 1211868300000, NULL);
INSERT INTO audit_entry (at_ms, token, action, target, outcome) VALUES
    (1211868600000, 'crm', 'deliveries.retry', 'delivery 1', '1 changed');
INSERT INTO message (seq, id, account, text, charset, mid, send_at, created_ms, reply_id, subscriber, idempotency_key, request_sha256) VALUES
    (12, 'msg_00000000000000000000000000000012', 'main', '您好', 'gbk', NULL, NULL, 1211868000000, NULL, NULL, '8f14e45f-ceea-467f', x'0303030303030303030303030303030303030303030303030303030303030303');
INSERT INTO message_call (message, number, state, status, started_ms, ended_ms) VALUES (12, 0, 'accepted', 100, 1211868000000, 1211868001000);
INSERT INTO recipient (message, mobile, call) VALUES (12, '13900000001', 0);
