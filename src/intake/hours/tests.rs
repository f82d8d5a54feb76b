use super::*;

fn at(text: &str) -> UnixMs {
    text.parse::<crate::time::BeijingTime>().unwrap().unix_ms()
}

fn doubted(started: &str, last_proven: Option<&str>) -> Doubted {
    Doubted {
        read: ReadId(8),
        started: at(started),
        ended: at(started).after(Duration::from_secs(30)),
        last_proven: last_proven.map(at),
        previous_plain: None,
        recover: Duration::from_hours(3),
    }
}

fn owed(started: &str, last_proven: Option<&str>, records: &[&str]) -> Vec<String> {
    let read = doubted(started, last_proven);
    let records = records.iter().map(|hour| hour.parse().unwrap());
    let owed = owed_by_doubt(&read, records, Cause::Doubt);
    owed.into_iter().map(|owed| owed.hour.to_string()).collect()
}

#[test]
fn a_doubtful_read_owes_from_before_the_last_proven_one() {
    assert_eq!(
        owed("2026-11-22 12:05:00", Some("2026-11-22 11:55:00"), &[]),
        ["2026-11-22_09", "2026-11-22_10", "2026-11-22_11", "2026-11-22_12"]
    );
    assert_eq!(
        owed("2026-11-22 01:10:00", None, &[]),
        ["2026-11-21_22", "2026-11-21_23", "2026-11-22_00", "2026-11-22_01"]
    );
    // Near an hour's end the next may have begun at the gateway.
    assert_eq!(
        owed("2026-11-22 12:56:00", Some("2026-11-22 12:46:00"), &[]).last().unwrap(),
        "2026-11-22_13"
    );
    // A read over an hour's end owes both, and one begun before a clock was set back, too.
    assert_eq!(
        owed("2026-11-22 11:59:45", Some("2026-11-22 13:30:00"), &[]).last().unwrap(),
        "2026-11-22_12"
    );
}

#[test]
fn a_machine_that_was_off_for_days_owes_them_where_no_read_was_ever_proven() {
    let first = |previous: &str| {
        let previous_plain = Some(at(previous));
        let read = Doubted { previous_plain, ..doubted("2026-11-22 12:05:00", None) };
        let owed = owed_by_doubt(&read, std::iter::empty(), Cause::Doubt);
        (owed[0].hour.to_string(), owed.len())
    };
    // It may have taken all that came since the last one, by carriers that may be late.
    assert_eq!(first("2026-11-20 18:07:00"), ("2026-11-20_16".to_owned(), 45));
    // Three hours are recovered at least; and a clock that was ahead says nothing.
    assert_eq!(first("2026-11-22 11:55:00"), ("2026-11-22_09".to_owned(), 4));
    assert_eq!(first("2036-01-01 00:00:00"), ("2026-11-22_09".to_owned(), 4));
}

#[test]
fn it_owes_the_hours_of_its_records_within_reason() {
    let hours = owed(
        "2026-11-22 12:05:00",
        Some("2026-11-22 12:00:00"),
        &["2008-05-27_12", "2099-01-01_00", "2026-11-22_13"],
    );
    assert_eq!(
        hours,
        ["2008-05-27_12", "2026-11-22_10", "2026-11-22_11", "2026-11-22_12", "2026-11-22_13"]
    );
}

#[test]
fn clocks_that_jump_owe_neither_nothing_nor_everything() {
    let back = Doubted {
        ended: at("2026-11-22 10:05:00"),
        ..doubted("2026-11-22 15:05:00", Some("2026-11-22 15:00:00"))
    };
    let owe = |read: &Doubted| owed_by_doubt(read, std::iter::empty(), Cause::Doubt);
    // Both the hours around its beginning and those around its end, by a clock that was set back
    // between them.
    let hours: Vec<String> = owe(&back).iter().map(|owed| owed.hour.to_string()).collect();
    let around =
        |hours: &[u8]| hours.iter().map(|hour| format!("2026-11-22_{hour:02}")).collect::<Vec<_>>();
    assert_eq!(hours, around(&[7, 8, 9, 10, 13, 14, 15]));
    let decades = Doubted { last_proven: Some(UnixMs(0)), started: back.ended, ..back };
    assert_eq!(owe(&decades).len(), 62 * 24 + 1);
    let forward = Doubted { started: UnixMs(0), last_proven: None, ..decades };
    assert_eq!(owe(&forward).len(), 62 * 24 + 1);
}

