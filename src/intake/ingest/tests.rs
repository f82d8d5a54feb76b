use std::time::Duration;

use super::*;
use crate::event::EventType;
use crate::gateway::client::Ending;
use crate::route::Route;
use crate::store::hour::{Cause, Gap, HourChange, HourRow, HourState};
use crate::store::read::{Missed, ReadId, Standing};
use crate::time::millis;

const NOW: &str = "2026-11-22 10:30:00";

fn at(text: &str) -> UnixMs {
    text.parse::<BeijingTime>().unwrap().unix_ms()
}

fn account() -> Account {
    Account {
        name: "main".to_owned(),
        settings: AccountSettings {
            number: Some("1069".to_owned()),
            min_interval: Duration::from_mins(10),
            recover: Duration::from_hours(1),
            schedule: "0 */10 * * * *".to_owned(),
        },
        key: IdKey::from_secret(b"a key"),
    }
}

fn read(hour: Option<&str>, ending: Ending, body: &str) -> OpenRead {
    OpenRead {
        id: ReadId(7),
        account: "main".to_owned(),
        hour: hour.map(|hour| hour.parse().unwrap()),
        charset: Charset::Gbk,
        answered: true,
        started: at(NOW),
        ended: Some(at(NOW)),
        ending,
        http_status: Some(200),
        error: None,
        body: Charset::Gbk.encode(body).unwrap(),
    }
}

fn decide(read: &OpenRead, known: &Known) -> Outcome {
    prepare(read, account(), at(NOW)).decide(known)
}

fn record(content: &str, gateway: &str) -> String {
    format!("{{&}}13900000001||{content}||2026-11-22 10:20:00||{gateway}")
}

fn plain(records: &[String], ending: Ending) -> OpenRead {
    read(None, ending, &format!("100{}", records.concat()))
}

/// The replies of an outcome: content, gateway number, occurrence.
fn replies(outcome: &Outcome) -> Vec<(&str, &str, u32)> {
    let mut replies = Vec::new();
    for NewReply { reply, .. } in &outcome.replies {
        replies.push((reply.content.as_str(), reply.gateway.as_str(), reply.occurrence));
    }
    replies
}

fn owed(outcome: &Outcome) -> Vec<String> {
    let hour = |change: &HourChange| match change {
        HourChange::Owe(owed) => owed.hour.to_string(),
        HourChange::Set(row) => format!("{} {}", row.hour, row.state.as_str()),
    };
    outcome.hours.iter().map(hour).collect()
}

