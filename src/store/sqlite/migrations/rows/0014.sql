-- What a service of version 14 wrote beside: an attempt of which a sender told late that had lost its
-- lease, with the number of another.
INSERT INTO attempt (delivery_id, number, started_ms, duration_ms, address, http_status, answer, next, resolve_us, connect_us, tls_us, first_byte_us, trouble) VALUES
    (50, 1, 1211868602000, 1, '192.0.2.1:443', 500, NULL, '{"then":"retry","at":1211868901000,"wait_ms":300000,"asked":false}', 120, 303, NULL, 70,
     '{"kind":"status","status":500}');