#[test]
fn plain_copies_that_raise_nothing_owe_their_hours_within_reason() {
    let hours =
        ["2026-11-22_10", "2026-11-22_10", "2099-01-01_00"].map(|hour| hour.parse().unwrap());
    let now = at("2026-11-22 10:30:00");
    let owed = owed_once_more(hours.into_iter(), now);
    assert_eq!(
        owed.iter().map(|owed| (owed.hour, owed.not_before)).collect::<Vec<_>>(),
        [(hours[0], now)]
    );
}

#[test]
fn an_account_that_was_turned_away_tried_nothing() {
    assert_eq!(
        settle(Some(row()), read("2026-11-22 12:00:00", Verdict::Refused("frozen"), false)),
        None
    );
}

fn row() -> HourRow {
    HourRow {
        hour: "2026-11-22_10".parse().unwrap(),
        state: HourState::Owed,
        owed_by: ReadId(7),
        not_before: at("2026-11-22 10:20:00"),
        tries: 0,
        doubts: 0,
        shorts: 0,
        cause: Cause::Doubt,
        gap: Some(ReadId(7)),
        verified: None,
        held: None,
        known: None,
    }
}

fn read(started: &str, verdict: Verdict, complete: bool) -> HourRead {
    let started = at(started);
    HourRead {
        id: ReadId(8),
        hour: "2026-11-22_10".parse().unwrap(),
        started,
        now: started,
        verdict,
        confirmed: false,
        held: 3,
        known: 3 + u32::from(!complete),
        missing: u32::from(!complete),
        min_interval: Duration::from_mins(10),
    }
}

fn check(row: HourRow, read: HourRead, state: HourState, not_before: &str) -> HourRow {
    let next = settle(Some(row), read).unwrap();
    assert_eq!(next.state, state);
    assert_eq!(next.not_before.beijing().to_string(), not_before);
    next
}

#[test]
fn an_hour_is_verified_when_it_is_settled_and_whole() {
    let early = read("2026-11-22 11:14:59", Verdict::Proven, true);
    check(row(), early, HourState::Owed, "2026-11-22 11:15:00");
    let settled = read("2026-11-22 11:15:00", Verdict::Proven, true);
    check(row(), settled, HourState::Verified, "2026-11-22 10:20:00");
}

#[test]
fn an_hour_that_lacks_a_reply_is_given_up_in_the_end() {
    let short = |row, started| {
        check(
            row,
            read(started, Verdict::Proven, false),
            HourState::Owed,
            match started {
                "2026-11-22 12:00:00" => "2026-11-22 13:00:00",
                "2026-11-22 13:00:00" => "2026-11-22 19:00:00",
                _ => "2026-11-23 19:00:00",
            },
        )
    };
    let row = short(
        short(short(row(), "2026-11-22 12:00:00"), "2026-11-22 13:00:00"),
        "2026-11-22 19:00:00",
    );
    check(
        row,
        read("2026-11-23 19:00:00", Verdict::Proven, false),
        HourState::GivenUp,
        "2026-11-23 19:00:00",
    );
}

#[test]
fn doubtful_reads_of_an_hour_grow_rarer_and_end() {
    let doubt = Verdict::Doubtful("cut");
    let once = check(
        row(),
        read("2026-11-22 12:00:00", doubt, false),
        HourState::Owed,
        "2026-11-22 12:10:00",
    );
    let twice = check(
        once,
        read("2026-11-22 12:10:00", doubt, false),
        HourState::Owed,
        "2026-11-22 12:30:00",
    );
    assert_eq!((twice.tries, twice.doubts), (2, 2));
    let often = HourRow { doubts: DOUBTS_MAX - 2, ..row() };
    check(often, read("2026-11-22 12:00:00", doubt, true), HourState::Owed, "2026-11-23 12:00:00");
    let last = HourRow { doubts: DOUBTS_MAX - 1, ..row() };
    check(
        last,
        read("2026-11-22 12:00:00", doubt, true),
        HourState::GivenUp,
        "2026-11-23 12:00:00",
    );
}

