-- What a service of version 13 wrote beside: two deliveries of which a worker has one in hand.
INSERT INTO event (seq, id, type, body, mobile, replied_at, replay_of, masked_body) VALUES
    (130, 'rpl_00000000000000000000000000000130', 'reply.received', '{"type":"reply.received","timestamp":"2008-05-27T14:05:50+08:00","data":{"id":"rpl_00000000000000000000000000000130","account":"main","from":"13900000130","content":"13","replied_at":"2008-05-27T14:05:50+08:00","gateway":"1068112227282","occurrence":1,"lossy":false,"suspect":null,"extension":null,"in_reply_to":null}}', '13900000130', 1211868350, NULL, NULL);
INSERT INTO delivery (id, subscriber, event_seq, trigger, state, created_ms, due_ms, attempts, mobile, replied_at) VALUES
    (131, 'crm', 130, 'auto', 'waiting', 1211868601000, 1211868350000, 0, '13900000130', 1211868350),
    (132, 'erp', 130, 'auto', 'waiting', 1211868601000, 1211868350000, 0, '13900000130', 1211868350);
INSERT INTO lease (id, subscriber, end_ms, deliveries) VALUES (13, 'crm', 1211868626000, '[131]');
