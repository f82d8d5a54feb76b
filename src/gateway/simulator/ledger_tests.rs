use std::time::Duration;

use super::*;
use crate::time::Hour;

const UID: &str = "9999";
const LOGIN: Login<'static> = Login { uid: UID, pwd: "fa246d0262c3925617b0c72bb20eeb1d" };
const INTERVAL_MS: i64 = 600_000;

/// The provider's two replies, as they stand in its document.
const EXAMPLE: &[u8] = b"100{&}13912341234||\
    \xd6\xd0\xb9\xfa\xb6\xcc\xd0\xc5\xb2\xe2\xca\xd4\xbb\xd8\xb8\xb4||\
    2008-05-27 12:10:11||1068112227282{&}15912343333||\
    \xd6\xd0\xb9\xfa\xb6\xcc\xd0\xc5\xb2\xe2\xca\xd4\xbb\xd8\xb8\xb42||\
    2008-05-27 13:11:11||106811222728200";

/// A ledger and a time that goes on by itself: each read comes a whole interval after the last.
struct Gateway {
    ledger: Ledger,
    now: UnixMs,
}

impl Gateway {
    fn new(habits: Habits) -> Self {
        let ledger = Ledger::new(habits, vec![NewAccount::example()]);
        Self { ledger, now: UnixMs(1_211_900_000_000) }
    }

    /// With the document's two replies in the box.
    fn with_example(habits: Habits) -> Self {
        let mut gateway = Self::new(habits);
        for (mobile, content, replied_at, number) in [
            ("13912341234", "中国短信测试回复", "2008-05-27 12:10:11", "1068112227282"),
            ("15912343333", "中国短信测试回复2", "2008-05-27 13:11:11", "106811222728200"),
        ] {
            let reply = NewReply::text(mobile, content, replied_at.parse().unwrap(), number);
            gateway.ledger.arrive(UID, reply);
        }
        gateway
    }

    fn begin(&mut self, asked: Asked, by: AnsweredBy) -> BegunRead {
        let read = Read { login: LOGIN, asked, charset: Charset::Gbk, by };
        self.ledger.begin_read(&read, self.now)
    }

    fn end(&mut self, ticket: Ticket, ending: Ending) -> ReadRequest {
        self.ledger.end_read(ticket, ending, self.now).unwrap()
    }

    /// A read at a time at which it is due; gives the body and how many replies it held.
    fn read(&mut self, asked: Asked, ending: Ending) -> (Vec<u8>, usize) {
        self.now.0 += INTERVAL_MS;
        let begun = self.begin(asked, AnsweredBy::Gateway);
        let request = self.end(begun.ticket, ending);
        assert!(!request.early);
        (begun.body, request.handed_out)
    }

    fn waiting(&self) -> usize {
        self.ledger.waiting(UID)
    }
}

fn hour(text: &str) -> Asked {
    Asked::Hour(text.parse::<Hour>().unwrap())
}

#[test]
fn the_documents_example_is_answered_byte_for_byte() {
    let mut gateway = Gateway::with_example(Habits::default());
    assert_eq!(gateway.read(Asked::Plain, Ending::Whole), (EXAMPLE.to_vec(), 2));
    assert_eq!(gateway.read(Asked::Plain, Ending::Whole), (Vec::new(), 0));
}

