-- What a service of version 9 wrote beside: messages with calls of each state, a reply to one of them,
-- a balance.
INSERT INTO message (seq, id, account, text, charset, mid, send_at, created_ms, reply_id, subscriber) VALUES
    (1, 'msg_00000000000000000000000000000001', 'main', '您好', 'gbk', '7', NULL, 1211868000000, NULL, NULL),
    (2, 'msg_00000000000000000000000000000002', 'main', 'later', 'gbk', NULL, 1211882400, 1211868000000, NULL, NULL),
    (3, 'msg_00000000000000000000000000000003', 'main', 'answer', 'gbk', NULL, NULL, 1211868660000, 'rpl_79f47b7deb558ca89e86340d7e5acf10', 'crm');
INSERT INTO message_call (message, number, state, status, detail, started_ms, ended_ms) VALUES
    (1, 1, 'accepted', 100, NULL, 1211868000000, 1211868001000), (1, 2, 'refused', 102, 'no money', 1211868001000, 1211868002000),
    (1, 3, 'unclear', NULL, 'timed out', 1211868002000, 1211868032000), (1, 4, 'unsent', NULL, 'cannot connect', 1211868033000, 1211868034000),
    (2, 1, 'sending', NULL, NULL, 1211870820000, NULL), (3, 1, 'withheld', NULL, 'over the budget', NULL, 1211868661000);
INSERT INTO recipient (message, mobile, call) VALUES
    (1, '13900000001', 1), (1, '13900000002', 2), (1, '13900000003', 3), (1, '13900000004', 4), (2, '13900000005', 1), (3, '13900000001', 1);
INSERT INTO tally (identity, account, hour, plain, seen) VALUES (x'c488f5c473f85e142bb16b3108dcb94ef37baf257779e7d6d1306ed713fd15eb', 'main', 336638, 1, 0);
INSERT INTO reply (seq, id, identity, occurrence, account, mobile, replied_at, content, content_raw, gateway, suspect, extension, read_id, kept_ms, in_reply_to) VALUES
    (90, 'rpl_bd3d7dc0acdadca48b815468db1f0989', x'c488f5c473f85e142bb16b3108dcb94ef37baf257779e7d6d1306ed713fd15eb', 1, 'main', '13900000001', 1211868599, '9', NULL, '10681122272827', NULL, '7', 1, 1211868601000, 'msg_00000000000000000000000000000001');
UPDATE account SET balance = 22348, balance_ms = 1211870400000, balance_looked_ms = 1211870400000, balance_low_told = 1 WHERE name = 'main';
