-- What a service of version 3 wrote beside: when it last looked for what was kept long enough.
INSERT INTO purge_look (only, last_ms) VALUES (1, 1211870100000);