#[test]
fn replies_leave_the_box_when_the_habit_says() {
    // In the box after the request, after the answer; handed out by the next read; by the third.
    for (consume, ending, expected) in [
        (Consume::AtRequest, Ending::Whole, [0, 0, 0, 0]),
        (Consume::AtRequest, Ending::Broken, [0, 0, 0, 0]),
        (Consume::AtLastByte, Ending::Whole, [2, 0, 0, 0]),
        (Consume::AtLastByte, Ending::Broken, [2, 2, 2, 0]),
        (Consume::AtNextRead, Ending::Whole, [2, 2, 0, 0]),
        (Consume::AtNextRead, Ending::Broken, [2, 2, 2, 0]),
    ] {
        let mut gateway = Gateway::with_example(Habits { consume, ..Habits::default() });
        let begun = gateway.begin(Asked::Plain, AnsweredBy::Gateway);
        let at_request = gateway.waiting();
        gateway.end(begun.ticket, ending);
        let at_end = gateway.waiting();
        let next = gateway.read(Asked::Plain, Ending::Whole).1;
        let third = gateway.read(Asked::Plain, Ending::Whole).1;
        assert_eq!([at_request, at_end, next, third], expected, "{consume:?} {ending:?}");
        let whole = u32::from(ending == Ending::Whole) + u32::from(next > 0);
        assert_eq!(gateway.ledger.replies()[0].handed_out, whole, "{consume:?} {ending:?}");
    }
}

#[test]
fn what_was_handed_out_whole_is_dropped_though_a_later_answer_breaks() {
    let mut gateway =
        Gateway::with_example(Habits { consume: Consume::AtNextRead, ..Habits::default() });
    assert_eq!(gateway.read(Asked::Plain, Ending::Whole).1, 2);
    let late = NewReply::text("13900000001", "晚", UnixMs(0).beijing(), "");
    gateway.ledger.arrive(UID, late);
    assert_eq!(gateway.read(Asked::Plain, Ending::Broken).1, 1);
    assert_eq!(gateway.read(Asked::Plain, Ending::Whole).1, 1);
    assert_eq!(gateway.waiting(), 1, "it stays until the next read");
    assert_eq!(gateway.read(Asked::Plain, Ending::Whole).1, 0);
    assert_eq!(gateway.waiting(), 0);
}

#[test]
fn an_hour_comes_as_often_as_asked_and_marks_by_habit() {
    for habits in Habits::all() {
        let mut gateway = Gateway::with_example(habits);
        for _ in 0..3 {
            assert_eq!(gateway.read(hour("2008-05-27_12"), Ending::Whole).1, 1, "{habits:?}");
        }
        assert_eq!(gateway.read(hour("2008-05-27_14"), Ending::Whole), (Vec::new(), 0));
        assert_eq!(gateway.ledger.replies()[0].handed_out, 0, "only plain answers are counted");
        let plain = gateway.read(Asked::Plain, Ending::Whole).1;
        let left = if habits.time_marks == TimeMarks::Read { 1 } else { 2 };
        assert_eq!(plain, left, "{habits:?}");
        assert_eq!(gateway.read(hour("2008-05-27_12"), Ending::Whole).1, 1, "{habits:?}");
    }
}

#[test]
fn an_hour_that_broke_marks_only_at_request() {
    for habits in Habits::all() {
        let mut gateway = Gateway::with_example(habits);
        gateway.read(hour("2008-05-27_12"), Ending::Broken);
        let marks = habits.time_marks == TimeMarks::Read && habits.consume == Consume::AtRequest;
        let plain = gateway.read(Asked::Plain, Ending::Whole).1;
        assert_eq!(plain, if marks { 1 } else { 2 }, "{habits:?}");
    }
}

#[test]
fn a_read_is_early_until_an_interval_after_the_last_ones_end() {
    for habits in Habits::all() {
        let mut gateway = Gateway::new(habits);
        let first = gateway.begin(Asked::Plain, AnsweredBy::Gateway);
        gateway.now.0 += 5_000;
        gateway.end(first.ticket, Ending::Broken);
        let late = NewReply::text("13900000001", "好", UnixMs(0).beijing(), "");
        gateway.ledger.arrive(UID, late);
        gateway.now.0 += INTERVAL_MS - 1;
        for asked in [Asked::Plain, hour("1970-01-01_08")] {
            let early = gateway.begin(asked, AnsweredBy::Gateway);
            let request = gateway.end(early.ticket, Ending::Whole);
            let expected = match habits.too_early {
                TooEarly::TooFrequent => "107",
                TooEarly::OperationFailed => "103",
                TooEarly::Empty => "",
            };
            assert_eq!(early.body, expected.as_bytes(), "{habits:?}");
            assert!(request.early && request.handed_out == 0);
            assert_eq!(gateway.waiting(), 1);
        }
        gateway.now.0 += 1;
        let due = gateway.begin(Asked::Plain, AnsweredBy::Gateway);
        assert!(due.body.starts_with(b"100{&}"), "early reads put nothing off");
        assert_eq!(gateway.ledger.early_reads(), 2);
        let meanwhile = gateway.begin(Asked::Plain, AnsweredBy::Gateway);
        assert!(gateway.end(meanwhile.ticket, Ending::Whole).early, "the last has not ended");
    }
}

