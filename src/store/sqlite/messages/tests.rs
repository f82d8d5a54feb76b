use super::*;
use crate::gateway::charset::Charset;
use crate::gateway::status::Status;
use crate::store::sqlite::schema;

const SECOND_MS: i64 = 1_000;
const NOON: i64 = 1_795_665_600_000;

fn store() -> Connection {
    let mut connection = Connection::open_in_memory().unwrap();
    connection.pragma_update(None, "foreign_keys", true).unwrap();
    schema::bring_up_to_date(&mut connection).unwrap();
    connection
        .execute_batch(
            "INSERT INTO account (name, id_key, settings, login, box)
                 VALUES ('main', x'00', '', x'00', x'00'), ('other', x'00', '', x'00', x'01');",
        )
        .unwrap();
    connection
}

fn mobile(text: &str) -> Mobile {
    Mobile::parse(text).unwrap()
}

fn message(id: &str, calls: &[&[&str]]) -> NewMessage {
    let call = |numbers: &&[&str]| numbers.iter().map(|number| mobile(number)).collect();
    NewMessage {
        id: id.to_owned(),
        account: "main".to_owned(),
        text: "您好".to_owned(),
        charset: Charset::Gbk,
        mid: None,
        at: None,
        calls: calls.iter().map(call).collect(),
        answers: None,
    }
}

fn answer(id: &str, reply: &str, to: &str) -> NewMessage {
    let answers = Answers { reply: reply.to_owned(), subscriber: "crm".to_owned() };
    NewMessage { answers: Some(answers), ..message(id, &[&[to]]) }
}

/// Sends a message's first call at a time, with this outcome.
fn send(connection: &Connection, new: &NewMessage, at: i64, outcome: Outcome) -> MessageSeq {
    let seq = put(connection, new, UnixMs(at)).unwrap().unwrap();
    assert!(begin_call(connection, seq, 0, UnixMs(at)).unwrap());
    end_call(connection, seq, 0, &outcome, UnixMs(at + 1)).unwrap();
    seq
}

fn calls(connection: &Connection) -> String {
    let sql = "SELECT group_concat(concat_ws(' ', message, number, state, status), '; ' ORDER BY message, number)
               FROM message_call";
    connection
        .query_row(sql, [], |row| row.get::<_, Option<String>>(0))
        .unwrap()
        .unwrap_or_default()
}

fn answered_at(connection: &Connection, to: &str, at_ms: i64) -> Option<String> {
    let replied_at = BeijingTime::from_unix_seconds(at_ms / 1000);
    answered(connection, "main", &mobile(to), replied_at).unwrap()
}

#[test]
fn a_call_is_made_once_and_what_became_of_it_is_kept() {
    let connection = store();
    let new = message("msg_a", &[&["13900000001", "13900000002"], &["13900000003"]]);
    let seq = put(&connection, &new, UnixMs(NOON)).unwrap().unwrap();
    assert_eq!(calls(&connection), "1 0 waiting; 1 1 waiting");
    assert!(begin_call(&connection, seq, 0, UnixMs(NOON)).unwrap());
    assert!(!begin_call(&connection, seq, 0, UnixMs(NOON)).unwrap());
    end_call(&connection, seq, 0, &Outcome::Refused(Status(112)), UnixMs(NOON)).unwrap();
    assert!(!begin_call(&connection, seq, 0, UnixMs(NOON)).unwrap());
    assert_eq!(leave_unsent(&connection, seq, UnixMs(NOON)).unwrap(), 1);
    assert_eq!(calls(&connection), "1 0 refused 112; 1 1 unsent");
}

#[test]
fn a_call_whose_process_died_is_unclear_and_not_made_again() {
    let connection = store();
    let seq =
        put(&connection, &message("msg_a", &[&["13900000001"]]), UnixMs(NOON)).unwrap().unwrap();
    begin_call(&connection, seq, 0, UnixMs(NOON)).unwrap();
    let lost = CALL_LOST.as_millis() as i64;
    assert_eq!(close_lost_calls(&connection, UnixMs(NOON + lost)).unwrap(), 0);
    assert_eq!(close_lost_calls(&connection, UnixMs(NOON + lost + 1)).unwrap(), 1);
    assert_eq!(calls(&connection), "1 0 unclear");
    assert!(!begin_call(&connection, seq, 0, UnixMs(NOON)).unwrap());
    // It may have gone out, so that a reply may answer it.
    assert_eq!(answered_at(&connection, "13900000001", NOON).as_deref(), Some("msg_a"));
}

#[test]
fn a_reply_answers_the_last_message_that_went_out_to_its_mobile_before_it() {
    let connection = store();
    let to = "13900000001";
    assert!(!any(&connection).unwrap());
    send(&connection, &message("msg_a", &[&[to]]), NOON, Outcome::Accepted);
    assert!(any(&connection).unwrap());
    let hour = 3_600 * SECOND_MS;
    send(&connection, &message("msg_b", &[&[to]]), NOON + hour, Outcome::Accepted);
    send(&connection, &message("msg_c", &[&[to]]), NOON + 2 * hour, Outcome::Refused(Status(102)));
    send(&connection, &message("msg_d", &[&["13900000002"]]), NOON + 2 * hour, Outcome::Accepted);
    let other = NewMessage { account: "other".to_owned(), ..message("msg_e", &[&[to]]) };
    send(&connection, &other, NOON + 2 * hour, Outcome::Accepted);
    // Made now, and sent by the gateway in five hours.
    let at = Some(BeijingTime::from_unix_seconds((NOON + 5 * hour) / 1000));
    send(&connection, &NewMessage { at, ..message("msg_f", &[&[to]]) }, NOON, Outcome::Accepted);
    for (after, expected) in [
        (-hour, None),
        (0, Some("msg_a")),
        (hour - 3 * 60 * SECOND_MS, Some("msg_a")),
        // Our clock may be ahead of the gateway's.
        (hour - 60 * SECOND_MS, Some("msg_b")),
        (4 * hour, Some("msg_b")),
        (5 * hour, Some("msg_f")),
    ] {
        assert_eq!(answered_at(&connection, to, NOON + after).as_deref(), expected, "{after}");
    }
    assert_eq!(answered_at(&connection, "13900000003", NOON + 9 * hour), None);
}

