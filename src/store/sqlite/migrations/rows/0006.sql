-- What a service of version 6 wrote beside: replays of each state, and an event that tells a reply
-- as a new one.
INSERT INTO replay_job (id, state, first_hour, last_hour, account, selection, as_new, new_since, newest_seq, replies, looked_at, created_ms, ended_ms, cursor_replied_at, cursor_account, cursor_seq, lease, lease_end_ms) VALUES
    (1, 'done', 336638, 336638, NULL, 'all', 1, NULL, 5, 5, 5, 1211870580000, 1211870581000, 1211868844, 'main', 5, 1, 1211870610000),
    (2, 'cancelled', 336634, 336638, 'main', 'failed', 0, NULL, 5, 5, 2, 1211870640000, 1211870641000, 1211868122, 'main', 2, 2, 1211870670000),
    (3, 'running', 336638, 336638, 'main', 'missing', 0, 7, 5, 5, 2, 1211870700000, NULL, 1211868122, 'main', 2, 1, 1211870730000);
INSERT INTO replay_job_subscriber (job, subscriber, made) VALUES (1, 'crm', 1), (2, 'erp', 0), (3, 'crm', 0);
INSERT INTO event (seq, id, type, body, mobile, replied_at, replay_of) VALUES
    (60, 'rpn_00000000000000000000000000000060', 'reply.received', '{"type":"reply.received","timestamp":"2008-05-27T14:01:01+08:00","data":{"id":"rpn_00000000000000000000000000000060","replay_of":'
     || json_quote('rpl_79f47b7deb558ca89e86340d7e5acf10') || ',"account":"main","from":"13900000001","content":"TD","replied_at":"2008-05-27T14:01:01+08:00","gateway":"1068112227282","occurrence":1,"lossy":false,"suspect":null,"extension":null,"in_reply_to":null}}', '13900000001', 1211868061, 'rpl_79f47b7deb558ca89e86340d7e5acf10');
INSERT INTO delivery (id, subscriber, event_seq, trigger, state, created_ms, due_ms, attempts, lease, mobile, replied_at, lane) VALUES
    (60, 'crm', 60, 'replay', 'waiting', 1211870581000, 1211870581000, 0, 0, '13900000001', 1211868061, 1);
