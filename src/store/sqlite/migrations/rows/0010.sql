-- What a service of version 10 wrote beside: an answer out of which an erased person was cut, and the
-- tally that keeps the text from coming back.
INSERT INTO read (id, account, hour, state, charset, started_ms, deadline_boot, deadline_boot_ms, ended_ms, ending, http_status, body, body_sha256, status, verdict, reason, records, faults, replies_new, redacted_ms) VALUES
    (100, 'main', 336629, 'ingested', 'gbk', 1211869980000, 'boot-1', 1650000, 1211869981000, 'announced', 200, x'313030', x'edae02fab7e52d67c96a67a1abeb9f73e84bbe44c78ddf885298debf11717b67', 100, 'proven', NULL, 1, 0, 1, 1211870880000);
INSERT INTO tally (identity, account, hour, plain, seen, erased) VALUES (x'5274916c480e4a0981a4d0e0a8472c15d8e40629e8fd6d728fabc0bfc09f498c', 'main', 336638, 1, 0, 1);
