use super::*;
use crate::store::sqlite::schema;

const DATE: &str = "2008-05-27 12:10:11";

fn mine() -> Mobile {
    Mobile::parse("13900000001").unwrap()
}

/// A store with one account, and a read of each state whose body holds the number.
fn store() -> Connection {
    let mut connection = Connection::open_in_memory().unwrap();
    connection.pragma_update(None, "foreign_keys", true).unwrap();
    schema::bring_up_to_date(&mut connection).unwrap();
    connection
        .execute(
            "INSERT INTO account (name, id_key, settings, login, box) VALUES ('main', ?1, '', x'00', x'00')",
            [[7_u8; 32]],
        )
        .unwrap();
    for (id, state) in [(1, "ingested"), (2, "received")] {
        let body =
            format!("100{{&}}+8613900000001||a||{DATE}||1069{{&}}13900000002||b||{DATE}||1069");
        connection
            .execute(
                "INSERT INTO read (id, account, state, charset, started_ms, deadline_boot, deadline_boot_ms, body,
                                   body_sha256) VALUES (?1, 'main', ?2, 'gbk', 1, '', 1, ?3, x'01')",
                params![id, state, body.as_bytes()],
            )
            .unwrap();
    }
    connection
}

fn text(connection: &Connection, sql: &str) -> String {
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// Erases all that is found; what that was.
fn erase_all(connection: &Connection) -> Found {
    let found = find(connection, &mine()).unwrap();
    for piece in &found.pieces {
        erase(connection, &mine(), piece, UnixMs(9)).unwrap();
    }
    found
}

#[test]
fn a_body_that_was_taken_in_is_redacted_and_one_that_was_not_is_told_of() {
    let connection = store();
    let found = erase_all(&connection);
    assert_eq!((found.holding.bodies, found.not_taken_in), (1, 1));
    let sql = "SELECT concat_ws(' ', CAST(body AS TEXT), redacted_ms, hex(body_sha256)) FROM read WHERE id = 1";
    assert_eq!(text(&connection, sql), format!("100{{&}}13900000002||b||{DATE}||1069 9 01"));
    assert!(
        text(&connection, "SELECT CAST(body AS TEXT) FROM read WHERE id = 2")
            .contains("13900000001")
    );
    let again = erase_all(&connection);
    assert_eq!((again.holding, again.not_taken_in), (Holding::default(), 1));
}

#[test]
fn a_record_that_waits_leaves_a_tally_that_keeps_it_away() {
    let connection = store();
    let put = "INSERT INTO waiting_record (read_id, account, copies, release_ms, mobile, replied_at, content, gateway)
               VALUES (1, 'main', 2, 1, ?1, 1211861411, x'61ff', '10')";
    connection.execute(put, [mine().as_str()]).unwrap();
    connection.execute(put, ["13900000002"]).unwrap();
    let found = erase_all(&connection);
    assert_eq!(found.holding.waiting_records, 1);
    assert_eq!(text(&connection, "SELECT group_concat(mobile) FROM waiting_record"), "13900000002");
    let key = IdKey::from_stored([7; 32]);
    let replied_at = BeijingTime::from_unix_seconds(1_211_861_411);
    let of = Fingerprint { account: "main", mobile: &mine(), replied_at, content: b"a\xff" };
    let expected =
        format!("{} {} 0 2", hex::encode_upper(key.identity(of).0), replied_at.hour().number());
    let tally =
        "SELECT concat_ws(' ', hex(identity), hour, plain, seen) FROM tally WHERE erased = 1";
    assert_eq!(text(&connection, tally), expected);
    // One that was counted before keeps the larger count.
    connection.execute("UPDATE tally SET plain = 3, seen = 4", []).unwrap();
    connection.execute(put, [mine().as_str()]).unwrap();
    erase_all(&connection);
    assert_eq!(text(&connection, tally), expected.replace(" 0 2", " 3 4"));
    connection.execute("UPDATE tally SET plain = 1, seen = 1, erased = 0", []).unwrap();
    connection.execute(put, [mine().as_str()]).unwrap();
    erase_all(&connection);
    assert_eq!(text(&connection, tally), expected.replace(" 0 2", " 1 2"));
}

#[test]
fn faults_and_answers_lose_their_bytes_only_where_they_hold_the_number_as_a_whole() {
    let connection = store();
    connection
        .execute_batch(
            "INSERT INTO subscriber (name, route, enabled) VALUES ('crm', '{}', 1);
             INSERT INTO event (seq, id, type, body, mobile) VALUES (1, 'rpl_1', 'reply.received', '{}', '13900000002');
             INSERT INTO delivery (id, subscriber, event_seq, trigger, state, created_ms, due_ms, mobile)
                 VALUES (1, 'crm', 1, 'auto', 'delivered', 1, 1, '13900000002');
             INSERT INTO attempt (delivery_id, number, started_ms, duration_ms, answer, next)
                 VALUES (1, 1, 1, 1, CAST('I had 13900000001 before' AS BLOB), ''),
                        (1, 2, 1, 1, CAST('no 139000000012' AS BLOB), '');
             INSERT INTO fault (read_id, offset, kind, bytes)
                 VALUES (1, 0, 'no_end', CAST('008613900000001||cut' AS BLOB)),
                        (1, 9, 'no_end', CAST('913900000001||cut' AS BLOB));",
        )
        .unwrap();
    let found = erase_all(&connection);
    assert_eq!((found.holding.faults, found.holding.answers), (1, 1));
    assert_eq!(text(&connection, "SELECT group_concat(length(bytes)) FROM fault"), "0,17");
    assert_eq!(
        text(&connection, "SELECT group_concat(coalesce(length(answer), '-')) FROM attempt"),
        "-,15"
    );
}

#[test]
fn what_became_anothers_since_the_look_stays() {
    let connection = store();
    connection
        .execute_batch(
            "INSERT INTO reply (seq, id, identity, occurrence, account, mobile, replied_at, content, gateway, read_id,
                                kept_ms)
                 VALUES (1, 'rpl_1', x'01', 1, 'main', '13900000001', 1, 'a', '', 1, 1),
                        (2, 'rpl_2', x'02', 1, 'main', '13900000002', 1, 'ask 13900000001', '', 1, 1);
             INSERT INTO event (id, type, body, mobile) VALUES ('rpl_1', 'reply.received', '{}', '13900000001'),
                                                              ('rpl_2', 'reply.received', '{}', '13900000002'),
                                                              ('rpn_9', 'reply.received', '{}', '13900000001');
             UPDATE event SET replay_of = 'rpl_9' WHERE id = 'rpn_9';",
        )
        .unwrap();
    erase(&connection, &mine(), &Piece::Replies(vec![2]), UnixMs(9)).unwrap();
    erase(&connection, &mine(), &Piece::Events(vec![2]), UnixMs(9)).unwrap();
    assert_eq!(text(&connection, "SELECT group_concat(id) FROM reply"), "rpl_1,rpl_2");
    let found = erase_all(&connection);
    assert_eq!((found.holding.replies, found.mentions), (1, 1));
    assert_eq!(text(&connection, "SELECT group_concat(id) FROM reply"), "rpl_2");
    assert_eq!(text(&connection, "SELECT group_concat(id) FROM event WHERE id != 'none'"), "rpl_2");
}

