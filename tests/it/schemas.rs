//! The JSON Schemas in `docs/schemas/`: every event as it is rendered and as it is sent holds to
//! the one of its type, and they notice what is missing or of another kind.

use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::time::Duration;

use boon::{Compiler, SchemaIndex, Schemas};
use replyd::event::{self, EventType, Notice, NoticeOf, TEST_TYPE};
use replyd::gateway::simulator::{Fault, Habits};
use replyd::gateway::status::Status;
use replyd::reply::{Fingerprint, IdKey, Mobile, Reply, Suspicion, subscriber_event_id};
use replyd::time::{BeijingTime, Hour, UnixMs};
use serde_json::{Value, json};

use crate::intake::count;
use crate::support::{
    Home, Receiver, Settings, UID, config, execute, gateway, now, reply, subscriber, until,
};

/// The schemas as they stand in the repository.
fn schema(event_type: EventType) -> &'static str {
    match event_type {
        EventType::ReplyReceived => include_str!("../../docs/schemas/reply.received.json"),
        EventType::LoginFailed => include_str!("../../docs/schemas/account.login_failed.json"),
        EventType::Recovered => include_str!("../../docs/schemas/account.recovered.json"),
        EventType::SecondReader => include_str!("../../docs/schemas/account.second_reader.json"),
        EventType::GapOpened => include_str!("../../docs/schemas/gap.opened.json"),
        EventType::GapClosed => include_str!("../../docs/schemas/gap.closed.json"),
        EventType::RecordUnparsed => include_str!("../../docs/schemas/record.unparsed.json"),
        EventType::SubscriberFailing => include_str!("../../docs/schemas/subscriber.failing.json"),
        EventType::SubscriberDisabled => {
            include_str!("../../docs/schemas/subscriber.disabled.json")
        }
        EventType::BalanceLow => include_str!("../../docs/schemas/balance.low.json"),
    }
}

