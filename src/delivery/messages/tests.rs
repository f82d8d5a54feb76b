use super::*;

/// The shape of a product with a short text.
const WECOM: Shape =
    Shape { target: target::tests::WECOM, language: Language::Zh, own: None, is_of_one: false };

/// A claim of a reply that was written so many seconds after ten o'clock.
fn claim(number: usize, second: usize, content: &str) -> Claim {
    let at = format!("2026-11-22T10:{:02}:{:02}+08:00", second / 60, second % 60);
    let content = serde_json::to_string(content).unwrap();
    let body = format!(
        r#"{{"type":"reply.received","timestamp":"{at}","data":{{"id":"rpl_{number}","account":"main","from":"13900000001","content":{content},"replied_at":"{at}","gateway":"1068","suspect":null,"extension":null}}}}"#
    );
    Claim::first(number as i64, &format!("rpl_{number}"), &body)
}

fn claims(count: usize) -> Vec<Claim> {
    (0..count).map(|number| claim(number, number, "收到")).collect()
}

#[track_caller]
fn check(claims: &[Claim], messages_max: usize, messages: &[&[usize]], left: &[usize]) {
    let messages = messages.iter().map(|message| message.to_vec()).collect();
    assert_eq!(WECOM.plan(claims, messages_max), Plan { messages, left: left.to_vec() });
}

#[test]
fn each_goes_by_itself_while_the_product_lets_them_through() {
    check(&claims(3), 3, &[&[0], &[1], &[2]], &[]);
    check(&claims(1), 1, &[&[0]], &[]);
    check(&claims(3), usize::MAX, &[&[0], &[1], &[2]], &[]);
    check(&claims(3), 2, &[&[0, 1, 2]], &[]);
    check(&claims(2), 0, &[], &[0, 1]);
    check(&[], 3, &[], &[]);
}

#[test]
fn a_message_holds_whole_replies_in_the_order_of_their_times() {
    let late_first = [claim(1, 9, "b"), claim(0, 3, "a")];
    check(&late_first, 1, &[&[1, 0]], &[]);
    let text = WECOM.message(&[claim(0, 3, "a"), claim(1, 600, "@all")]).text;
    assert_eq!(
        text,
        "【短信回复】2 条，10:00–10:10（2026-11-22）\n10:00:03 13900000001 → 1068：a\n10:10:00 13900000001 → 1068：＠all"
    );
    // What does not fit waits for the next one.
    let long: Vec<Claim> = (0..10).map(|number| claim(number, number, &"长".repeat(150))).collect();
    check(&long, 2, &[&[0, 1, 2, 3], &[4, 5, 6, 7]], &[8, 9]);
    let bytes = WECOM.message(&long[..4]).text.len();
    assert!(bytes <= 2_048 && bytes + 490 > 2_048, "{bytes}");
    assert_eq!(WECOM.message(&long[..4]).text.matches(&"长".repeat(150)).count(), 4);
}

#[test]
fn one_that_fits_into_no_message_is_cut_and_goes_by_itself() {
    let claims = [claim(0, 0, "a"), claim(1, 1, &"长".repeat(1_000)), claim(2, 2, "b")];
    check(&claims, 2, &[&[0], &[1]], &[2]);
    let text = WECOM.message(&claims[1..2]).text;
    assert!(text.len() <= 2_048 && text.contains("截断"), "{text}");
}

#[test]
fn one_that_was_refused_among_others_goes_by_itself() {
    let mut claims = claims(4);
    claims[1].alone = true;
    check(&claims, 3, &[&[0], &[1], &[2, 3]], &[]);
}

#[test]
fn a_digest_says_its_span_and_tells_alerts_from_replies() {
    let notice = |at: &str| {
        let body = format!(
            r#"{{"type":"account.recovered","timestamp":"{at}","data":{{"id":"evt_1","account":"main"}}}}"#
        );
        Claim { body: body.into(), ..claim(7, 0, "") }
    };
    let english = Shape { language: Language::En, ..WECOM };
    let both = [claim(0, 3, "a"), notice("2026-11-23T09:00:00+08:00")];
    assert_eq!(
        english.message(&both).text,
        "2 SMS replies and alerts, 10:00–2026-11-23 09:00 (2026-11-22)\n\
         10:00:03 13900000001 → 1068: a\n\
         2026-11-23 09:00:00 alert: the gateway lets account main in again"
    );
    let replies = [claim(0, 3, "a"), claim(1, 4, "")];
    assert_eq!(
        english.message(&replies).text.lines().next(),
        Some("2 SMS replies, 10:00 (2026-11-22)")
    );
}
