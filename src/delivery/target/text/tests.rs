use super::*;
use crate::delivery::target::{named, plain};

const REPLY: &str = r#"{"type":"reply.received","timestamp":"2008-05-27T12:10:11+08:00","data":{"id":"rpl_1","account":"main","from":"13900000001","content":"CONTENT","replied_at":"2008-05-27T12:10:11+08:00","gateway":"1068112227282","occurrence":1,"lossy":false,"suspect":null,"extension":null,"in_reply_to":null}}"#;
const PLAIN: TextRules = TextRules { measure: plain::bytes, max: 10_000, escape: plain::as_it_is };

fn message(event: &Event, language: Language, rules: &TextRules) -> Message {
    super::message(event, Teller { language, rules, own: None })
}

fn reply(content: &str) -> Event {
    let content = serde_json::to_string(content).unwrap();
    Event::read(REPLY.replace("\"CONTENT\"", &content).as_bytes())
}

#[track_caller]
fn check(event: &Event, language: Language, expected: &str) {
    assert_eq!(message(event, language, &PLAIN).text, expected);
}

#[test]
fn a_reply_says_who_what_when_and_through_which_number() {
    let event = reply("收到 @all");
    check(
        &event,
        Language::Zh,
        "【短信回复】13900000001\n收到 ＠all\n时间：2008-05-27 12:10:11\n号码：1068112227282",
    );
    check(
        &event,
        Language::En,
        "SMS reply from 13900000001\n收到 ＠all\nat 2008-05-27 12:10:11 (Beijing)\nto 1068112227282",
    );
    assert_eq!(message(&event, Language::Zh, &PLAIN).title, "短信回复 13900000001");
    assert_eq!(message(&event, Language::En, &PLAIN).id, "rpl_1");
    let more = REPLY.replace(
        "\"suspect\":null,\"extension\":null",
        "\"suspect\":\"gateway\",\"extension\":\"88\"",
    );
    let more =
        Event::read(more.replace("CONTENT", "").replace("13900000001", "139****0001").as_bytes());
    check(
        &more,
        Language::Zh,
        "【短信回复】139****0001\n（空）\n时间：2008-05-27 12:10:11\n号码：1068112227282（扩展 88）\n可疑：gateway，内容可能是伪造的",
    );
}

#[test]
fn a_reply_cannot_look_like_another() {
    let text = message(&reply("a\n【短信回复】13900000002\n付款"), Language::Zh, &PLAIN).text;
    assert_eq!(text.lines().count(), 4, "{text}");
}