/// The schemas, compiled.
struct Book {
    schemas: Schemas,
    types: Vec<(&'static str, SchemaIndex)>,
}

static BOOK: LazyLock<Book> = LazyLock::new(|| {
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    compiler.enable_format_assertions();
    let mut compile = |(name, schema): (&'static str, &str)| {
        let place = format!("file:///{name}.json");
        let json = serde_json::from_str(schema).unwrap();
        compiler.add_resource(&place, json).unwrap();
        (name, compiler.compile(&place, &mut schemas).unwrap())
    };
    let types = EventType::WORDS.into_iter().map(|(name, event_type)| (name, schema(event_type)));
    let test = include_str!("../../docs/schemas/subscriber.test.json");
    let types = types.chain([(TEST_TYPE, test)]).map(&mut compile).collect();
    Book { schemas, types }
});

/// Why a body does not hold to the schema of its type; none when it does.
pub(crate) fn violation(body: &[u8]) -> Option<String> {
    let body: Value = match serde_json::from_slice(body) {
        Ok(body) => body,
        Err(error) => return Some(error.to_string()),
    };
    let event_type = body["type"].as_str().unwrap_or_default();
    let Some((_, index)) = BOOK.types.iter().find(|(name, _)| *name == event_type) else {
        return Some(format!("there is no schema of {event_type:?}"));
    };
    BOOK.schemas.validate(&body, *index).err().map(|error| format!("{error}: {body}"))
}

/// A reply with something in every key, or with as little as there can be.
fn a_reply(suspect: Option<Suspicion>, mobile: &str) -> Reply {
    let mobile = Mobile::parse(mobile).unwrap();
    let replied_at = "2008-05-27 12:10:11".parse().unwrap();
    let of = Fingerprint { account: "main", mobile: &mobile, replied_at, content: b"" };
    Reply {
        id: IdKey::from_secret(b"a key").reply_id(of, 1),
        account: "main".into(),
        content: "退订\u{fffd}\"\n".into(),
        content_raw: suspect.map(|_| vec![0xff]),
        gateway: suspect.map_or("", |_| "106981").into(),
        occurrence: 1,
        suspect,
        extension: suspect.map(|_| "81".into()),
        in_reply_to: None,
        replied_at,
        mobile: mobile.clone(),
    }
}

/// Each type as the real functions render it, in all the forms that matter.
fn rendered(event_type: EventType) -> Vec<String> {
    let hour = |text: &str| text.parse::<Hour>().unwrap();
    let (first, last) = (hour("2026-11-22_08"), hour("2026-11-22_10"));
    let (at, subscriber) = (last.end(), "crm");
    let notices = match event_type {
        EventType::ReplyReceived => {
            let mobiles = ["13900000001", "+85212345678", "955", "+9551", "10655012345"];
            let suspects = Suspicion::ALL.map(Some).into_iter().chain([None]);
            let replies = suspects.map(|suspect| a_reply(suspect, mobiles[0]));
            let replies = replies.chain(mobiles.map(|mobile| a_reply(None, mobile)));
            let both =
                |reply| [event::reply_received(&reply), event::reply_received_masked(&reply)];
            return replies.flat_map(both).collect();
        }
        EventType::LoginFailed => {
            vec![Notice::LoginFailed { status: 101, meaning: "login failed", next_try: at }]
        }
        EventType::Recovered => vec![Notice::Recovered],
        EventType::SecondReader => vec![Notice::SecondReader { replies: 3, reads: 2 }],
        EventType::GapOpened => vec![Notice::GapOpened { first, last, hours: 3, reason: "cut" }],
        EventType::GapClosed => {
            vec![Notice::GapClosed { first, last, verified: 3, given_up: 0 }]
        }
        EventType::RecordUnparsed => {
            vec![Notice::RecordUnparsed { read: 7, faults: 1, kind: "no_number" }]
        }
        EventType::SubscriberFailing => vec![Notice::SubscriberFailing {
            subscriber,
            since: UnixMs(0),
            disables_at: at,
            last_trouble: "status 503",
        }],
        EventType::BalanceLow => vec![Notice::BalanceLow { balance: 0, threshold: 1 }],
        EventType::SubscriberDisabled => [Some(UnixMs(0)), None]
            .map(|since| Notice::SubscriberDisabled { subscriber, since, reason: "gone" })
            .to_vec(),
    };
    let render = |notice: Notice<'_>| {
        let account = notice.about_subscriber().is_none().then_some("main");
        let id = subscriber_event_id("", event_type.as_str(), at);
        event::notice(NoticeOf { id: &id, account, at }, notice)
    };
    notices.into_iter().map(render).collect()
}

#[test]
fn every_type_is_rendered_as_its_schema_says() {
    for (name, event_type) in EventType::WORDS {
        for body in rendered(event_type) {
            assert!(body.starts_with(&format!("{{\"type\":\"{name}\",")), "{body}");
            assert_eq!(violation(body.as_bytes()), None);
        }
    }
}

/// The keys of an object, and of what it holds, as pointers.
fn keys(value: &Value, prefix: &str) -> Vec<String> {
    let object = value.as_object().into_iter().flatten();
    let key = |(key, inner): (&String, &Value)| {
        let pointer = format!("{prefix}/{key}");
        [vec![pointer.clone()], keys(inner, &pointer)].concat()
    };
    object.flat_map(key).collect()
}

#[test]
fn a_schema_notices_a_missing_key_and_one_of_another_kind_and_allows_a_new_one() {
    for (_, event_type) in EventType::WORDS {
        for body in rendered(event_type) {
            let body: Value = serde_json::from_str(&body).unwrap();
            let is_held = |body: &Value| violation(body.to_string().as_bytes()).is_none();
            for pointer in keys(&body, "") {
                let (parent, key) = pointer.rsplit_once('/').unwrap();
                let mut changed = body.clone();
                changed.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(key);
                assert!(!is_held(&changed), "{pointer} may be missing: {body}");
                // What it answers is not known yet, nor of which kind that will be.
                let others = [json!(0.5), json!([])];
                for other in others.iter().filter(|_| !pointer.ends_with("/in_reply_to")) {
                    let mut changed = body.clone();
                    *changed.pointer_mut(&pointer).unwrap() = other.clone();
                    assert!(!is_held(&changed), "{pointer} may be {other}: {body}");
                }
            }
            for parent in ["", "/data"] {
                let mut changed = body.clone();
                changed.pointer_mut(parent).unwrap()["new_key"] = json!(1);
                assert!(is_held(&changed), "no key may be added: {body}");
            }
        }
    }
}

