use super::*;

const NUMBER: &str = "1068112227282";
/// Two numbers of the account: with an extension, and without.
const OWN: &str = "106811222728200";

fn at(text: &str) -> BeijingTime {
    text.parse().unwrap()
}

/// A plain read of a minute, ten minutes after the last proven one.
fn plain() -> Surroundings<'static> {
    Surroundings {
        number: Some(NUMBER),
        hour: None,
        started: at("2026-11-22 10:29:00").unix_ms(),
        ended: at("2026-11-22 10:30:00").unix_ms(),
        last_proven: Some(at("2026-11-22 10:19:00").unix_ms()),
        cut_behind_last: false,
    }
}

fn of_hour(hour: &str) -> Surroundings<'static> {
    Surroundings { hour: Some(hour.parse().unwrap()), ..plain() }
}

/// Judges records of these times (of 22 November, or whole) and gateway numbers; a `?` behind
/// the number is a seam in the content.
#[track_caller]
fn check(body: Surroundings<'_>, records: &[(&str, &str)], expected: &[&str]) {
    let mut traces = Vec::new();
    for (time, gateway) in records {
        let day = if time.len() == 8 { "2026-11-22 " } else { "" };
        traces.push(Trace {
            replied_at: at(&format!("{day}{time}")),
            gateway: gateway.trim_end_matches('?'),
            may_hold_two: gateway.ends_with('?'),
        });
    }
    let word = |mark: Option<Suspicion>| mark.map_or("", Suspicion::as_str);
    let marks: Vec<&str> = judge(&traces, body).into_iter().map(word).collect();
    assert_eq!(marks, expected, "{records:?}");
}

#[test]
fn a_gateway_number_that_the_account_does_not_have_is_foreign() {
    for (gateway, mark) in [
        (NUMBER, ""),
        (OWN, ""),
        ("", ""),
        ("1069001", "foreign_gateway"),
        ("106811222728", "foreign_gateway"),
        ("0", "foreign_gateway"),
    ] {
        check(plain(), &[("10:25:00", gateway)], &[mark]);
        // Without the account's number there is nothing to compare it with.
        check(Surroundings { number: None, ..plain() }, &[("10:25:00", gateway)], &[""]);
    }
}

#[test]
fn the_last_number_of_a_cut_body_may_lack_digits() {
    let cut = Surroundings { cut_behind_last: true, ..plain() };
    check(cut, &[("10:25:00", "10681")], &[""]);
    check(cut, &[("10:25:00", "1069")], &["foreign_gateway"]);
    check(cut, &[("10:25:00", OWN)], &[""]);
    // Only the last one was cut, and only where the body was.
    let marks = ["foreign_gateway", "follows_suspect"];
    check(cut, &[("10:25:00", "10681"), ("10:25:01", "10681")], &marks);
    check(plain(), &[("10:25:00", "10681")], &["foreign_gateway"]);
}

#[test]
fn a_time_before_or_behind_both_neighbours_is_out_of_order() {
    for (time, mark) in [
        ("10:20:00", ""),
        ("10:10:00", ""),
        ("10:09:59", "time_out_of_order"),
        ("00:00:00", "time_out_of_order"),
        ("10:35:00", ""),
        ("10:35:01", "time_out_of_order"),
    ] {
        let next = if mark.is_empty() { "" } else { "follows_suspect" };
        check(plain(), &[("10:20:00", OWN), (time, OWN), ("10:25:00", OWN)], &["", mark, next]);
    }
}

#[test]
fn neighbours_that_are_missing_or_disagree_prove_nothing() {
    check(plain(), &[("10:20:00", OWN), ("09:00:00", OWN)], &["", ""]);
    check(plain(), &[("09:00:00", OWN), ("10:20:00", OWN)], &["", ""]);
    // A box that is handed out from its end.
    let backwards = [("10:20:00", OWN), ("10:00:00", OWN), ("09:00:00", OWN), ("08:00:00", OWN)];
    check(plain(), &backwards, &[""; 4]);
    // Two typed times in a row cover each other: a limit.
    let two = [("10:20:00", OWN), ("09:00:00", OWN), ("09:00:00", OWN), ("10:21:00", OWN)];
    check(plain(), &two, &[""; 4]);
}

#[test]
fn a_time_to_come_is_far() {
    let later = "2026-11-22 10:40:01";
    check(plain(), &[("10:40:00", OWN)], &[""]);
    check(plain(), &[(later, OWN)], &["time_far"]);
    check(of_hour("2026-11-22_10"), &[("10:40:00", OWN)], &[""]);
    check(of_hour("2026-11-22_10"), &[(later, OWN)], &["time_far"]);
}