#[test]
fn an_hour_owed_anew_is_not_settled_by_an_older_read() {
    let anew = HourRow { owed_by: ReadId(9), ..row() };
    assert_eq!(settle(Some(anew), read("2026-11-22 12:00:00", Verdict::Proven, true)), None);
    let verified = HourRow { state: HourState::Verified, ..row() };
    let doubtful = read("2026-11-22 12:00:00", Verdict::Doubtful("cut"), true);
    assert_eq!(settle(Some(verified), doubtful), None);
}

#[test]
fn an_hour_that_was_asked_for_is_verified_too_and_never_worse() {
    let whole = read("2026-11-22 11:15:00", Verdict::Proven, true);
    let given_up = HourRow { state: HourState::GivenUp, ..row() };
    for before in [None, Some(given_up)] {
        let after = settle(before, whole).unwrap();
        assert_eq!((after.state, after.verified), (HourState::Verified, Some(whole.started)));
        assert_eq!((after.held, after.known), (Some(3), Some(3)));
    }
    for other in [
        read("2026-11-22 11:14:59", Verdict::Proven, true),
        read("2026-11-22 12:00:00", Verdict::Proven, false),
        read("2026-11-22 12:00:00", Verdict::Doubtful("cut"), true),
    ] {
        assert_eq!(settle(None, other), None);
    }
}

#[test]
fn where_no_end_is_ever_announced_the_same_answer_twice_verifies() {
    let once = read("2026-11-22 12:00:00", Verdict::Doubtful("ended_with_connection"), true);
    check(row(), once, HourState::Owed, "2026-11-22 12:10:00");
    let twice = HourRead { confirmed: true, ..once };
    check(row(), twice, HourState::Verified, "2026-11-22 10:20:00");
}

#[test]
fn the_same_answer_confirms_where_it_began_after_the_hour_and_after_what_put_it_in_doubt() {
    let hour = row().hour;
    let (over, running) = (at("2026-11-22 11:00:00"), at("2026-11-22 10:59:59"));
    let owed_by = row().owed_by;
    let after = ReadId(owed_by.0 + 1);
    for (before, row, confirms_it) in [
        ((after, over), Some(row()), true),
        ((after, running), Some(row()), false),
        ((owed_by, over), Some(row()), false),
        ((owed_by, over), Some(HourRow { cause: Cause::Routine, ..row() }), true),
        ((owed_by, running), Some(HourRow { cause: Cause::Routine, ..row() }), false),
        ((owed_by, over), Some(HourRow { state: HourState::Verified, ..row() }), true),
        ((owed_by, over), None, true),
    ] {
        assert_eq!(confirms(before, hour, row.as_ref()), confirms_it, "{before:?} {row:?}");
    }
}

#[test]
fn where_no_end_is_ever_announced_hours_are_owed_when_over() {
    let read = doubted("2026-11-22 12:30:00", None);
    let owed = owed_by_way_of_host(&read, at("2026-11-22 12:20:00"));
    let shown: Vec<(String, String, String)> = owed
        .iter()
        .map(|owed| {
            let time = |time: UnixMs| time.beijing().to_string().split_off(11);
            (owed.hour.to_string(), time(owed.not_before), time(owed.again_not_before))
        })
        .collect();
    let expect =
        |hour: &str, once: &str, again: &str| (hour.to_owned(), once.to_owned(), again.to_owned());
    assert_eq!(
        shown,
        [
            expect("2026-11-22_09", "10:15:00", "12:00:00"),
            expect("2026-11-22_10", "11:15:00", "13:00:00"),
            expect("2026-11-22_11", "12:15:00", "14:00:00"),
        ]
    );
}

#[test]
fn a_pause_is_a_read_much_later_than_it_was_due() {
    let interval = Duration::from_mins(10);
    let check = |ended: &str, due: Option<&str>, started: &str, expected| {
        let found = is_pause(at(ended), at(started), due.map(at), interval);
        assert_eq!(found, expected, "{ended} {due:?} {started}");
    };
    let due = Some("2026-11-22 10:10:00");
    check("2026-11-22 10:00:02", due, "2026-11-22 10:10:02", false);
    check("2026-11-22 10:00:02", due, "2026-11-22 10:20:02", false);
    check("2026-11-22 10:00:02", due, "2026-11-22 10:20:03", true);
    check("2026-11-22 10:00:02", None, "2026-11-22 10:20:03", true);
    // A schedule that rests at night is no pause.
    check("2026-11-22 20:50:02", Some("2026-11-23 08:00:00"), "2026-11-23 08:00:01", false);
    // The clock was set back.
    check("2026-11-22 10:00:02", due, "2026-11-22 08:00:00", true);
    check("2026-11-22 10:00:02", due, "2026-11-22 10:00:00", false);
    // Seconds are no pause, however short the interval.
    let short = Duration::from_millis(50);
    let ended = at("2026-11-22 10:00:00");
    assert!(!is_pause(ended, ended.after(PAUSE_MIN), None, short));
}

