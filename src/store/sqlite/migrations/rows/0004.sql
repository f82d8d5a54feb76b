-- What a service of version 4 wrote beside: deliveries that are held, and one that was released; a
-- record that waits and is suspect for another reason.
INSERT INTO tally (identity, account, hour, plain, seen) VALUES (x'ac7883fe0ab4b40c80becc6a39b27c1471076c06d131cb66ac89ab9b2b56d473', 'main', 336638, 1, 0);
INSERT INTO reply (seq, id, identity, occurrence, account, mobile, replied_at, content, content_raw, gateway, suspect, extension, read_id, kept_ms) VALUES
    (40, 'rpl_d9bb55e8735ca7a3d82d8ba62942ce06', x'ac7883fe0ab4b40c80becc6a39b27c1471076c06d131cb66ac89ab9b2b56d473', 1, 'main', '13900000040', 1211868280, '4', NULL, '1068112227282', 'foreign_gateway', NULL, 1, 1211868601000);
INSERT INTO event (seq, id, type, body) VALUES (40, 'rpl_d9bb55e8735ca7a3d82d8ba62942ce06', 'reply.received', '{"type":"reply.received","timestamp":"2008-05-27T14:04:40+08:00","data":{"id":"rpl_d9bb55e8735ca7a3d82d8ba62942ce06","account":"main","from":"13900000040","content":"4","replied_at":"2008-05-27T14:04:40+08:00","gateway":"1068112227282","occurrence":1,"lossy":false,"suspect":null,"extension":null,"in_reply_to":null}}');
INSERT INTO delivery (id, subscriber, event_seq, trigger, state, created_ms, due_ms, attempts, lease, released_ms) VALUES
    (40, 'crm', 40, 'auto', 'held', 1211868601000, 1211868601000, 0, 0, NULL),
    (41, 'erp', 40, 'auto', 'waiting', 1211868601000, 1211870700000, 0, 0, 1211870700000);
INSERT INTO waiting_record (id, read_id, account, copies, release_ms, mobile, replied_at, content, gateway, suspect) VALUES
    (40, 2, 'main', 2, 1211870402000, '13900000041', 1211869001, x'6c617465', '1068', 'time_far');
