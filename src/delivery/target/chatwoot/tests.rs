use super::*;
use crate::config::ProductConfig;
use crate::delivery::target::text::{self, Event, Teller};
use crate::delivery::target::{Method, Reads, Wish};
use crate::store::attempt::{Disabled, Refusal};
use crate::time::UnixMs;

const URL: &str = "https://chat.example.com/public/api/v1/inboxes/Abc123/";
const BODY: &str = r#"{"type":"reply.received","timestamp":"2008-05-27T12:10:11+08:00","data":{"id":"rpl_000102030405060708090a0b0c0d0e0f","from":"13912341234","content":"收到","gateway":"1068"}}"#;
const MARK: &str = "（编号 0a0b0c0d0e0f）";

/// A message that is brought, and what was answered so far.
struct Way {
    message: Message,
    product: ProductConfig,
    is_again: bool,
    answered: Vec<Answered>,
}

impl Way {
    fn of(body: &str) -> Self {
        let teller = Teller { language: Language::Zh, rules: &TARGET.rules, own: None };
        let message = text::message(&Event::read(body.as_bytes()), teller);
        let product = ProductConfig::default();
        Self { message, product, is_again: false, answered: Vec::new() }
    }

    fn again() -> Self {
        Self { is_again: true, ..Self::of(BODY) }
    }

    fn next(&self) -> Move {
        let url = Url::parse(URL).unwrap();
        assert_eq!((TARGET.facts.url)(&url, false), Ok(()));
        let to = Recipient { url: &url, product: &self.product, now: UnixMs(0) };
        let Self { message, is_again, answered, .. } = self;
        next(&Bringing { message, to, is_again: *is_again, answered })
    }

    #[track_caller]
    fn asks(&self, step: Step) -> Request {
        match self.next() {
            Move::Ask(found, request) => {
                assert_eq!(found, step);
                request
            }
            Move::End(verdict) => panic!("{verdict:?}"),
        }
    }

    fn ends(&self) -> Verdict {
        match self.next() {
            Move::Ask(step, _) => panic!("asks for {step:?}"),
            Move::End(verdict) => verdict,
        }
    }

    fn answered(mut self, step: Step, status: u16, body: &str) -> Self {
        let retry_after = Some(Duration::from_secs(7));
        self.answered.push(Answered { step, status, retry_after, body: body.into() });
        self
    }

    /// As far as the conversation.
    fn found(self, conversations: &str) -> Self {
        self.answered(Step::Contact, 200, r#"{"source_id":"+8613912341234","id":1}"#).answered(
            Step::Conversation,
            200,
            conversations,
        )
    }
}

fn json(request: &Request) -> Value {
    assert_eq!(request.method, Method::Post);
    serde_json::from_str(&request.body).unwrap()
}

