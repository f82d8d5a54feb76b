-- What a service of version 11 wrote beside: a delivery that a fallback took over, and the one that
-- stands in for it.
INSERT INTO tally (identity, account, hour, plain, seen) VALUES (x'5e7d2e08edc5e5d2c3e450a177e0a3fc4c2d4b9fcaa1cf836c93f4222694d983', 'main', 336638, 1, 0);
INSERT INTO reply (seq, id, identity, occurrence, account, mobile, replied_at, content, content_raw, gateway, suspect, extension, read_id, kept_ms) VALUES
    (110, 'rpl_005d4d590302d9811416d22431d1be94', x'5e7d2e08edc5e5d2c3e450a177e0a3fc4c2d4b9fcaa1cf836c93f4222694d983', 1, 'main', '13900000011', 1211868071, '11', NULL, '1068112227282', NULL, NULL, 1, 1211868601000);
INSERT INTO event (seq, id, type, body, mobile, replied_at) VALUES
    (110, 'rpl_005d4d590302d9811416d22431d1be94', 'reply.received', '{"type":"reply.received","timestamp":"2008-05-27T14:01:11+08:00","data":{"id":"rpl_005d4d590302d9811416d22431d1be94","account":"main","from":"13900000011","content":"11","replied_at":"2008-05-27T14:01:11+08:00","gateway":"1068112227282","occurrence":1,"lossy":false,"suspect":null,"extension":null,"in_reply_to":null}}', '13900000011', 1211868071);
INSERT INTO delivery (id, subscriber, event_seq, trigger, state, created_ms, due_ms, attempts, lease, mobile, replied_at, in_doubt) VALUES
    (110, 'erp', 110, 'auto', 'cancelled', 1211868601000, 1211868601000, 1, 1, '13900000011', 1211868071, 1);
INSERT INTO delivery (id, subscriber, event_seq, trigger, state, created_ms, due_ms, attempts, lease, mobile, replied_at, stands_in_for, in_doubt) VALUES
    (111, 'crm', 110, 'auto', 'waiting', 1211870941000, 1211870941000, 0, 0, '13900000011', 1211868071, 110, 1);
