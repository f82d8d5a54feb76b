-- What a service of version 5 wrote beside: how subscribers do, whose deliveries are, masked events,
-- attempts as facts.
INSERT INTO subscriber (name, route, enabled, absent, disabled_ms, disabled_why, resumed_ms, failing_since_ms, failing_told, pace) VALUES
    ('asked', '{"accounts":[],"events":["reply.received"]}', 1, 1, 1211870400000, 'asked', 0, NULL, 0, NULL),
    ('failing', '{"accounts":[],"events":["reply.received"],"mask":true}', 1, 1, 1211870460000, 'failing', 1211868060000, 1211868120000, 1,
     '{"streak":6,"not_before_ms":1211870520000,"imposed_ms":1211870460000,"window":1,"used_until_us":0,"replays_used_until_us":0}');
UPDATE subscriber SET disabled_ms = 1211870520000, disabled_why = 'by_hand' WHERE name = 'erp';
INSERT INTO tally (identity, account, hour, plain, seen) VALUES (x'06572b656090451aa989590019fcd8401c280737fa6bba2577b3e8bb3152a14d', 'main', 336638, 1, 0);
INSERT INTO reply (seq, id, identity, occurrence, account, mobile, replied_at, content, content_raw, gateway, suspect, extension, read_id, kept_ms) VALUES
    (50, 'rpl_01275393955895a96df098e954d26875', x'06572b656090451aa989590019fcd8401c280737fa6bba2577b3e8bb3152a14d', 1, 'main', '13900000050', 1211868350, '5', NULL, '1068112227282', NULL, NULL, 1, 1211868601000);
INSERT INTO event (seq, id, type, body, mobile, replied_at, masked_body) VALUES
    (50, 'rpl_01275393955895a96df098e954d26875', 'reply.received', '{"type":"reply.received","timestamp":"2008-05-27T14:05:50+08:00","data":{"id":"rpl_01275393955895a96df098e954d26875","account":"main","from":"13900000050","content":"5","replied_at":"2008-05-27T14:05:50+08:00","gateway":"1068112227282","occurrence":1,"lossy":false,"suspect":null,"extension":null,"in_reply_to":null}}', '13900000050', 1211868350, '{"masked":true}');
INSERT INTO delivery (id, subscriber, event_seq, trigger, state, created_ms, due_ms, attempts, lease, released_ms, mobile, replied_at, lane, failing_since_ms, masked) VALUES
    (50, 'crm', 50, 'auto', 'waiting', 1211868601000, 1211868901000, 1, 1, NULL, '13900000050', 1211868350, 0, 1211868601000, 0),
    (51, 'failing', 50, 'auto', 'waiting', 1211868601000, 1211868601000, 0, 0, NULL, '13900000050', 1211868350, 0, NULL, 1),
    (52, 'crm', 50, 'replay', 'waiting', 1211870581000, 1211870581000, 0, 0, NULL, '13900000050', 1211868350, 1, NULL, 0);
INSERT INTO attempt (id, delivery_id, number, started_ms, duration_ms, address, http_status, answer, next, resolve_us, connect_us, tls_us, first_byte_us, trouble) VALUES
    (50, 50, 1, 1211868601000, 1, '192.0.2.1:443', NULL, NULL, '{"then":"retry","at":1211868901000,"wait_ms":300000,"asked":false}', 120, 303, NULL, NULL,
     '{"kind":"connect","detail":"Connection refused (os error 111)"}');