#[test]
fn an_answer_that_holds_an_erased_text_again_is_redacted_when_it_is_taken_in() {
    let connection = store();
    let (mine, hers) = (mine(), Mobile::parse("13900000002").unwrap());
    let at = BeijingTime::from_unix_seconds(1_211_861_411);
    let (erased, other) = (Identity([1; 32]), Identity([2; 32]));
    connection
        .execute_batch(
            "INSERT INTO tally (identity, account, hour, plain, seen) VALUES (zeroblob(32), 'main', 1, 1, 0)",
        )
        .unwrap();
    let redacted = |writers: &[(Identity, Mobile, BeijingTime)]| {
        redact_erased(&connection, ReadId(1), writers, UnixMs(9)).unwrap();
        text(
            &connection,
            "SELECT concat(redacted_ms, ' ', instr(body, '13900000001') > 0) FROM read WHERE id = 1",
        )
    };
    let writers = [(other, hers, at), (erased, mine.clone(), at)];
    assert_eq!(redacted(&writers), " 1");
    let put = "INSERT INTO tally (identity, account, hour, plain, seen, erased) VALUES (?1, 'main', 1, 1, 0, 1)";
    connection.execute(put, [erased.0]).unwrap();
    // Another text of the same person's alone says nothing of this answer.
    assert_eq!(redacted(&[(other, mine, at)]), " 1");
    assert_eq!(redacted(&writers), "9 0");
}
