-- What a service of version 8 wrote beside: deliveries that are in line and one that is not.
INSERT INTO tally (identity, account, hour, plain, seen) VALUES
    (x'a205fb7c611a3b1c5585ff1026a3790d159e8c34f295011c73f6f9a5d832183a', 'main', 336638, 1, 0), (x'dfea2011120d1e88fa8f9d6766a1f5452d3725991fa87cbce00e779c414b3d15', 'main', 336638, 1, 0);
INSERT INTO reply (seq, id, identity, occurrence, account, mobile, replied_at, content, content_raw, gateway, suspect, extension, read_id, kept_ms) VALUES
    (80, 'rpl_47f9e865b149d043d3fb08c1622d339f', x'a205fb7c611a3b1c5585ff1026a3790d159e8c34f295011c73f6f9a5d832183a', 1, 'main', '13900000080', 1211868488, '8', NULL, '1068112227282', NULL, NULL, 1, 1211868601000),
    (81, 'rpl_a2c7a21f7d93aab9d4e4b9b756b277bc', x'dfea2011120d1e88fa8f9d6766a1f5452d3725991fa87cbce00e779c414b3d15', 1, 'main', '13900000080', 1211868489, '8', NULL, '1068112227282', NULL, NULL, 1, 1211868601000);
INSERT INTO event (seq, id, type, body, mobile, replied_at) VALUES
    (80, 'rpl_47f9e865b149d043d3fb08c1622d339f', 'reply.received', '{"type":"reply.received","timestamp":"2008-05-27T14:08:08+08:00","data":{"id":"rpl_47f9e865b149d043d3fb08c1622d339f","account":"main","from":"13900000080","content":"8","replied_at":"2008-05-27T14:08:08+08:00","gateway":"1068112227282","occurrence":1,"lossy":false,"suspect":null,"extension":null,"in_reply_to":null}}', '13900000080', 1211868488),
    (81, 'rpl_a2c7a21f7d93aab9d4e4b9b756b277bc', 'reply.received', '{"type":"reply.received","timestamp":"2008-05-27T14:08:09+08:00","data":{"id":"rpl_a2c7a21f7d93aab9d4e4b9b756b277bc","account":"main","from":"13900000080","content":"8","replied_at":"2008-05-27T14:08:09+08:00","gateway":"1068112227282","occurrence":1,"lossy":false,"suspect":null,"extension":null,"in_reply_to":null}}', '13900000080', 1211868489);
INSERT INTO delivery (id, subscriber, event_seq, trigger, state, created_ms, due_ms, attempts, lease, mobile, replied_at, lane, failing_since_ms, in_line) VALUES
    (80, 'crm', 80, 'auto', 'waiting', 1211868601000, 1211868901000, 1, 1, '13900000080', 1211868488, 0, 1211868601000, 1),
    (81, 'crm', 81, 'auto', 'waiting', 1211868601000, 1211868489000, 0, 0, '13900000080', 1211868489, 0, NULL, 0);