#[test]
fn what_is_refused_at_the_door_starts_no_interval() {
    let mut gateway = Gateway::with_example(Habits::default());
    for (login, asked, status, expected) in [
        (Login { pwd: "", ..LOGIN }, Asked::Plain, None, "101"),
        (Login { uid: "9998", ..LOGIN }, Asked::Plain, None, "101"),
        (LOGIN, Asked::BadHour, None, "103"),
        (LOGIN, Asked::Plain, Some(Status::FROZEN), "109"),
    ] {
        gateway.ledger.set_status(UID, status);
        let read = Read { login, asked, charset: Charset::Gbk, by: AnsweredBy::Gateway };
        let begun = gateway.ledger.begin_read(&read, gateway.now);
        assert_eq!(begun.body, expected.as_bytes());
        gateway.end(begun.ticket, Ending::Whole);
    }
    gateway.ledger.set_status(UID, None);
    assert_eq!(gateway.begin(Asked::Plain, AnsweredBy::Gateway).body, EXAMPLE);
    assert_eq!(gateway.ledger.early_reads(), 0);
}

#[test]
fn an_answer_from_elsewhere_consumes_nothing_and_starts_the_interval() {
    for habits in Habits::all() {
        let mut gateway = Gateway::with_example(habits);
        let begun = gateway.begin(Asked::Plain, AnsweredBy::Elsewhere(None));
        gateway.end(begun.ticket, Ending::Whole);
        assert_eq!(gateway.waiting(), 2);
        let early = gateway.begin(Asked::Plain, AnsweredBy::Gateway);
        assert!(gateway.end(early.ticket, Ending::Whole).early);
        assert_eq!(gateway.read(Asked::Plain, Ending::Whole).1, 2, "{habits:?}");
    }
}

#[test]
fn a_cache_has_whole_answers_to_the_same_question() {
    let mut gateway = Gateway::with_example(Habits::default());
    assert_eq!(gateway.ledger.cached(LOGIN, Asked::Plain), None);
    gateway.read(hour("2008-05-27_13"), Ending::Broken);
    assert_eq!(gateway.ledger.cached(LOGIN, hour("2008-05-27_13")), None);
    gateway.read(Asked::Plain, Ending::Whole);
    let (of_hour, _) = gateway.read(hour("2008-05-27_13"), Ending::Whole);
    let elsewhere = gateway.begin(Asked::Plain, AnsweredBy::Elsewhere(None));
    gateway.end(elsewhere.ticket, Ending::Whole);
    assert_eq!(gateway.ledger.cached(LOGIN, Asked::Plain).as_deref(), Some(EXAMPLE));
    assert_eq!(gateway.ledger.cached(LOGIN, hour("2008-05-27_13")), Some(of_hour));
    assert_eq!(gateway.ledger.cached(LOGIN, hour("2008-05-27_12")), None);
    assert_eq!(gateway.ledger.cached(Login { pwd: "", ..LOGIN }, Asked::Plain), None);
}