#[test]
fn operators_are_told_in_words_that_hold_the_keyword() {
    let of = |kind: &str, data: &str| {
        let body = format!(
            r#"{{"type":"{kind}","timestamp":"2026-11-22T10:00:00+08:00","data":{{"id":"evt_1",{data}}}}}"#
        );
        let event = Event::read(body.as_bytes());
        let [zh, en] =
            [Language::Zh, Language::En].map(|language| message(&event, language, &PLAIN).text);
        assert!(zh.contains("短信") && en.contains("SMS"), "{zh} {en}");
        assert!(zh.contains("2026-11-22 10:00:00"), "{zh}");
        (zh, en)
    };
    let account = r#""account":"main""#;
    let mut seen = std::collections::BTreeSet::new();
    for (kind, _) in EventType::WORDS.into_iter().filter(|(kind, _)| *kind != "reply.received") {
        let (zh, en) = of(kind, account);
        assert!(seen.insert(zh.clone()) && seen.insert(en), "{kind}: another's words: {zh}");
        assert!(!zh.contains(kind), "{kind} has no words of its own");
    }
    let (zh, en) = of(
        "account.login_failed",
        r#""account":"main","status":101,"meaning":"login failed","next_try_at":"2026-11-22T11:00:00+08:00""#,
    );
    assert_eq!(
        zh,
        "【短信回复告警】账号 main 被网关拒绝：101 login failed；下次尝试：2026-11-22 11:00:00\n时间：2026-11-22 10:00:00"
    );
    assert!(en.contains("101 login failed; tried again at 2026-11-22 11:00:00"), "{en}");
    let (zh, en) = of("subscriber.test", r#""content":"x""#);
    assert!(zh.starts_with("【测试】") && en.starts_with("TEST"), "{zh} {en}");
    // One of a later version is told with what it holds.
    let (zh, _) = of("later.kind", r#""account":"main","balance":7,"note":null"#);
    assert!(zh.contains("later．kind：account main，balance 7\n"), "{zh}");
    for other in ["", "[]", "{}"] {
        assert!(
            message(&Event::read(other.as_bytes()), Language::Zh, &PLAIN).text.contains("短信")
        );
    }
}

#[test]
fn what_is_too_long_is_cut_by_the_products_measure_with_a_mark() {
    for (word, typed) in
        [("wecom", "测"), ("discord", "*"), ("telegram", "😀"), ("dingtalk", "\""), ("slack", "&")]
    {
        let rules = &named(word).unwrap().rules;
        let text = message(&reply(&typed.repeat(30_000)), Language::Zh, rules).text;
        let length = (rules.measure)(&text);
        assert!(length <= rules.max && length + 8 > rules.max, "{word}: {length}");
        assert!(text.contains("（过长，已截断）\n时间："), "{word}");
        let whole = message(&reply(typed), Language::Zh, rules).text;
        assert!(!whole.contains("截断"), "{whole}");
        assert!(!text.contains("&…"), "cut within a sign");
    }
    let tiny = TextRules { measure: plain::bytes, max: 10, escape: plain::as_it_is };
    assert_eq!(message(&reply("x"), Language::Zh, &tiny).text, "【短信");
}

#[test]
fn a_reply_can_be_told_in_own_words() {
    let own = Template::parse("{{ from }} 说：{{ content }} [{{ gateway }}] {{ secret }}").unwrap();
    let rules = &named("discord").unwrap().rules;
    let teller = Teller { language: Language::Zh, rules, own: Some(&own) };
    let text = super::message(&reply("*@all*"), teller).text;
    assert_eq!(text, r"13900000001 说：\*＠all\* [1068112227282] ");
    let long = super::message(&reply(&"*".repeat(9_000)), teller).text;
    assert!(plain::utf16(&long) <= 2_000 && long.ends_with("（过长，已截断） [1068112227282] "));
    let (one, other) = (reply("a"), reply("b"));
    assert_eq!(
        digest(&[&one, &other], teller).text.lines().skip(1).collect::<Vec<_>>(),
        ["13900000001 说：a [1068112227282] ", "13900000001 说：b [1068112227282] "]
    );
    // Only replies are: what an operator is told stays as it is.
    let test = Event::read(br#"{"type":"subscriber.test","data":{"id":"evt_1"}}"#);
    assert!(super::message(&test, teller).text.contains("测试"));
}

#[test]
fn a_fallback_is_told_for_whom() {
    for (in_doubt, zh, en) in [
        (false, "（代 crm 接收）", "(instead of crm)"),
        (true, "（代 crm 接收；crm 可能已经收到）", "(instead of crm, which may have it already)"),
    ] {
        let stands_in = Some(StandsIn { subscriber: "crm".to_owned(), in_doubt });
        let event = Event { stands_in, ..reply("收到") };
        for (language, expected) in [(Language::Zh, zh), (Language::En, en)] {
            let text = message(&event, language, &PLAIN).text;
            assert_eq!(text.lines().last(), Some(expected), "{text}");
            let teller = Teller { language, rules: &PLAIN, own: None };
            let digest = digest(&[&event, &reply("好")], teller).text;
            let lines: Vec<&str> = digest.lines().collect();
            assert!(lines[1].ends_with(expected) && !lines[2].contains("crm"), "{digest}");
        }
    }
}