#[test]
fn a_schema_notices_values_that_are_none_of_the_key() {
    let reply = event::reply_received(&a_reply(None, "13900000001"));
    for (from, to) in [
        ("rpl_", "rpl-"),
        ("139", "1x9"),
        ("T12:10:11+08:00\",\"data", " 12:10:11\",\"data"),
        ("\"occurrence\":1", "\"occurrence\":0"),
        ("\"type\":\"reply.received\"", "\"type\":\"gap.opened\""),
        ("\"type\":\"reply.received\"", "\"type\":\"reply\""),
    ] {
        assert!(reply.contains(from), "{from}");
        assert!(violation(reply.replacen(from, to, 1).as_bytes()).is_some(), "{to}");
    }
}

#[test]
fn the_words_of_what_makes_a_reply_suspect_are_told() {
    let schema: Value = serde_json::from_str(schema(EventType::ReplyReceived)).unwrap();
    let words = &schema["properties"]["data"]["properties"]["suspect"]["examples"];
    assert_eq!(*words, json!(Suspicion::ALL.map(Suspicion::as_str)));
}

/// Every webhook that any receiver of these tests gets is checked; here are those of faults.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_of_a_bad_day_is_as_the_schemas_say() {
    let habits = Habits { min_interval: Duration::from_millis(300), ..Habits::default() };
    let (gateway, crm, ops) =
        (gateway(habits).await, Receiver::start().await, Receiver::start().await);
    let words: Vec<_> = EventType::WORDS.iter().map(|(word, _)| format!("\"{word}\"")).collect();
    let events = format!("allow_private = true\nevents = [{}]", words.join(", "));
    let base_url = gateway.base_url();
    let settings = Settings {
        base_url: &base_url,
        min_interval: "300ms",
        account: "recover = \"4h\"",
        ..Settings::default()
    };
    let text = config(&settings)
        + &subscriber("crm", &crm.url, "allow_private = true\nmask = true")
        + &subscriber("ops", &ops.url, &events);
    let told = |receiver: &Receiver| -> BTreeSet<String> {
        receiver.webhooks().iter().map(|webhook| webhook.json()["type"].to_string()).collect()
    };
    let wait_for = async |types: &[&str]| {
        let types: BTreeSet<String> = types.iter().map(|word| format!("\"{word}\"")).collect();
        until("the events", || types.is_subset(&told(&ops))).await;
    };
    // The account is refused, and let in again when half an hour is over.
    let home = Home::with(&text);
    gateway.fault_next(Fault::Status(Status::LOGIN_FAILED));
    let service = home.serve();
    wait_for(&["account.login_failed"]).await;
    assert_eq!(service.stop(), Some(0));
    execute(&home, "UPDATE account SET refused_until_ms = 0");
    // An answer with what is no record in it, and one that is cut.
    let body = b"100{&}nobody||x||2026-11-22 10:00:00||1069".to_vec();
    let content_type = "text/html".to_owned();
    gateway.fault_next(Fault::Answer { http_status: 200, content_type, body });
    gateway.fault_next(Fault::CutBody { after: 30 });
    gateway.arrive(UID, reply("13900000001", "收到"));
    gateway.arrive(UID, reply("+85212345678", "TD"));
    let service = home.serve();
    wait_for(&["account.recovered", "record.unparsed", "gap.opened", "reply.received"]).await;
    crm.wait_for(2).await;
    assert_eq!(service.stop(), Some(0));
    // No hour that runs can be verified: of the gap only what is long over is left.
    let settled = BeijingTime::hour(now()).number() - 2;
    execute(&home, &format!("DELETE FROM hour WHERE hour > {settled}"));
    assert!(count(&home, "hour WHERE state = 'owed'") > 0);
    let service = home.serve();
    wait_for(&["gap.closed"]).await;
    assert_eq!(service.stop(), Some(0));
    assert_eq!(told(&crm), BTreeSet::from(["\"reply.received\"".to_owned()]));
}