#[test]
fn a_reply_may_hold_any_bytes_and_any_character() {
    let mut gateway = Gateway::new(Habits::default());
    let at = "2008-05-27 12:10:11".parse().unwrap();
    let torn = NewReply { content: b"\xc4".to_vec(), ..NewReply::text("10086", "", at, "") };
    gateway.ledger.arrive(UID, torn);
    gateway.ledger.arrive(UID, NewReply::text("10086", "😀", at, ""));
    let (body, _) = gateway.read(Asked::Plain, Ending::Whole);
    let expected = b"100{&}10086||\xc4||2008-05-27 12:10:11||{&}10086||\x94\x39\xfc\x36||2008-05-27 12:10:11||";
    assert_eq!(body, expected);
    let read = Read {
        login: LOGIN,
        asked: hour("2008-05-27_12"),
        charset: Charset::Utf8,
        by: AnsweredBy::Gateway,
    };
    gateway.now.0 += INTERVAL_MS;
    let utf8 = String::from_utf8(gateway.ledger.begin_read(&read, gateway.now).body).unwrap();
    assert!(utf8.contains("||\u{fffd}||") && utf8.contains("||😀||"), "{utf8}");
}

#[test]
fn accounts_are_apart() {
    let other = NewAccount { uid: "8888".into(), pwd: "0".repeat(32), ..NewAccount::example() };
    let mut ledger = Ledger::new(Habits::default(), vec![NewAccount::example(), other.clone()]);
    let reply = NewReply::text("13900000001", "好", UnixMs(0).beijing(), "");
    ledger.arrive(UID, reply.clone());
    ledger.arrive("7777", reply);
    let now = UnixMs(0);
    for (login, waiting) in [(Login { uid: "8888", pwd: &other.pwd }, 0), (LOGIN, 1)] {
        assert_eq!(ledger.waiting(login.uid), waiting);
        for asked in [hour("1970-01-01_08"), Asked::Plain] {
            let now = if asked == Asked::Plain { now.after(Duration::from_mins(10)) } else { now };
            let read = Read { login, asked, charset: Charset::Gbk, by: AnsweredBy::Gateway };
            let begun = ledger.begin_read(&read, now);
            let request = ledger.end_read(begun.ticket, Ending::Whole, now).unwrap();
            assert_eq!((request.handed_out, request.early), (waiting, false), "{asked:?}");
        }
    }
    assert_eq!(ledger.early_reads(), 0, "each account has its own interval");
}

#[test]
fn sending_costs_one_per_number_or_nothing() {
    let account = NewAccount { balance: 3, ..NewAccount::example() };
    let mut ledger = Ledger::new(Habits::default(), vec![account]);
    let message = Message {
        mobiles: vec!["13900000001".into(), "13900000002".into()],
        content: "你好".into(),
        send_at: None,
        mid: None,
    };
    let now = UnixMs(5);
    let sent = ledger.send(LOGIN, message.clone(), now).unwrap();
    assert_eq!(sent, Sent { uid: UID.into(), at: now, message: message.clone() });
    assert_eq!(ledger.send(LOGIN, message.clone(), now), Err(OUT_OF_CREDIT));
    assert_eq!(ledger.send(Login { pwd: "", ..LOGIN }, message, now), Err(Status::LOGIN_FAILED));
    assert_eq!((ledger.balance(UID), ledger.sent_count(UID), ledger.sent().count()), (1, 2, 1));
}

#[test]
fn the_list_of_requests_is_bounded_and_endings_find_their_place() {
    let mut gateway = Gateway::new(Habits::default());
    let first = gateway.begin(Asked::BadHour, AnsweredBy::Gateway);
    for _ in 1..RECORDS_MAX {
        let begun = gateway.begin(Asked::BadHour, AnsweredBy::Gateway);
        gateway.end(begun.ticket, Ending::Whole);
    }
    let last = gateway.begin(Asked::Plain, AnsweredBy::Gateway);
    assert_eq!(gateway.ledger.requests().count(), RECORDS_MAX);
    assert_eq!(gateway.ledger.end_read(first.ticket, Ending::Whole, gateway.now), None);
    assert_eq!(gateway.end(last.ticket, Ending::Broken).asked, Asked::Plain);
    assert_eq!(gateway.ledger.requests().last().unwrap().ending, Ending::Broken);
    assert_eq!(gateway.ledger.end_read(last.ticket, Ending::Whole, gateway.now), None);
}