#[test]
fn a_message_goes_by_contact_and_conversation() {
    let way = Way::of(BODY);
    let contact = way.asks(Step::Contact);
    assert_eq!(contact.path_and_query, "/public/api/v1/inboxes/Abc123/contacts");
    let expected = json!({
        "source_id": "+8613912341234", "identifier": "+8613912341234",
        "phone_number": "+8613912341234", "name": "13912341234",
    });
    assert_eq!(json(&contact), expected);
    let way = way.answered(Step::Contact, 200, r#"{"source_id":"+8613912341234"}"#);
    let list = way.asks(Step::Conversation);
    let conversations = "/public/api/v1/inboxes/Abc123/contacts/%2B8613912341234/conversations";
    assert_eq!((list.method, list.reads), (Method::Get, Reads::List));
    assert_eq!(list.path_and_query, conversations);
    let way = way.answered(Step::Conversation, 200, "[]");
    let begin = way.asks(Step::NewConversation);
    assert_eq!((begin.method, begin.path_and_query.as_str()), (Method::Post, conversations));
    let way = way.answered(Step::NewConversation, 200, r#"{"id":7,"messages":[]}"#);
    let bring = way.asks(Step::Message);
    assert_eq!(bring.path_and_query, format!("{conversations}/7/messages"));
    let body = json(&bring);
    assert_eq!(body["echo_id"], "rpl_000102030405060708090a0b0c0d0e0f");
    let content = body["content"].as_str().unwrap();
    assert!(content.contains("收到") && content.ends_with(MARK), "{content}");
    let way = way.answered(Step::Message, 200, r#"{"id":31,"content":"…"}"#);
    assert_eq!(way.ends(), answer::delivered());
}

#[test]
fn the_newest_conversation_is_taken_also_of_a_list_that_was_cut() {
    let way = Way::of(BODY).found(r#"[{"id":7,"messages":[]}, {"id":9}, {"id":8}]"#);
    assert!(way.asks(Step::Message).path_and_query.ends_with("/conversations/9/messages"));
    let cut = r#"[{"id":7,"messages":[{"id":99}]},{"id":12,"messages":[{"id":70,"content":"aaa"#;
    let way = Way::of(BODY).found(cut);
    assert!(way.asks(Step::Message).path_and_query.ends_with("/conversations/12/messages"));
}

#[test]
fn an_attempt_that_is_not_the_first_reads_the_conversation_before() {
    let way = Way::again().found(r#"[{"id":7}]"#);
    let look = way.asks(Step::Look);
    assert!(look.path_and_query.ends_with("/conversations/7/messages"), "{}", look.path_and_query);
    assert_eq!((look.method, look.reads), (Method::Get, Reads::List));
    let other = r#"{"id":5,"content":"收到\n（编号 ffffffffffff）"}"#;
    let mine = format!(r#"{{"id":6,"content":"收到\n{MARK}"}}"#);
    let has_it = Way::again().found(r#"[{"id":7}]"#);
    let has_it = has_it.answered(Step::Look, 200, &format!("[{other},{mine}]"));
    assert_eq!(has_it.ends(), answer::delivered());
    let has_not = way.answered(Step::Look, 200, &format!("[{other}]"));
    has_not.asks(Step::Message);
    // Where there was none to bring it to, it has none.
    Way::again().found("[]").asks(Step::NewConversation);
    let new = Way::again().found("[]").answered(Step::NewConversation, 200, r#"{"id":1}"#);
    new.asks(Step::Message);
}

#[test]
fn a_long_conversation_is_read_back_page_by_page_and_not_for_ever() {
    let page = |from: usize| {
        let messages: Vec<String> =
            (from..from + PAGE).map(|id| format!(r#"{{"id":{id},"content":"a"}}"#)).collect();
        format!("[{}]", messages.join(","))
    };
    let mut way = Way::again().found(r#"[{"id":7}]"#);
    for number in 0..PAGES_MAX {
        let look = way.asks(Step::Look);
        let from = 1_000 - number * PAGE;
        let before = format!("?before={}", from + PAGE);
        assert_eq!(look.path_and_query.ends_with(&before), number > 0, "{}", look.path_and_query);
        way = way.answered(Step::Look, 200, &page(from));
    }
    way.asks(Step::Message);
}

#[test]
fn each_steps_answer_is_judged_and_named() {
    let gone = (Refusal::Gone, Wish::Disable(Disabled::Gone));
    let busy = (Refusal::Busy, Wish::None);
    let refused = (Refusal::Refused, Wish::Abort);
    let throttled = (Refusal::Throttled, Wish::Wait(Duration::from_secs(7)));
    let unclear = (Refusal::Unreadable, Wish::None);
    let missing = r#"{"error":"Resource could not be found"}"#;
    for (step, status, body, expected) in [
        (Step::Contact, 404, missing, gone),
        (Step::Contact, 404, "404 page not found", busy),
        (Step::Contact, 500, "<html>", busy),
        (Step::Contact, 401, "", busy),
        (Step::Contact, 422, r#"{"message":"Phone number should be in e164 format"}"#, refused),
        (Step::Conversation, 404, missing, busy),
        (Step::NewConversation, 429, "Retry later", throttled),
        (Step::NewConversation, 200, "<html>login</html>", unclear),
        (Step::Look, 502, "", busy),
        (Step::Message, 404, missing, busy),
        (Step::Message, 500, "", busy),
        (Step::Message, 502, "", unclear),
        (Step::Message, 504, "", unclear),
        (Step::Message, 422, "", refused),
        (Step::Message, 429, "", throttled),
        (Step::Message, 200, "<html>login</html>", unclear),
    ] {
        let way =
            Way::of(BODY).found(if step == Step::NewConversation { "[]" } else { "[{\"id\":1}]" });
        let Verdict { trouble, wish } = way.answered(step, status, body).ends();
        let Some(Trouble::Step { step: found, of }) = trouble else { panic!("{trouble:?}") };
        let Trouble::Product { product, code, refusal, .. } = *of else { panic!("{of:?}") };
        assert_eq!((found, product.as_str()), (step, WORD));
        assert_eq!((refusal, wish), expected, "{step:?} {status}");
        assert!(status == 200 || code == status.to_string(), "{code}");
        let is_known = (TARGET.advice)(&code).is_some();
        assert!(is_known || !matches!(refusal, Refusal::Refused | Refusal::Gone), "{code}");
    }
}

#[test]
fn who_wrote_is_told_apart_by_the_number() {
    for (from, source, is_phone) in [
        ("13912341234", "+8613912341234", true),
        ("+85261234567", "+85261234567", true),
        ("1068112", "1068112", false),
        ("+", "_", false),
        ("a/b?c", "a_b_c", false),
    ] {
        let body = BODY.replace("13912341234", from);
        let contact = json(&Way::of(&body).asks(Step::Contact));
        assert_eq!(contact["source_id"], source, "{from}");
        assert_eq!(contact.get("phone_number").is_some(), is_phone, "{from}");
    }
    let alert = r#"{"type":"gap.opened","timestamp":"2008-05-27T12:10:11+08:00","data":{"id":"evt_1","account":"main"}}"#;
    let contact = json(&Way::of(alert).asks(Step::Contact));
    assert_eq!((&contact["source_id"], &contact["name"]), (&json!("replyd"), &json!("replyd")));
}

#[test]
fn the_contact_is_proven_where_there_is_a_token() {
    let mut way = Way::of(BODY);
    way.product.secret = Some("key".to_owned().into());
    let contact = json(&way.asks(Step::Contact));
    // HMAC-SHA256 with the key `key`.
    let expected = identifier_hash("key", "+8613912341234");
    assert_eq!(contact["identifier_hash"], expected);
    let known = identifier_hash("key", "The quick brown fox jumps over the lazy dog");
    assert_eq!(known, "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8");
}

#[test]
fn only_an_inboxs_url_is_one() {
    let url = |text: &str| (TARGET.facts.url)(&Url::parse(text).unwrap(), true).is_ok();
    assert!(url("https://a.example/public/api/v1/inboxes/x"));
    assert!(url("https://a.example/chat/public/api/v1/inboxes/x/"));
    for wrong in [
        "https://a.example/",
        "https://a.example/public/api/v1/inboxes/",
        "https://a.example/public/api/v1/inboxes/x/contacts",
        "https://a.example/app/accounts/1/inbox/1",
    ] {
        assert!(!url(wrong), "{wrong}");
    }
}

#[test]
fn texts_with_their_mark_are_no_longer_than_taken() {
    let mut way = Way::of(&BODY.replace("收到", &"好".repeat(20_000)));
    way = way.found(r#"[{"id":1}]"#);
    let content = json(&way.asks(Step::Message))["content"].as_str().unwrap().to_owned();
    assert!(content.ends_with(MARK) && content.encode_utf16().count() <= 10_000);
}