#[test]
fn a_reply_is_answered_once_and_answers_are_counted_by_who_asked_and_to_whom() {
    let connection = store();
    let first = answer("msg_a", "rpl_1", "13900000001");
    let seq = put(&connection, &first, UnixMs(NOON)).unwrap().unwrap();
    assert!(
        put(&connection, &answer("msg_b", "rpl_1", "13900000001"), UnixMs(NOON)).unwrap().is_none()
    );
    assert!(waiting_answer(&connection, "other").unwrap().is_none());
    let waiting = waiting_answer(&connection, "main").unwrap().unwrap();
    assert_eq!(
        (waiting.seq, waiting.mobile.as_str(), waiting.id.as_str()),
        (seq, "13900000001", "msg_a")
    );
    begin_call(&connection, seq, 0, UnixMs(NOON)).unwrap();
    end_call(&connection, seq, 0, &Outcome::Accepted, UnixMs(NOON)).unwrap();
    assert!(waiting_answer(&connection, "main").unwrap().is_none());
    send(
        &connection,
        &answer("msg_c", "rpl_2", "13900000002"),
        NOON,
        Outcome::Refused(Status(102)),
    );
    let held =
        put(&connection, &answer("msg_d", "rpl_3", "13900000001"), UnixMs(NOON)).unwrap().unwrap();
    let waiting = waiting_answer(&connection, "main").unwrap().unwrap();
    let sent = |after: i64| {
        answers_sent(&connection, &waiting, Duration::from_mins(1), UnixMs(NOON + after)).unwrap()
    };
    assert_eq!(sent(1), AnswersSent { lately: 1, today: 1, to_mobile: 1 });
    assert_eq!(sent(60 * SECOND_MS), AnswersSent { lately: 0, today: 1, to_mobile: 1 });
    // At noon of the next day.
    assert_eq!(sent(24 * 3_600 * SECOND_MS), AnswersSent::default());
    withhold(&connection, held, "budget", UnixMs(NOON)).unwrap();
    assert_eq!(calls(&connection), "1 0 accepted 100; 3 0 refused 102; 4 0 withheld");
}

#[test]
fn an_erased_number_leaves_nothing_and_others_keep_their_message() {
    let connection = store();
    let both = message("msg_a", &[&["13900000001", "13900000002"]]);
    send(&connection, &both, NOON, Outcome::Accepted);
    send(&connection, &message("msg_b", &[&["13900000001"]]), NOON, Outcome::Accepted);
    let waiting = answer("msg_c", "rpl_1", "13900000001");
    put(&connection, &waiting, UnixMs(NOON)).unwrap();
    assert_eq!(erase(&connection, &mobile("13900000001")).unwrap(), 3);
    let kept = "SELECT group_concat(id) FROM message";
    let kept: String = connection.query_row(kept, [], |row| row.get(0)).unwrap();
    assert_eq!((kept.as_str(), calls(&connection).as_str()), ("msg_a", "1 0 accepted 100"));
    let left: i64 = connection
        .query_row("SELECT count(*) FROM recipient WHERE mobile = '13900000001'", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(left, 0);
    assert!(waiting_answer(&connection, "main").unwrap().is_none());
}

#[test]
fn what_a_dead_process_left_behind_was_not_sent_and_answers_still_wait() {
    let connection = store();
    let minutes = 60_000;
    let old = NOON - 10 * minutes;
    let put = |seq: i64, created: i64, reply: &str, calls: &str| {
        let sql = format!(
            "INSERT INTO message (seq, id, account, text, charset, created_ms, reply_id)
                 VALUES ({seq}, 'msg_{seq}', 'main', 'a', 'gbk', {created}, {reply});
             INSERT INTO message_call (message, number, state, ended_ms) VALUES {calls}"
        );
        connection.execute_batch(&sql).unwrap();
    };
    put(101, old, "NULL", &format!("(101, 0, 'accepted', {old}), (101, 1, 'waiting', NULL)"));
    put(
        102,
        old,
        "NULL",
        &format!("(102, 0, 'accepted', {}), (102, 1, 'waiting', NULL)", NOON - 1),
    );
    put(103, old, "NULL", &format!("(103, 0, 'unclear', {}), (103, 1, 'waiting', NULL)", NOON - 1));
    put(104, NOON - 1, "NULL", "(104, 0, 'waiting', NULL)");
    put(105, old, "'rpl_105'", "(105, 0, 'waiting', NULL)");
    close_lost_calls(&connection, UnixMs(NOON)).unwrap();
    let left =
        "SELECT group_concat(message || ' ' || state, ', ' ORDER BY message) FROM message_call
                WHERE message > 100 AND (number = 1 OR message > 103)";
    let left: String = connection.query_row(left, [], |row| row.get(0)).unwrap();
    assert_eq!(left, "101 unsent, 102 waiting, 103 unsent, 104 waiting, 105 waiting");
}
