-- What a service of version 2 wrote beside: why hours are owed, what it saw of them, a refusal, a
-- second reader.
INSERT INTO hour (account, hour, state, owed_by, not_before_ms, tries, doubts, shorts, cause, gap, verified_ms, held, known) VALUES
    ('main', 336631, 'owed', 2, 1211869202000, 0, 0, 0, 'pause', 2, NULL, NULL, NULL),
    ('main', 336632, 'owed', 2, 1211869202000, 2, 0, 1, 'doubt', 2, NULL, 3, 4),
    ('main', 336633, 'verified', 2, 1211869202000, 1, 0, 0, 'routine', NULL, 1211869860000, 5, 5),
    ('main', 336634, 'owed', 2, 1211869202000, 0, 0, 0, 'reconcile', NULL, NULL, NULL, NULL),
    ('main', 336630, 'given_up', 2, 1211869202000, 4, 0, 4, 'repeat', NULL, NULL, 0, 1);
UPDATE account SET refused_status = 117 WHERE name = 'former';
UPDATE account SET reconciled_hour = 336635, second_reader_ms = 1211869860000 WHERE name = 'main';
INSERT INTO read (id, account, hour, state, charset, started_ms, deadline_boot, deadline_boot_ms, ended_ms, ending, http_status, body, body_sha256, status, verdict, reason, records, faults, replies_new, missed) VALUES
    (20, 'main', 336633, 'ingested', 'gbk', 1211869860000, 'boot-1', 1600000, 1211869861000, 'announced', 200, NULL, x'f5ca38f748a1d6eaf726b8a42fb575c3c71f1864a8143301782de13da2d9202b', 100, 'proven', NULL, 5, 0, 3, 3);