#[test]
fn a_time_long_before_the_box_was_emptied_is_far() {
    let (inside, outside) = ("2026-11-21 10:19:00", "2026-11-21 10:18:59");
    check(plain(), &[(inside, OWN)], &[""]);
    check(plain(), &[(outside, OWN)], &["time_far"]);
    // A first read may bring what is years old.
    let first = Surroundings { last_proven: None, ..plain() };
    check(first, &[("2008-05-27 12:10:11", OWN)], &[""]);
    // The clock was set back by a year since the last one.
    let set_back =
        Surroundings { last_proven: Some(at("2027-11-22 10:19:00").unix_ms()), ..plain() };
    check(set_back, &[("2026-11-21 10:29:00", OWN)], &[""]);
    check(set_back, &[("2026-11-21 10:28:59", OWN)], &["time_far"]);
}

#[test]
fn a_time_of_another_hour_than_was_asked_for_is_far() {
    let records = [("07:59:59", OWN), ("08:00:00", OWN), ("08:59:59", OWN), ("09:00:00", OWN)];
    let marks = ["time_far", "follows_suspect", "", "time_far"];
    check(of_hour("2026-11-22_08"), &records, &marks);
    // What a plain read should not bring any more is just what hours are read for.
    check(of_hour("2026-11-20_08"), &[("2026-11-20 08:30:00", OWN)], &[""]);
}

#[test]
fn a_seam_is_named_first_and_alone_marks_no_other() {
    check(plain(), &[("10:20:00", "1068112227282?"), ("10:20:01", OWN)], &["may_hold_two", ""]);
    check(
        plain(),
        &[("10:20:00", "1069001?"), ("10:20:01", OWN)],
        &["may_hold_two", "follows_suspect"],
    );
}

#[test]
fn only_the_next_record_follows_a_suspect_one() {
    let records = [("10:20:00", "1069"), ("10:20:01", OWN), ("10:20:02", OWN)];
    check(plain(), &records, &["foreign_gateway", "follows_suspect", ""]);
    // One with a mark of its own keeps it, and the next follows that.
    let records = [("10:20:00", "1069"), ("10:20:01", "1069"), ("10:20:02", OWN)];
    check(plain(), &records, &["foreign_gateway", "foreign_gateway", "follows_suspect"]);
    let records = [("10:20:00", "1069"), ("10:20:01", "1068112227282?"), ("10:20:02", OWN)];
    check(plain(), &records, &["foreign_gateway", "may_hold_two", ""]);
}

#[test]
fn a_typed_record_whose_number_and_time_fit_is_not_found() {
    check(plain(), &[("10:20:00", OWN), ("10:19:58", NUMBER), ("10:20:00", OWN)], &["", "", ""]);
}

#[test]
fn honest_bursts_are_not_marked() {
    check(plain(), &[], &[]);
    check(plain(), &[("10:20:00", OWN); 500], &[""; 500]);
    // Late carriers, some minutes out of order.
    let late = [
        ("10:20:00", OWN),
        ("10:14:00", NUMBER),
        ("10:20:01", ""),
        ("10:12:30", OWN),
        ("10:20:02", OWN),
    ];
    check(plain(), &late, &[""; 5]);
    // A night's replies, read in the morning.
    let night = [("2026-11-21 18:00:00", OWN), ("03:00:00", OWN), ("10:29:59", OWN)];
    check(plain(), &night, &[""; 3]);
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config {
        failure_persistence: None,
        ..Default::default()
    })]

    #[test]
    fn a_body_of_honest_records_in_time_order_is_never_marked(
        ages_s in proptest::collection::vec(0_i64..24 * 3600, 0..40),
        gateways in proptest::collection::vec("(1068112227282[0-9]{0,4})?", 40),
        is_plain in proptest::bool::ANY,
        has_number in proptest::bool::ANY,
        cut_behind_last in proptest::bool::ANY,
    ) {
        let end = at("2026-11-22 10:30:00").unix_seconds();
        let hour = at("2026-11-22 10:30:00").hour();
        let mut records = Vec::new();
        for (age_s, gateway) in ages_s.iter().zip(&gateways) {
            let age_s = if is_plain { *age_s } else { age_s % 1800 };
            let replied_at = BeijingTime::from_unix_seconds(end - age_s);
            records.push(Trace { replied_at, gateway, may_hold_two: false });
        }
        records.sort_by_key(|record| record.replied_at);
        let body = Surroundings {
            number: has_number.then_some(NUMBER),
            hour: (!is_plain).then_some(hour),
            cut_behind_last,
            ..plain()
        };
        proptest::prop_assert_eq!(judge(&records, body), vec![None; records.len()]);
    }
}
