-- What a service of version 7 wrote beside: a subscriber that was removed, and one on its way to
-- another name.
INSERT INTO subscriber (name, route, enabled, absent, removed_ms, renamed_to) VALUES
    ('removed', '{"accounts":[],"events":["reply.received"]}', 1, 1, 1211870760000, NULL),
    ('before', '{"accounts":[],"events":["reply.received"]}', 1, 1, NULL, 'gone');
INSERT INTO delivery (id, subscriber, event_seq, trigger, state, created_ms, due_ms, attempts, lease, mobile, replied_at) VALUES
    (70, 'removed', 50, 'auto', 'cancelled', 1211868601000, 1211868601000, 0, 0, '13900000050', 1211868350),
    (71, 'before', 50, 'auto', 'delivered', 1211868601000, 1211868601000, 1, 1, '13900000050', 1211868350);