fn gap(id: i64, first: &str, last: &str, owed: u32) -> Gap {
    let (first, last) = (first.parse().unwrap(), last.parse().unwrap());
    Gap { id: ReadId(id), first, last, owed, verified: 2, given_up: 0 }
}

#[test]
fn hours_join_the_gap_that_they_touch_or_open_one() {
    let read = doubted("2026-11-22 12:05:00", Some("2026-11-22 11:55:00"));
    let check = |gaps: &[Gap], opened: Option<&str>, id: i64| {
        let mut owed = owed_by_doubt(&read, std::iter::empty(), Cause::Doubt);
        let new = join_gap(&mut owed, gaps, ReadId(8));
        let range = new.map(|gap| format!("{} {} {}", gap.first, gap.last, gap.owed));
        assert_eq!(range.as_deref(), opened);
        assert!(owed.iter().all(|owed| owed.gap == Some(ReadId(id))));
    };
    check(&[], Some("2026-11-22_09 2026-11-22_12 4"), 8);
    check(&[gap(3, "2026-11-22_01", "2026-11-22_07", 1)], Some("2026-11-22_09 2026-11-22_12 4"), 8);
    check(&[gap(3, "2026-11-22_01", "2026-11-22_08", 1)], None, 3);
    check(
        &[gap(3, "2026-11-22_10", "2026-11-22_10", 1), gap(5, "2026-11-22_13", "2026-11-22_13", 1)],
        None,
        3,
    );
    let mut routine = owed_once_more(["2026-11-22_10".parse().unwrap()].into_iter(), read.ended);
    assert_eq!(join_gap(&mut routine, &[], ReadId(8)), None);
    assert_eq!(routine[0].gap, None);
}

#[test]
fn a_gap_is_closed_with_its_last_owed_hour() {
    let after = HourRow { state: HourState::GivenUp, ..row() };
    let of = |owed| [gap(7, "2026-11-22_08", "2026-11-22_10", owed)];
    assert_eq!(closed_gap(&row(), &after, &of(2)), None);
    let closed = closed_gap(&row(), &after, &of(1)).unwrap();
    assert_eq!((closed.owed, closed.verified, closed.given_up), (0, 2, 1));
    assert_eq!(closed_gap(&row(), &row(), &of(1)), None);
    let of_none = HourRow { gap: None, ..row() };
    assert_eq!(closed_gap(&of_none, &after, &of(1)), None);
}

#[test]
fn what_was_verified_late_is_not_owed_again_but_for_its_own_records() {
    let read = doubted("2026-11-22 12:05:00", Some("2026-11-22 11:55:00"));
    let stamped: Hour = "2026-11-22_10".parse().unwrap();
    let owed = owed_by_doubt(&read, [stamped].into_iter(), Cause::Doubt);
    for owed in owed {
        let late = owed.hour.end().after(LATE);
        let expected = if owed.hour == stamped { NEVER } else { late };
        assert_eq!(owed.unless_verified_since, expected, "{}", owed.hour);
    }
}

#[test]
fn what_a_clock_ahead_called_verified_is_owed_again() {
    let right = doubted("2026-11-22 12:05:00", Some("2026-11-22 11:55:00"));
    let later = at("2026-11-24 09:00:00");
    for ahead in [
        Doubted { last_proven: Some(later), ..right },
        Doubted { previous_plain: Some(later), ..right },
        Doubted { started: later, ..right },
    ] {
        let owed = owed_by_doubt(&ahead, std::iter::empty(), Cause::Doubt);
        assert!(owed.len() > 2, "{ahead:?}");
        assert!(owed.iter().all(|owed| owed.unless_verified_since == NEVER), "{ahead:?}");
    }
}