#[test]
fn a_proven_read_makes_replies_for_those_who_want_them() {
    let known = Known {
        subscribers: vec![
            ("all".to_owned(), Route::default()),
            ("other".to_owned(), Route { accounts: vec!["other".to_owned()], ..Route::default() }),
            ("main".to_owned(), Route { accounts: vec!["main".to_owned()], ..Route::default() }),
        ],
        ..Known::default()
    };
    let outcome = decide(&plain(&[record("好", "106907")], Ending::Announced), &known);
    assert_eq!(outcome.verdict, Verdict::Proven);
    assert_eq!(replies(&outcome), [("好", "106907", 1)]);
    assert_eq!(outcome.replies[0].subscribers, [0, 2]);
    assert_eq!(outcome.replies[0].reply.extension.as_deref(), Some("07"));
    assert!(outcome.replies[0].event.contains(r#""content":"好""#));
    assert!(outcome.hours.is_empty() && outcome.waiting.is_none());
}

#[test]
fn the_event_is_masked_only_for_those_who_want_the_reply_and_no_numbers() {
    let masking = Route { mask: true, ..Route::default() };
    let elsewhere = Route { accounts: vec!["other".to_owned()], ..masking.clone() };
    for (second, is_masked) in [(Route::default(), false), (elsewhere, false), (masking, true)] {
        let subscribers = [Route::default(), second].map(|route| (String::new(), route)).to_vec();
        let known = Known { subscribers, ..Known::default() };
        let outcome = decide(&plain(&[record("好", "106907")], Ending::Announced), &known);
        let new = &outcome.replies[0];
        assert_eq!(new.event, event::reply_received(&new.reply));
        let masked = is_masked.then(|| event::reply_received_masked(&new.reply));
        assert_eq!(new.masked_event, masked);
    }
}

#[test]
fn what_a_subscriber_wants_is_decided_when_it_is_kept() {
    let body = plain(&[record("好", "1069")], Ending::Announced);
    let replied_at = decide(&body, &Known::default()).replies[0].reply.replied_at.unix_ms();
    let minute = Duration::from_mins(1);
    let young = Route { since_ms: Some(millis(minute)), ..Route::default() };
    let known = |now| {
        let subscribers = vec![("crm".to_owned(), young.clone())];
        Known { now, subscribers, ..Known::default() }
    };
    assert_eq!(decide(&body, &known(replied_at.after(minute))).replies[0].subscribers, [0]);
    let later = decide(&body, &known(replied_at.after(minute * 2)));
    assert!(later.replies[0].subscribers.is_empty());
}

#[test]
fn the_extension_is_what_follows_the_accounts_number() {
    for (gateway, extension) in
        [("1069", None), ("10", None), ("", None), ("106900", Some("00")), ("955", None)]
    {
        let outcome =
            decide(&plain(&[record("好", gateway)], Ending::Announced), &Known::default());
        assert_eq!(outcome.replies[0].reply.extension.as_deref(), extension, "{gateway:?}");
    }
}

#[test]
fn what_cannot_be_read_is_marked_and_its_bytes_are_kept() {
    let mut cut = plain(&[record("X", "1069")], Ending::Announced);
    let place = cut.body.iter().position(|byte| *byte == b'X').unwrap();
    cut.body[place] = 0xc4;
    let outcome = decide(&cut, &Known::default());
    assert_eq!(outcome.replies[0].reply.content, "\u{fffd}");
    assert_eq!(outcome.replies[0].reply.content_raw.as_deref(), Some(&[0xc4][..]));
    assert!(outcome.replies[0].event.contains(r#""lossy":true"#));
}

#[test]
fn the_last_record_of_a_cut_body_waits_when_its_number_is_new() {
    let cut = plain(&[record("a", "106907"), record("b", "1069")], Ending::Cut);
    let outcome = decide(&cut, &Known::default());
    assert_eq!(replies(&outcome), [("a", "106907", 1)]);
    let waiting = outcome.waiting.unwrap();
    assert_eq!((waiting.gateway.as_str(), waiting.copies), ("1069", 1));
    assert_eq!(waiting.release, at("2026-11-22 10:50:00"));
    // The account has the number, so it is whole: or the body shows that it is.
    let known = Known { gateway_known: true, ..Known::default() };
    assert_eq!(decide(&cut, &known).replies.len(), 2);
    let followed = plain(&[record("a", "106907"), record("b", "1069{&}")], Ending::Cut);
    assert_eq!(decide(&followed, &Known::default()).replies.len(), 2);
    let whole = plain(&[record("b", "1069")], Ending::Announced);
    assert_eq!(decide(&whole, &Known::default()).replies.len(), 1);
    // No digits at all may be the beginning of any number.
    let empty = plain(&[record("b", "")], Ending::Connection);
    assert!(decide(&empty, &known).waiting.is_some());
}

#[test]
fn a_record_that_waited_is_kept_unless_its_hour_told_of_it() {
    let cut = plain(&[record("b", "106907"), record("b", "10")], Ending::Cut);
    let first = decide(&cut, &Known::default());
    assert_eq!(replies(&first), [("b", "106907", 1)]);
    let waiting = first.waiting.unwrap();
    assert_eq!(waiting.copies, 2);
    let (identity, _, tally) = first.tallies[0].clone();
    let known = |tally: Tally| Known { tallies: [(identity, tally)].into(), ..Known::default() };

    let released = release(&waiting, account()).decide(&known(tally.clone()));
    assert_eq!(replies(&released), [("b", "10", 2)]);
    assert!(released.hours.is_empty() && released.standing == Standing::Unknown);

    let hour = read(
        Some("2026-11-22_10"),
        Ending::Announced,
        &format!("100{}{}", record("b", "106907"), record("b", "106908")),
    );
    let told = decide(&hour, &known(tally));
    assert_eq!(replies(&told), [("b", "106908", 2)]);
    let released = release(&waiting, account()).decide(&known(told.tallies[0].2.clone()));
    assert!(released.replies.is_empty());
}

#[test]
fn an_hour_holds_its_last_record_where_nothing_announces_an_end() {
    for (gateway, gateway_known) in [("", true), ("", false), ("1069", true), ("1069", false)] {
        let body = format!("100{{&}}13900000001||b||2026-11-22 09:20:00||{gateway}");
        let hour = read(Some("2026-11-22_09"), Ending::Connection, &body);
        let known =
            Known { unannounced: 6, hour: Some(owed_row()), gateway_known, ..Known::default() };
        let first = decide(&hour, &known);
        assert_eq!((owed(&first), first.missing), (vec!["2026-11-22_09 owed".to_owned()], 0));
        // It waits where its number may be cut, and is then kept as it is.
        let waiting = first.waiting.as_ref();
        let kept = waiting.map(|record| release(record, account()).decide(&Known::default()));
        let (identity, _, tally) = kept.as_ref().unwrap_or(&first).tallies[0].clone();
        let known = Known {
            tallies: [(identity, tally)].into(),
            copies_of_hour: vec![(identity, 1)],
            hour_same_before: Some((ReadId(6), at("2026-11-22 10:20:00"))),
            ..known
        };
        let second = decide(&hour, &known);
        assert_eq!(owed(&second), ["2026-11-22_09 verified"], "{gateway:?} {gateway_known}");
        assert_eq!((second.replies.len(), second.missing), (0, 0));
        let HourChange::Set(row) = second.hours[0] else { panic!("not settled") };
        assert_eq!((row.held, row.known), (Some(1), Some(1)));
    }
}

/// The replies of an outcome: who wrote, the content and its mark.
fn suspects(outcome: &Outcome) -> Vec<(&str, &str, &str)> {
    let mut suspects = Vec::new();
    for NewReply { reply, event, .. } in &outcome.replies {
        let mark = reply.suspect.map_or("", Suspicion::as_str);
        let told = if mark.is_empty() { "null".to_owned() } else { format!("\"{mark}\"") };
        assert!(event.contains(&format!(r#""suspect":{told},"#)), "{event}");
        suspects.push((reply.mobile.as_str(), reply.content.as_str(), mark));
    }
    suspects
}

#[test]
fn a_customer_who_types_a_whole_record_makes_two_that_are_suspect() {
    let body = "100{&}13900000002||收到||2026-11-22 10:19:00||1068{&}13900000003||\
        好的||2026-11-22 09:59:58||1069001{&}13900000001||同意||2026-11-22 10:20:00||1068{&}\
        13900000004||谢谢||2026-11-22 10:21:00||1068";
    let check = |number: Option<&str>, first: &str| {
        let mut account = account();
        account.settings.number = number.map(str::to_owned);
        let read = read(None, Ending::Announced, body);
        let outcome = prepare(&read, account, at(NOW)).decide(&Known::default());
        let expected = [
            ("13900000002", "收到", ""),
            ("13900000003", "好的", first),
            ("13900000001", "同意", "follows_suspect"),
            ("13900000004", "谢谢", ""),
        ];
        assert_eq!(suspects(&outcome), expected);
    };
    check(Some("1068"), "foreign_gateway");
    // Where the account's number is not known, or is what was typed, the time tells.
    check(None, "time_out_of_order");
}

#[test]
fn times_are_judged_by_the_reads_own_hour_and_by_the_read_before() {
    let record = "100{&}13900000001||a||2026-11-21 09:20:00||1069";
    let mark = |read: &OpenRead, known: &Known| {
        decide(read, known).replies[0].reply.suspect.map(Suspicion::as_str)
    };
    // The first one matters not: it is the last that emptied the box.
    let (first, last) = (at("2026-11-20 10:20:00"), at("2026-11-22 10:20:00"));
    let known = Known { proven_plain: Some((first, last)), ..Known::default() };
    let plain = read(None, Ending::Announced, record);
    assert_eq!(mark(&plain, &known), Some("time_far"));
    assert_eq!(mark(&plain, &Known::default()), None);
    let hour = |hour| read(Some(hour), Ending::Announced, record);
    assert_eq!(mark(&hour("2026-11-21_09"), &known), None);
    assert_eq!(mark(&hour("2026-11-21_08"), &known), Some("time_far"));
    let to_come = record.replace("2026-11-21 09:20:00", "2026-11-22 10:40:01");
    let plain = read(None, Ending::Announced, &to_come);
    assert_eq!(mark(&plain, &Known::default()), Some("time_far"));
}

#[test]
fn one_mark_is_that_of_all_copies_and_goes_with_a_record_that_waits() {
    let copies = [record("a", "1069"), record("b", "955"), record("a", "1069")];
    let outcome = decide(&plain(&copies, Ending::Announced), &Known::default());
    let expected = [
        ("13900000001", "a", "follows_suspect"),
        ("13900000001", "a", "follows_suspect"),
        ("13900000001", "b", "foreign_gateway"),
    ];
    assert_eq!(suspects(&outcome), expected);
    let copies = [record("b", "955"), record("a", "1069"), record("b", "1069")];
    let outcome = decide(&plain(&copies, Ending::Announced), &Known::default());
    let marks: Vec<&str> = suspects(&outcome).into_iter().map(|(_, _, mark)| mark).collect();
    assert_eq!(marks, ["foreign_gateway", "foreign_gateway", "follows_suspect"]);
    // The number of the last record may be cut; what stands before it is not.
    let cut = plain(&[record("a", "955"), record("b", "10")], Ending::Cut);
    let waiting = decide(&cut, &Known::default()).waiting.unwrap();
    assert_eq!(waiting.suspect, Some(Suspicion::FollowsSuspect));
    let released = release(&waiting, account()).decide(&Known::default());
    assert_eq!(suspects(&released), [("13900000001", "b", "follows_suspect")]);
    let alone = plain(&[record("b", "10")], Ending::Cut);
    assert_eq!(decide(&alone, &Known::default()).waiting.unwrap().suspect, None);
}

#[test]
fn ids_go_on_counting() {
    let body = plain(&[record("b", "1"), record("b", "2")], Ending::Announced);
    let first = decide(&body, &Known::default());
    assert_eq!(replies(&first), [("b", "1", 1), ("b", "2", 2)]);
    let (identity, _, tally) = first.tallies[0].clone();
    let known = Known { tallies: [(identity, tally)].into(), ..Known::default() };
    let again = decide(&plain(&[record("b", "3")], Ending::Announced), &known);
    assert_eq!(replies(&again), [("b", "3", 3)]);
    // A body that came before is a cache's: its copies are known ones.
    let repeated = decide(&body, &Known { body_seen_before: true, ..known });
    assert!(repeated.replies.is_empty());
    // It may also be the same words again: its hour will tell.
    assert_eq!(owed(&repeated), ["2026-11-22_09", "2026-11-22_10"]);
}

#[test]
fn doubt_owes_hours_and_refusal_none() {
    let proven = at("2026-11-22 10:20:00");
    let known = Known { proven_plain: Some((proven, proven)), ..Known::default() };
    let window = ["2026-11-22_08", "2026-11-22_09", "2026-11-22_10"];
    assert_eq!(owed(&decide(&plain(&[], Ending::Cut), &known)), window);
    assert_eq!(
        owed(&decide(&plain(&["{&}rubbish".to_owned()], Ending::Announced), &known)),
        window
    );
    let refused = decide(&read(None, Ending::Announced, "101"), &known);
    assert!(refused.hours.is_empty());
    let half_an_hour = Duration::from_mins(30);
    assert_eq!(refused.standing, Standing::Refused(Status::LOGIN_FAILED, half_an_hour));
    // A plain copy of a reply that is known already: only its hour can tell what it is.
    let seen = decide(&plain(&[record("b", "1{&}")], Ending::Cut), &known);
    let (identity, _, tally) = seen.tallies[0].clone();
    let known = Known { tallies: [(identity, tally)].into(), ..known };
    assert_eq!(
        owed(&decide(&plain(&[record("b", "1")], Ending::Announced), &known)),
        ["2026-11-22_10"]
    );
}

#[test]
fn an_hour_is_whole_when_it_holds_every_known_copy() {
    let row = owed_row();
    let body = format!("100{0}{0}", "{&}13900000001||b||2026-11-22 09:20:00||1069");
    let hour = read(Some("2026-11-22_09"), Ending::Announced, &body);
    let identity = prepare(&hour, account(), at(NOW)).groups[0].identity;
    let known = |copies| Known {
        hour: Some(row),
        copies_of_hour: vec![(identity, copies)],
        ..Known::default()
    };
    let whole = decide(&hour, &known(2));
    assert_eq!(
        (owed(&whole), whole.short_until),
        (vec!["2026-11-22_09 verified".to_owned()], None)
    );
    let short = decide(&hour, &known(3));
    assert_eq!(owed(&short), ["2026-11-22_09 owed"]);
    // It is told, with when it is tried again; not so where the answer itself is in doubt.
    assert_eq!((short.missing, short.short_until), (1, Some(at("2026-11-22 11:30:00"))));
    let doubtful = OpenRead { ending: Ending::Cut, ..hour.clone() };
    assert_eq!(decide(&doubtful, &known(3)).short_until, None);
    let other = Known { copies_of_hour: vec![(Identity([0; 32]), 1)], ..known(2) };
    assert_eq!(owed(&decide(&hour, &other)), ["2026-11-22_09 owed"]);
}

fn owed_row() -> HourRow {
    HourRow {
        hour: "2026-11-22_09".parse().unwrap(),
        state: HourState::Owed,
        owed_by: ReadId(6),
        not_before: at("2026-11-22 10:00:00"),
        tries: 0,
        doubts: 0,
        shorts: 0,
        cause: Cause::Reconcile,
        gap: None,
        verified: None,
        held: None,
        known: None,
    }
}

fn told(outcome: &Outcome) -> Vec<EventType> {
    outcome.events.iter().map(|event| event.event_type).collect()
}

#[test]
fn a_gap_opens_and_closes_aloud() {
    let events = vec![EventType::GapOpened];
    let wanting = Route { events, ..Route::default() };
    let known = Known {
        subscribers: vec![("crm".to_owned(), Route::default()), ("ops".to_owned(), wanting)],
        ..Known::default()
    };
    let opened = decide(&plain(&[], Ending::Cut), &known);
    assert_eq!(told(&opened), [EventType::GapOpened]);
    assert_eq!(opened.events[0].subscribers, [1]);
    assert!(opened.events[0].body.contains(r#""reason":"cut""#), "{}", opened.events[0].body);
    let gap = Gap {
        id: ReadId(6),
        first: owed_row().hour,
        last: owed_row().hour,
        owed: 1,
        verified: 0,
        given_up: 0,
    };
    let row = HourRow { gap: Some(ReadId(6)), cause: Cause::Doubt, ..owed_row() };
    let known = Known { gaps: vec![gap], hour: Some(row), ..known };
    // One that is open grows in silence.
    assert_eq!(told(&decide(&plain(&[], Ending::Cut), &known)), []);
    let hour = read(Some("2026-11-22_09"), Ending::Announced, "");
    assert_eq!(told(&decide(&hour, &known)), [EventType::GapClosed]);
    let two_left = Known { gaps: vec![Gap { owed: 2, ..gap }], ..known };
    assert_eq!(told(&decide(&hour, &two_left)), []);
}

#[test]
fn a_pause_in_reading_owes_hours_whatever_the_next_read_says() {
    let pause = |ended: &str| Known { previous_ended: Some(at(ended)), ..Known::default() };
    let whole = plain(&[], Ending::Announced);
    assert!(decide(&whole, &pause("2026-11-22 10:20:00")).hours.is_empty());
    let late = decide(&whole, &pause("2026-11-22 10:05:00"));
    assert_eq!(owed(&late), ["2026-11-22_09", "2026-11-22_10"]);
    assert!(late.events[0].body.contains(r#""reason":"pause""#), "{}", late.events[0].body);
    let hour = read(Some("2026-11-22_03"), Ending::Announced, "");
    assert_eq!(owed(&decide(&hour, &pause("2026-11-22 10:05:00")))[..2], owed(&late)[..]);
    let refused = read(None, Ending::Announced, "101");
    assert!(decide(&refused, &pause("2026-11-22 10:05:00")).hours.is_empty());
}

#[test]
fn a_host_that_never_announces_an_end_owes_only_hours_that_are_over() {
    let known = |unannounced| Known {
        unannounced,
        previous_ended: Some(at("2026-11-22 10:20:00")),
        previous_plain: Some(at("2026-11-22 09:50:00")),
        ..Known::default()
    };
    let read = plain(&[], Ending::Connection);
    let doubted = ["2026-11-22_07", "2026-11-22_08", "2026-11-22_09", "2026-11-22_10"];
    assert_eq!(owed(&decide(&read, &known(4))), doubted);
    let way = decide(&read, &known(5));
    assert_eq!(owed(&way), ["2026-11-22_06", "2026-11-22_07", "2026-11-22_08", "2026-11-22_09"]);
    assert!(way.events.is_empty());
    assert_eq!(owed(&decide(&plain(&[], Ending::Cut), &known(5))), doubted);
}

#[test]
fn a_broken_read_after_days_off_owes_them_on_a_host_that_never_announces_an_end() {
    let known = Known {
        previous_plain: Some(at("2026-11-20 18:07:00")),
        previous_ended: Some(at("2026-11-20 22:18:00")),
        unannounced: 6,
        ..Known::default()
    };
    let outcome = decide(&read(None, Ending::Unanswered, ""), &known);
    let owed = owed(&outcome);
    assert_eq!(owed.first().map(String::as_str), Some("2026-11-20_16"));
    assert_eq!(owed.last().map(String::as_str), Some("2026-11-22_10"));
}

#[test]
fn faults_are_told_once_and_the_open_end_of_a_cut_answer_is_none() {
    let rubbish =
        "100{&}rubbish||2026-11-22 10:20:00||1069{&}13900000001||b||2026-11-22 10:21:00||1069";
    let hour = read(Some("2026-11-22_09"), Ending::Announced, rubbish);
    assert!(told(&decide(&hour, &Known::default())).contains(&EventType::RecordUnparsed));
    let again = HourRow { tries: 1, ..owed_row() };
    let again = Known { hour: Some(again), ..Known::default() };
    assert_eq!(told(&decide(&hour, &again)), []);
    let cut = plain(&["{&}13900000001||b".to_owned()], Ending::Cut);
    assert_eq!(told(&decide(&cut, &Known::default())), [EventType::GapOpened]);
    let page = read(Some("2026-11-22_09"), Ending::Announced, "<html>");
    assert_eq!(told(&decide(&page, &Known::default())), []);
}

#[test]
fn a_second_reader_is_told_of_when_replies_keep_appearing_by_hour() {
    let body = "100{&}13900000001||a||2026-11-22 09:20:00||1069{&}13900000001||b||2026-11-22 09:25:00||1069";
    let hour = read(Some("2026-11-22_09"), Ending::Announced, body);
    let (first, last) = (at("2026-11-22 08:00:00"), at("2026-11-22 10:22:00"));
    let known =
        Known { proven_plain: Some((first, last)), hour: Some(owed_row()), ..Known::default() };
    let once = decide(&hour, &known);
    assert_eq!((once.missed, told(&once)), (1, vec![]), "b may have come late");
    let last = at("2026-11-22 10:25:00");
    let known = Known { proven_plain: Some((first, last)), ..known };
    assert_eq!(decide(&hour, &known).missed, 2);
    let missed = Missed { reads: 1, replies: 1, told: None };
    let again = Known { missed, ..known.clone() };
    assert_eq!(told(&decide(&hour, &again)), [EventType::SecondReader]);
    let lately = Missed { told: Some(at("2026-11-21 10:31:00")), ..missed };
    assert_eq!(told(&decide(&hour, &Known { missed: lately, ..known.clone() })), []);
    // What a doubtful read may have swallowed says nothing; nor what came before us.
    let row = HourRow { cause: Cause::Doubt, ..owed_row() };
    assert_eq!(decide(&hour, &Known { hour: Some(row), ..again.clone() }).missed, 0);
    let late = at("2026-11-22 09:30:00");
    assert_eq!(decide(&hour, &Known { proven_plain: Some((late, last)), ..again }).missed, 0);
}

#[test]
fn refusals_are_told_when_they_begin_and_when_they_end() {
    let refused = read(None, Ending::Announced, "101");
    let after = |refusals| Known { refusals, ..Known::default() };
    assert_eq!(told(&decide(&refused, &after(0))), [EventType::LoginFailed]);
    assert_eq!(told(&decide(&refused, &after(1))), []);
    let empty = read(None, Ending::Announced, "");
    assert_eq!(told(&decide(&empty, &after(1))), [EventType::Recovered]);
    assert_eq!(told(&decide(&empty, &after(0))), []);
    // What broke says nothing of it, but for a bare code that refuses.
    for body in ["", "10", "100"] {
        let broken = decide(&read(None, Ending::Cut, body), &after(1));
        assert_eq!(
            (broken.standing, told(&broken)),
            (Standing::Unknown, vec![EventType::GapOpened])
        );
    }
    for body in ["103", "120", "<html>"] {
        let other = decide(&read(None, Ending::Announced, body), &after(1));
        assert_eq!(other.standing, Standing::Unknown, "{body}");
    }
    for ending in [Ending::Cut, Ending::TimedOut, Ending::TooLong] {
        let broken = decide(&read(None, ending, "101"), &after(1));
        let two_hours = Duration::from_hours(2);
        assert_eq!(broken.standing, Standing::Refused(Status::LOGIN_FAILED, two_hours));
        assert!(!broken.hours.is_empty(), "it may have been about to say more");
    }
    let brought = decide(&plain(&[record("b", "1{&}")], Ending::Cut), &after(1));
    assert_eq!(brought.standing, Standing::Admitted);
}

fn again(read: &OpenRead, known: &Known) -> Outcome {
    prepare_again(read, account(), at(NOW)).decide(known)
}

#[test]
fn an_answer_parsed_again_adds_what_was_missed_and_doubles_nothing() {
    let body = plain(&[record("b", "1"), record("b", "2"), record("c", "1")], Ending::Announced);
    let whole = decide(&body, &Known::default());
    let b = whole.tallies[0].0;
    let after = |tallies: Vec<(Identity, Tally)>| Known {
        tallies: tallies.into_iter().collect(),
        ..Known::default()
    };
    let tally = |plain, gateways: &[&str]| Tally {
        plain,
        seen: 0,
        gateways: gateways.iter().map(|gateway| (*gateway).to_owned()).collect(),
    };
    // Nothing was missed: plain copies are not summed once more.
    let known = after(vec![(b, tally(2, &["1", "2"])), (whole.tallies[1].0, tally(1, &["1"]))]);
    let nothing = again(&body, &known);
    assert!(nothing.replies.is_empty());
    assert!(nothing.tallies.iter().all(|(_, _, tally)| tally.plain >= tally.seen));
    // One of two equal records was missed, and another text.
    let missed = again(&body, &after(vec![(b, tally(1, &["1"]))]));
    assert_eq!(replies(&missed), [("b", "2", 2), ("c", "1", 1)]);
    assert_eq!(missed.replies[0].reply.id, whole.replies[1].reply.id);
    assert_eq!((missed.tallies[0].2.plain, missed.tallies[0].2.seen), (1, 2));
    // Purged or erased: the counts are the tombstone.
    let gone = after(vec![(b, tally(2, &[])), (whole.tallies[1].0, tally(1, &[]))]);
    assert!(again(&body, &gone).replies.is_empty());
}

const RUBBISH: &str = "{&}rubbish||2026-11-22 10:20:00||1069";

#[test]
fn an_answer_parsed_again_says_nothing_of_hours_standing_or_events() {
    let ops = Route { events: vec![EventType::RecordUnparsed], ..Route::default() };
    let known = Known {
        subscribers: vec![("ops".to_owned(), ops)],
        previous_ended: Some(at("2026-11-20 10:30:00")),
        proven_plain: Some((at("2026-11-20 10:30:00"), at("2026-11-20 10:30:00"))),
        hour: Some(owed_row()),
        refusals: 1,
        ..Known::default()
    };
    for ending in [Ending::Announced, Ending::Cut] {
        let rubbish = plain(&[RUBBISH.to_owned(), record("b", "1{&}")], ending);
        let hour = OpenRead { hour: Some(owed_row().hour), ..rubbish.clone() };
        for read in [rubbish, hour] {
            assert!(!decide(&read, &known).hours.is_empty(), "the test shows nothing");
            let outcome = again(&read, &known);
            assert!(outcome.hours.is_empty() && outcome.events.is_empty() && outcome.missed == 0);
            assert_eq!(outcome.standing, Standing::Unknown);
            assert_eq!(outcome.replies.len(), 1);
        }
    }
}

#[test]
fn a_cut_last_record_is_left_waiting_only_while_it_waits() {
    let cut = plain(&[record("b", "1069")], Ending::Cut);
    let waits = Known { record_waits: true, ..Known::default() };
    assert!(again(&cut, &waits).replies.is_empty());
    assert_eq!(replies(&again(&cut, &Known::default())), [("b", "1069", 1)]);
}
