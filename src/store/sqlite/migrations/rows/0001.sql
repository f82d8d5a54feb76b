-- What a service of version 1 wrote: rows of every table, of every state. The replies are of
-- 2008-05-27 14:00 to 15:00 in Beijing, at the account 9999 of the provider's example, so that their
-- identities and ids are what they are for ever.
INSERT INTO account (name, id_key, settings, login, box, slot_boot, slot_boot_ms, slot_unix_ms, slot_wait_ms, slot_read_id, refusals, refused_until_ms) VALUES
    ('main', x'd92cc95285edcf3a629ad5da26e2387798ccd1f3cc73923103355a9fa04bc3ac', '{"number":null,"min_interval_ms":600000,"recover_ms":86400000}', x'd92cc95285edcf3a629ad5da26e2387798ccd1f3cc73923103355a9fa04bc3ac', x'b0', 'boot-1', 900000, 1211871000000, 600000, 6, 0, NULL),
    ('former', x'0f', '{"number":"1068","min_interval_ms":600000,"recover_ms":3600000}', x'0f', x'b1', NULL, NULL, NULL, NULL, NULL, 3, 1211871600000);
-- A proven plain read; a cut one; one by hour; one that was never answered; one that never began;
-- one under way when the service ended; one whose answer is not taken in yet.
INSERT INTO read (id, account, hour, state, charset, started_ms, deadline_boot, deadline_boot_ms, ended_ms, ending, http_status, error, body, body_sha256, status, verdict, reason, records, faults, replies_new) VALUES
    (1, 'main', NULL, 'ingested', 'gbk', 1211868600000, 'boot-1', 300000, 1211868601000, 'announced', 200, NULL,
     x'3130307b267d31333930303030303030317c7c54447c7c323030382d30352d32372031343a30313a30317c7c313036383131323232373238327b267d31333930303030303030327c7ccdcbb6a97c7c323030382d30352d32372031343a30323a30327c7c3130363831313232323732383230317b267d31333930303030303030337c7c317c7c323030382d30352d32372031343a30333a30337c7c313036383131323232373238327b267d31333930303030303030337c7c317c7c323030382d30352d32372031343a30333a30337c7c31303638313132323237323832',
     x'0dcc34dd521351dc4196968dd70fc686ba4550f29a3a717a32d546408c0c74e8',
     100, 'proven', NULL, 4, 0, 4),
    (2, 'main', NULL, 'ingested', 'gbk', 1211869200000, 'boot-1', 900000, 1211869202000, 'cut', 200, 'connection reset',
     x'3130307b267d31333930303030303030347c7c4f4b7c7c323030382d30352d32372031343a31343a30347c7c313036383131323232373238327b267d6e6f206e756d6265727c7c787c7c323030382d30352d32372031343a31353a30307c7c313036387b267d31333930303030303030357c7c6375747c7c323030382d30352d32372031343a31363a30307c7c3130363831',
     x'09877f35dc4312085a4e26878c97cd9857d79d1f30fe571bd098449569c6231b',
     100, 'doubtful', 'cut', 2, 1, 1),
    (3, 'main', 336637, 'ingested', 'gbk', 1211869800000, 'boot-1', 1500000, 1211869801000, 'announced', 200, NULL, NULL, x'ad57366865126e55649ecb23ae1d48887544976efea46a48eb5d85a6eeb4d306', 100, 'proven', NULL, 0, 0, 0),
    (4, 'main', 336636, 'unanswered', 'gbk', 1211869920000, 'boot-1', 1800000, 1211870220000, 'timeout', NULL, 'timed out', NULL, NULL, NULL, 'doubtful', 'never_answered', 0, 0, 0),
    (5, 'main', NULL, 'abandoned', 'gbk', 1211870340000, 'boot-1', 2100000, 1211870340000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (6, 'main', NULL, 'started', 'gbk', 1211870400000, 'boot-1', 2400000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (7, 'main', NULL, 'received', 'gbk', 1211870370000, 'boot-1', 2400000, 1211870371000, 'announced', 200, NULL,
     x'3130307b267d31333930303030303030367c7c6e6f742074616b656e20696e7c7c323030382d30352d32372031343a33363a30367c7c31303638313132323237323832',
     x'134696c0b3c33902d419379abc3e637736367feabb6f4cd90602fd9f84de0e90', NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO fault (id, read_id, offset, kind, bytes) VALUES (1, 2, 56, 'no_number', x'6e6f206e756d6265727c7c787c7c323030382d30352d32372031343a31353a30307c7c31303638');
INSERT INTO hour (account, hour, state, owed_by, not_before_ms, tries, doubts, shorts) VALUES
    ('main', 336635, 'given_up', 2, 1211869202000, 24, 3, 1),
    ('main', 336636, 'owed', 4, 1211870520000, 1, 1, 0),
    ('main', 336637, 'verified', 2, 1211869202000, 1, 0, 0),
    ('main', 336638, 'owed', 2, 1211872500000, 0, 0, 0);
-- The last one is a tombstone.
INSERT INTO tally (identity, account, hour, plain, seen) VALUES
    (x'6bd23f72ad0ae261481effb37b9678cc3415d4d22134c20cab12dc035e4e79c9', 'main', 336638, 1, 0),
    (x'015f4b1b50de14e6355ce2742198282f3c3912b0d3173a3c75608aff8fd150ed', 'main', 336638, 1, 1),
    (x'a54fdbcf57e1719eedcb69e4eac3da82518eb4cc167e0ce9da3df9940c278966', 'main', 336638, 2, 0),
    (x'f46bcf1e443b9cb499bbd54ed3c44c7589ab3190503ec65042a2d110cfea6db8', 'main', 336638, 0, 1),
    (x'150797ef8140eb50ce79d7f7f57b4f6da79faac353c5de53d6b36a01573e1761', 'main', 336638, 1, 0);
INSERT INTO reply (seq, id, identity, occurrence, account, mobile, replied_at, content, content_raw, gateway, suspect, extension, read_id, kept_ms) VALUES
    (1, 'rpl_79f47b7deb558ca89e86340d7e5acf10', x'6bd23f72ad0ae261481effb37b9678cc3415d4d22134c20cab12dc035e4e79c9', 1, 'main', '13900000001', 1211868061, 'TD', NULL, '1068112227282', NULL, NULL, 1, 1211868601000),
    (2, 'rpl_75a4eb807072f5cda424172894c5a4d9', x'015f4b1b50de14e6355ce2742198282f3c3912b0d3173a3c75608aff8fd150ed', 1, 'main', '13900000002', 1211868122, '退订', NULL, '106811222728201', NULL, '01', 1, 1211868601000),
    (3, 'rpl_6d3cc62824f9caaa8710e4d2f6337538', x'a54fdbcf57e1719eedcb69e4eac3da82518eb4cc167e0ce9da3df9940c278966', 1, 'main', '13900000003', 1211868183, '1', NULL, '1068112227282', NULL, NULL, 1, 1211868601000),
    (4, 'rpl_cac35fb955a90e223edf85f54fb86828', x'a54fdbcf57e1719eedcb69e4eac3da82518eb4cc167e0ce9da3df9940c278966', 2, 'main', '13900000003', 1211868183, '1', NULL, '1068112227282', NULL, NULL, 1, 1211868601000),
    (5, 'rpl_0c5db3339452aa9e4e2b0706b2a855b2', x'f46bcf1e443b9cb499bbd54ed3c44c7589ab3190503ec65042a2d110cfea6db8', 1, 'main', '13900000004', 1211868844, 'OK', NULL, '1068112227282', 'may_hold_two', NULL, 2, 1211869202000);
INSERT INTO waiting_record (id, read_id, account, copies, release_ms, mobile, replied_at, content, gateway, may_hold_two) VALUES
    (1, 2, 'main', 1, 1211870402000, '13900000005', 1211868960, x'637574', '10681', 1);
INSERT INTO event (seq, id, type, body) VALUES
    (1, 'rpl_79f47b7deb558ca89e86340d7e5acf10', 'reply.received', '{"type":"reply.received","timestamp":"2008-05-27T14:01:01+08:00","data":{"id":"rpl_79f47b7deb558ca89e86340d7e5acf10","account":"main","from":"13900000001","content":"TD","replied_at":"2008-05-27T14:01:01+08:00","gateway":"1068112227282","occurrence":1,"lossy":false,"suspect":null,"extension":null,"in_reply_to":null}}'),
    (2, 'rpl_75a4eb807072f5cda424172894c5a4d9', 'reply.received', '{"type":"reply.received","timestamp":"2008-05-27T14:02:02+08:00","data":{"id":"rpl_75a4eb807072f5cda424172894c5a4d9","account":"main","from":"13900000002","content":"退订","replied_at":"2008-05-27T14:02:02+08:00","gateway":"106811222728201","occurrence":1,"lossy":false,"suspect":null,"extension":null,"in_reply_to":null}}'),
    (3, 'rpl_6d3cc62824f9caaa8710e4d2f6337538', 'reply.received', '{"type":"reply.received","timestamp":"2008-05-27T14:03:03+08:00","data":{"id":"rpl_6d3cc62824f9caaa8710e4d2f6337538","account":"main","from":"13900000003","content":"1","replied_at":"2008-05-27T14:03:03+08:00","gateway":"1068112227282","occurrence":1,"lossy":false,"suspect":null,"extension":null,"in_reply_to":null}}'),
    (4, 'rpl_cac35fb955a90e223edf85f54fb86828', 'reply.received', '{"type":"reply.received","timestamp":"2008-05-27T14:03:03+08:00","data":{"id":"rpl_cac35fb955a90e223edf85f54fb86828","account":"main","from":"13900000003","content":"1","replied_at":"2008-05-27T14:03:03+08:00","gateway":"1068112227282","occurrence":2,"lossy":false,"suspect":null,"extension":null,"in_reply_to":null}}'),
    (5, 'rpl_0c5db3339452aa9e4e2b0706b2a855b2', 'reply.received', '{"type":"reply.received","timestamp":"2008-05-27T14:14:04+08:00","data":{"id":"rpl_0c5db3339452aa9e4e2b0706b2a855b2","account":"main","from":"13900000004","content":"OK","replied_at":"2008-05-27T14:14:04+08:00","gateway":"1068112227282","occurrence":1,"lossy":false,"suspect":null,"extension":null,"in_reply_to":null}}'),
    (6, 'evt_00000000000000000000000000000001', 'gap.opened', '{"type":"gap.opened","timestamp":"2008-05-27T14:20:02+08:00","data":{}}');
INSERT INTO subscriber (name, route, enabled, absent) VALUES
    ('crm', '{"accounts":[],"events":["reply.received"]}', 1, 0),
    ('erp', '{"accounts":["main"],"events":["reply.received","gap.opened"]}', 0, 0),
    ('gone', '{"accounts":[],"events":["reply.received"]}', 1, 1);
-- Of each state, by each trigger; the one that is being sent has a lease that is long over.
INSERT INTO delivery (id, subscriber, event_seq, trigger, state, created_ms, due_ms, attempts, lease) VALUES
    (1, 'crm', 1, 'auto', 'delivered', 1211868601000, 1211868602000, 2, 2),
    (2, 'crm', 2, 'auto', 'waiting', 1211868601000, 1211868601000, 0, 0),
    (3, 'crm', 3, 'auto', 'sending', 1211868601000, 1211868620000, 1, 1),
    (4, 'crm', 4, 'auto', 'failed', 1211868601000, 1211868602000, 1, 1),
    (5, 'crm', 5, 'auto', 'cancelled', 1211869202000, 1211869202000, 0, 0),
    (6, 'erp', 1, 'auto', 'waiting', 1211868601000, 1211868601000, 0, 0),
    (7, 'gone', 1, 'replay', 'waiting', 1211868601000, 1211868601000, 0, 0),
    (8, 'crm', 1, 'test', 'delivered', 1211868660000, 1211868660000, 1, 1),
    (9, 'crm', 4, 'retry', 'waiting', 1211868720000, 1211868720000, 0, 0),
    (10, 'erp', 6, 'auto', 'delivered', 1211869202000, 1211869202000, 1, 1);
INSERT INTO attempt (id, delivery_id, number, started_ms, duration_ms, address, http_status, error, answer, next) VALUES
    (1, 1, 1, 1211868601000, 20, '192.0.2.1:443', 503, 'the receiver answered 503', x'6e6f', 'tried again in 5s'),
    (2, 1, 2, 1211868606000, 21, '192.0.2.1:443', 204, NULL, NULL, 'delivered'),
    (3, 3, 1, 1211868601000, 15000, NULL, NULL, 'timed out', NULL, 'tried again in 5s'),
    (4, 4, 1, 1211868601000, 3, '192.0.2.1:443', 400, 'the receiver answered 400', x'7b7d', 'given up'),
    (5, 8, 1, 1211868660000, 9, '192.0.2.1:443', 200, NULL, x'6f6b', 'delivered'),
    (6, 10, 1, 1211869202000, 9, '192.0.2.2:443', 200, NULL, NULL, 'delivered');
