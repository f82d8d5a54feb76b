use std::collections::BTreeMap;

use super::*;
use crate::config::Secret;
use crate::store::attempt::Refusal;

/// What a recorded answer must be taken for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Expected {
    Delivered,
    Throttled(&'static str, Option<Duration>),
    Busy(&'static str),
    Refused(&'static str),
    Gone(&'static str),
    Unreadable,
    Status(u16),
}

/// A product with a short text and a small rate.
pub(crate) const WECOM: &Target = &wecom::TARGET;

/// Who gets what a test sends.
pub(super) struct To {
    url: Url,
    product: ProductConfig,
    now: UnixMs,
}

pub(super) fn recipient(
    url: &str,
    secret: Option<&str>,
    options: &[(&str, &str)],
    now_ms: i64,
) -> To {
    let secret_of = |text: &str| Secret::from(text.to_owned());
    let options: BTreeMap<_, _> =
        options.iter().map(|(name, value)| ((*name).to_owned(), secret_of(value))).collect();
    let secret = secret.map(secret_of);
    let product = ProductConfig { secret, options, ..ProductConfig::default() };
    To { url: Url::parse(url).unwrap(), product, now: UnixMs(now_ms) }
}

/// The request that brings this text. Its URL is one that the configuration takes.
pub(super) fn sent(target: &Target, text: &str, to: &To) -> Request {
    let has_secret = to.product.secret.is_some();
    assert_eq!((target.facts.url)(&to.url, has_secret), Ok(()));
    let nowhere = Url::parse("https://example.com/").unwrap();
    assert!((target.facts.url)(&nowhere, false).is_err(), "no URL is wrong");
    let request = bring(target, text, to);
    assert_eq!(request.method, Method::Post);
    assert_eq!(request.headers[0].1, "application/json; charset=utf-8");
    request
}

fn bring(target: &Target, text: &str, to: &To) -> Request {
    let message =
        Message { id: "rpl_1".into(), title: "SMS".into(), text: text.into(), event: None };
    target.bring(&message, Recipient { url: &to.url, product: &to.product, now: to.now })
}

/// The request that brings this text by a preset.
pub(super) fn preset(word: &str, (url, secret): (&str, Option<&str>), text: &str) -> Request {
    let (target, to) = (named(word).unwrap(), recipient(url, secret, &[], 0));
    assert_eq!((target.facts.url)(&to.url, secret.is_some()), Ok(()));
    bring(target, text, &to)
}

/// Checks what an answer is taken for; each asks for a wait of seven seconds by its header.
#[track_caller]
pub(super) fn judged(target: &Target, status: u16, body: &str, expected: Expected) {
    let retry_after = Some(Duration::from_secs(7));
    let answer = Answer { status, retry_after, webhook_delivery: None, body: body.as_bytes() };
    let verdict = target.meaning(&ProductConfig::default(), answer);
    let (code, refusal, wish) = match expected {
        Expected::Delivered => {
            assert_eq!(verdict, answer::delivered(), "{body}");
            return;
        }
        Expected::Status(status) => {
            assert_eq!(verdict.trouble, Some(Trouble::Status { status }), "{body}");
            return;
        }
        Expected::Throttled(code, wait) => {
            // Where a product does not say how long, its header does.
            let wait = wait.or(retry_after).map_or(Wish::None, Wish::Wait);
            (code, Refusal::Throttled, wait)
        }
        Expected::Busy(code) => (code, Refusal::Busy, Wish::Wait(Duration::from_secs(7))),
        Expected::Refused(code) => (code, Refusal::Refused, Wish::Abort),
        Expected::Gone(code) => (code, Refusal::Gone, Wish::Disable(Disabled::Gone)),
        Expected::Unreadable => ("", Refusal::Unreadable, Wish::Wait(Duration::from_secs(7))),
    };
    let Some(Trouble::Product { product, code: found, refusal: how, .. }) = &verdict.trouble else {
        panic!("{body}: {verdict:?}");
    };
    assert_eq!((product.as_str(), found.as_str()), (target.facts.word, code), "{body}");
    assert_eq!((*how, verdict.wish), (refusal, wish), "{body}");
    if matches!(how, Refusal::Refused | Refusal::Gone) && !code.is_empty() {
        // What a preset says, the words for its meaning have to explain.
        let is_known = (target.advice)(code).is_some() || target.definition.is_some();
        assert!(is_known || code == "TriggerInputSchemaMismatch", "{code}: nothing to do");
    }
}

#[test]
fn every_product_can_be_configured_by_its_word() {
    for target in all() {
        let word = target.facts.word;
        assert!(std::ptr::eq(named(word).unwrap(), target), "{word} stands twice");
        assert!(of(Format::of(&target.facts)).is_some());
        let is_own = word == FormatFacts::TEMPLATE;
        assert!(is_own || target.facts.rate.is_some(), "{word}");
        assert!(target.rules.max > 500, "{word}");
        assert_ne!(word, "standard");
    }
    assert!(of(Format::STANDARD).is_none());
    assert_eq!(formats().len(), TARGETS.len() + 7);
}

#[test]
fn whatever_the_format_headers_are_heeded() {
    let asks = |status, webhook_delivery, retry_after: Option<u64>| {
        let retry_after = retry_after.map(Duration::from_secs);
        let answer = Answer { status, retry_after, webhook_delivery, body: b"{}" };
        [&template::TARGET, WECOM].map(|target| {
            let verdict = target.meaning(&ProductConfig::default(), answer);
            (verdict.trouble.is_some(), verdict.wish)
        })
    };
    let disable = Wish::Disable(Disabled::Asked);
    assert_eq!(asks(200, Some("disable"), None), [(true, disable), (true, disable)]);
    assert_eq!(asks(500, Some("abort-message"), Some(7)), [(true, Wish::Abort); 2]);
    assert_eq!(asks(500, None, Some(7)), [(true, Wish::Wait(Duration::from_secs(7))); 2]);
    assert_eq!(asks(500, None, None), [(true, Wish::None); 2]);
}

#[test]
fn further_query_goes_behind_what_there_is() {
    for (url, further, expected) in [
        ("https://a.example/b?c=1", "d=2", "/b?c=1&d=2"),
        ("https://a.example/b", "d=2", "/b?d=2"),
        ("https://a.example/b?c=%20", "", "/b?c=%20"),
        ("https://a.example", "", "/"),
    ] {
        assert_eq!(path_and_query(&Url::parse(url).unwrap(), further), expected);
    }
}
