//! The sections `[[subscriber]]`: where replies are delivered.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use secrecy::ExposeSecret;
use toml::de::DeValue;
use url::Url;

use super::account::AccountConfig;
use super::address::is_inside;
use super::fallback::Fallbacks;
use super::format::{Format, Formats};
use super::names::{self, Names};
use super::product::{self, ProductConfig};
use super::quiet::QuietHours;
use super::rate::RateLimit;
use super::reader::{Section, Value};
use super::report::{Fault, nearest};
use super::secret::{Purpose, Secret, Vault, WebhookSecret};
use super::{filter, headers, urls};
use crate::event::EventType;
use crate::language::Language;
use crate::route::Filter;

const KIND: &str = "[[subscriber]]";
/// Answers cost money: few enough that a mistake costs little.
const REPLY_RATE: RateLimit = RateLimit { count: 10, per: Duration::from_mins(1) };
const REPLY_BUDGET: usize = 200;
const REPLY_BUDGETS: std::ops::RangeInclusive<usize> = 0..=1_000_000;
const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const WEEK: Duration = Duration::from_hours(7 * 24);

/// More secrets at once than any rotation needs; each is a signature on every request.
const SECRETS: RangeInclusive<usize> = 1..=5;
/// None at all is for one that only takes over from others.
const EVENTS: RangeInclusive<usize> = 0..=EventType::WORDS.len();
const RETRIES: RangeInclusive<usize> = 1..=20;
const ACCOUNTS_MAX: usize = 1000;
const YEAR: Duration = Duration::from_hours(365 * 24);
const DISABLE_AFTER: Duration = Duration::from_hours(5 * 24);
const TIMEOUT: Duration = Duration::from_secs(15);
const TIMEOUT_MAX: Duration = Duration::from_mins(5);
const CONCURRENCY: usize = 8;
const CONCURRENCIES: RangeInclusive<usize> = 1..=64;
/// Messages to a product go out one after the other: in a chat they are read in that order.
const ONE_BY_ONE: RangeInclusive<usize> = 1..=1;

/// In which order one person's replies go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// By the time of the replies, one at a time.
    Mobile,
    /// In any: they may overtake each other.
    None,
}

impl Order {
    /// Every order and its word.
    pub const WORDS: [(&str, Self); 2] = [("mobile", Self::Mobile), ("none", Self::None)];
}

/// How many of a receiver's answers are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerLimits {
    /// How many in which time; the others wait.
    pub rate: RateLimit,
    /// How many on one day in Beijing; the others are withheld.
    pub budget: usize,
}

/// One destination of replies. `Debug` shows no secret, no header's value, and of URLs only
/// where they lead.
#[derive(Clone, PartialEq)]
pub struct SubscriberConfig {
    /// Its name: unique, 1 to 64 of `a-z A-Z 0-9 . _ -`.
    pub name: String,
    /// Where deliveries are sent: `https`, or `http` where that is allowed; without login and
    /// fragment. May hold secrets in its path and query.
    pub url: Url,
    /// What webhooks are signed with, 1 to 5: each signs. None for a product, which has its own.
    pub secrets: Vec<WebhookSecret>,
    /// What a delivery looks like.
    pub format: Format,
    /// What only a product's format has.
    pub product: ProductConfig,
    /// The accounts whose replies it gets; none named means all.
    pub accounts: Vec<String>,
    /// The events that it gets; none where it only takes over from others.
    pub events: Vec<EventType>,
    /// `match`: which replies it gets, by what is in them.
    pub filter: Filter,
    /// How old a reply may be when it is kept; an older one is not sent.
    pub since: Option<Duration>,
    /// Whether it gets numbers masked.
    pub mask: bool,
    /// The waits after failures, 1 to 20; the last repeats.
    pub retry: Vec<Duration>,
    /// How long after its reply was kept a delivery is given up.
    pub give_up: Duration,
    /// After how long of nothing but failures it is disabled.
    pub disable_after: Duration,
    /// How long one attempt may take in all.
    pub timeout: Duration,
    /// How many deliveries may be under way at once.
    pub concurrency: usize,
    /// How many deliveries it is sent at most, in which time.
    pub rate_limit: Option<RateLimit>,
    /// In which order one person's replies go out.
    pub order: Order,
    /// The subscriber that takes over while this one is down.
    pub fallback: Option<String>,
    /// When of every day it is not sent to: what is due then goes out afterwards.
    pub quiet_hours: Option<QuietHours>,
    /// Further headers by lower-case name; values are printable ASCII.
    pub headers: Vec<(String, Secret)>,
    /// The proxy to it: `http` or `socks5`.
    pub proxy: Option<Url>,
    /// Whether deliveries are made; if not, they wait.
    pub enabled: bool,
    /// Whether suspect replies wait until somebody releases them.
    pub hold_suspect: bool,
    /// How many of its receiver's answers are sent to those who wrote; none where none is.
    pub answers: Option<AnswerLimits>,
    /// Whether it may stand on an inside address, and be reached by plain `http`.
    pub allow_private: bool,
    /// Whether it may be reached by plain `http`.
    pub allow_http: bool,
}

impl fmt::Debug for SubscriberConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("SubscriberConfig")
            .field("name", &self.name)
            .field("url", &urls::shown(&self.url))
            .field("secrets", &self.secrets.len())
            .field("format", &self.format)
            .field("product", &self.product)
            .field("accounts", &self.accounts)
            .field("events", &self.events)
            .field("filter", &self.filter)
            .field("since", &self.since)
            .field("mask", &self.mask)
            .field("retry", &self.retry)
            .field("give_up", &self.give_up)
            .field("disable_after", &self.disable_after)
            .field("timeout", &self.timeout)
            .field("concurrency", &self.concurrency)
            .field("rate_limit", &self.rate_limit)
            .field("order", &self.order)
            .field("fallback", &self.fallback)
            .field("quiet_hours", &self.quiet_hours)
            .field("headers", &headers)
            .field("proxy", &self.proxy.as_ref().map(urls::shown))
            .field("enabled", &self.enabled)
            .field("hold_suspect", &self.hold_suspect)
            .field("answers", &self.answers)
            .field("allow_private", &self.allow_private)
            .field("allow_http", &self.allow_http)
            .finish()
    }
}

/// Reads every subscriber. `accounts` are those that one may choose from, with all their names.
pub(super) fn read_all(
    top: &mut Section<'_, '_>,
    (accounts, account_names): (&[AccountConfig], &Names),
    (vault, formats): (&Vault<'_>, &Formats),
) -> Vec<SubscriberConfig> {
    let (mut names, mut fallbacks) = (Names::default(), Fallbacks::default());
    let mut subscribers = Vec::new();
    for (number, table) in top.tables("subscriber").into_iter().flatten().enumerate() {
        let mut section = top.item(KIND, number, table);
        let known = (&mut names, &mut fallbacks);
        let subscriber = read(&mut section, known, account_names, (vault, formats));
        if let Some(subscriber) = &subscriber {
            extension_is_possible(&mut section, subscriber, accounts);
        }
        section.finish();
        subscribers.extend(subscriber);
    }
    fallbacks.vet(top, &names, &subscribers);
    subscribers
}

fn read(
    section: &mut Section<'_, '_>,
    (names, fallbacks): (&mut Names, &mut Fallbacks),
    accounts: &Names,
    (vault, formats): (&Vault<'_>, &Formats),
) -> Option<SubscriberConfig> {
    let name = names.read(section);
    let fallback = fallbacks.read(section, name.as_deref().unwrap_or_default());
    let allow_private = section.flag("allow_private", false);
    let allow_http = section.flag("allow_http", false);
    let reach = Reach { inside: allow_private, plain: allow_http || allow_private };
    let url = section.required("url", |value| {
        // With a product it is the URL that holds the token.
        let text = match value.toml() {
            DeValue::Table(_) => vault.open(value, Purpose::Url)?,
            _ => value.text()?.to_owned().into(),
        };
        url(text.expose_secret(), reach).map_err(|error| value.fault(error))
    });
    let format = product::format(section, (formats, vault.folder));
    let facts = format.and_then(Format::facts);
    let (secrets, product_secret) = match (format, facts) {
        (Some(_), None) => (secrets(section, vault), None),
        (Some(_), Some(_)) => (Some(Vec::new()), product::secret(section, vault)),
        // What it has to be is not known.
        (None, _) => (section.read("secret", |_| Ok(Vec::new())), None),
    };
    if let (Some(facts), Some(url)) = (facts, &url) {
        product::vet_url(section, facts, (url, product_secret.is_some()));
    }
    let accounts = known_accounts(section, accounts);
    let events = section.list("events", EVENTS, |item| item.choice(&EventType::WORDS));
    let filter = filter::read(section.section("match", "[subscriber.match]"));
    let since = section
        .read("since", |value| unless_empty(value, |value| value.duration(MILLISECOND..=YEAR)));
    let mask = section.flag("mask", false);
    if mask && facts.is_some_and(|facts| facts.needs_number) {
        section.wrong("mask", "cannot be: this product tells customers apart by their numbers");
    }
    let retry = section.list("retry", RETRIES, |item| item.duration(MILLISECOND..=WEEK));
    let give_up = section.duration("give_up", WEEK, MILLISECOND..=YEAR);
    let disable_after = section.duration("disable_after", DISABLE_AFTER, MILLISECOND..=YEAR);
    let timeout = section.duration("timeout", TIMEOUT, MILLISECOND..=TIMEOUT_MAX);
    let concurrencies = if facts.is_some() { ONE_BY_ONE } else { CONCURRENCIES };
    let concurrency = section.read("concurrency", |value| value.integer(concurrencies));
    let rate_limit = section
        .read("rate_limit", |value| unless_empty(value, |value| value.parse(RateLimit::parse)));
    let order = section.choice("order", Order::Mobile, &Order::WORDS);
    let quiet_hours = section
        .read("quiet_hours", |value| unless_empty(value, |value| value.parse(QuietHours::parse)));
    let headers = headers::read(section, vault, facts);
    let (text, definition) = product::template(section, facts, &headers, vault);
    let product = ProductConfig {
        secret: product_secret,
        options: product::options(section, facts, vault),
        lang: section.choice("lang", Language::Zh, &Language::WORDS),
        text,
        definition,
    };
    let proxy = section.read("proxy", |value| value.parse(urls::proxy)).flatten();
    let enabled = section.flag("enabled", true);
    let hold_suspect = section.flag("hold_suspect", false);
    let answers = answers(section, facts.is_some());
    Some(SubscriberConfig {
        name: name?,
        url: url?,
        secrets: secrets?,
        events: events.unwrap_or_else(|| vec![EventType::ReplyReceived]),
        retry: retry.unwrap_or_else(default_retry),
        concurrency: concurrency.unwrap_or(if facts.is_some() { 1 } else { CONCURRENCY }),
        since: since.flatten(),
        quiet_hours: quiet_hours.flatten(),
        rate_limit: rate_limit.unwrap_or_else(|| facts.and_then(|facts| facts.rate)),
        format: format?,
        product,
        accounts,
        filter,
        mask,
        give_up,
        disable_after,
        timeout,
        order,
        fallback,
        headers,
        proxy,
        enabled,
        hold_suspect,
        answers,
        allow_private,
        allow_http,
    })
}

/// How many answers are sent, where any is.
fn answers(section: &mut Section<'_, '_>, is_product: bool) -> Option<AnswerLimits> {
    let is_allowed = section.flag("allow_reply", false);
    let rate = section.read("reply_rate", |value| value.parse(RateLimit::parse));
    let budget = section.read("reply_budget", |value| value.integer(REPLY_BUDGETS));
    if is_allowed && is_product {
        section.wrong("allow_reply", "only a webhook's receiver can answer");
    }
    is_allowed.then(|| AnswerLimits {
        rate: rate.unwrap_or(REPLY_RATE),
        budget: budget.unwrap_or(REPLY_BUDGET),
    })
}

/// A value for which the empty string means that there is none.
fn unless_empty<T>(
    value: &Value<'_>,
    read: impl FnOnce(&Value<'_>) -> Result<T, Fault>,
) -> Result<Option<T>, Fault> {
    if value.toml().as_str() == Some("") { Ok(None) } else { read(value).map(Some) }
}

fn default_retry() -> Vec<Duration> {
    let hours = [2, 5, 10, 14, 20, 24].into_iter().map(|hours| HOUR * hours);
    [SECOND * 5, MINUTE * 5, MINUTE * 30].into_iter().chain(hours).collect()
}

/// What a subscriber's URL may be beyond `https` to the open network.
#[derive(Clone, Copy)]
struct Reach {
    inside: bool,
    plain: bool,
}

fn url(text: &str, reach: Reach) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "not a URL like https://crm.example.com/hooks/sms")?;
    match url.scheme() {
        "https" => {}
        "http" if reach.plain => {}
        "http" => return Err("is plain http, which needs allow_http = true"),
        _ => return Err("must be an https URL"),
    }
    if urls::has_login(&url) {
        return Err("must not hold a user name or password: put them in headers");
    }
    if url.fragment().is_some() {
        return Err("must not have a fragment, which is never sent");
    }
    if !reach.inside && urls::literal_address(&url).is_some_and(is_inside) {
        return Err("is an inside address, which needs allow_private = true");
    }
    Ok(url)
}

/// One secret, or a list of them while they are rotated.
fn secrets(section: &mut Section<'_, '_>, vault: &Vault<'_>) -> Option<Vec<WebhookSecret>> {
    let items = section.required("secret", |value| match value.toml() {
        DeValue::Array(_) => value.items(SECRETS).map(Some),
        _ => Ok(None),
    })?;
    match items {
        Some(items) => {
            let read = |item| section.note(WebhookSecret::read(item, vault));
            items.iter().map(read).collect::<Vec<_>>().into_iter().collect()
        }
        None => section.read("secret", |value| Ok(vec![WebhookSecret::read(value, vault)?])),
    }
}

/// The accounts that it names, all of which must be there.
fn known_accounts(section: &mut Section<'_, '_>, known: &Names) -> Vec<String> {
    let read = |item: &Value<'_>| {
        let name = item.parse(names::name)?;
        let stranger = (!known.contains(&name)).then(|| stranger(item, &name, known));
        Ok((name, stranger))
    };
    let found = section.list("accounts", 0..=ACCOUNTS_MAX, read).unwrap_or_default();
    let keep = |(name, stranger): (String, Option<Fault>)| {
        if let Some(fault) = stranger {
            section.absence(fault);
        }
        name
    };
    found.into_iter().map(keep).collect()
}

/// A match by extension, where no account has a number that an extension could follow, would keep
/// every reply from the subscriber.
fn extension_is_possible(
    section: &mut Section<'_, '_>,
    subscriber: &SubscriberConfig,
    accounts: &[AccountConfig],
) {
    let is_of = |account: &&AccountConfig| {
        subscriber.accounts.is_empty() || subscriber.accounts.contains(&account.name)
    };
    let mut of_it = accounts.iter().filter(is_of).peekable();
    // Where an account could not be read, that is told.
    let is_known = of_it.peek().is_some();
    if !subscriber.filter.extension.is_empty() && is_known && of_it.all(|it| it.number.is_none()) {
        section.wrong(
            "match",
            "asks for an extension, but none of its accounts has a number that one could follow",
        );
    }
}

fn stranger(item: &Value<'_>, name: &str, known: &Names) -> Fault {
    let near = nearest(name, known.iter());
    let hint = near.map(|near| format!("; did you mean \"{near}\"?")).unwrap_or_default();
    item.fault(format_args!("no [[account]] has the name \"{name}\"{hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_reach_only_what_is_allowed() {
        let inside = Err("is an inside address, which needs allow_private = true");
        let plain = Err("is plain http, which needs allow_http = true");
        let cases: [(&str, [Result<(), &str>; 3]); 13] = [
            // Each by default, with allow_http and with allow_private.
            ("https://crm.example.com/hooks?key=1", [Ok(()); 3]),
            ("http://crm.example.com/hooks", [plain, Ok(()), Ok(())]),
            ("https://8.8.8.8/", [Ok(()); 3]),
            ("https://127.0.0.1/", [inside, inside, Ok(())]),
            ("https://2130706433/", [inside, inside, Ok(())]),
            ("https://0x7f.1/", [inside, inside, Ok(())]),
            ("https://127.1/", [inside, inside, Ok(())]),
            ("https://①②⑦.0.0.1/", [inside, inside, Ok(())]),
            ("https://[::ffff:10.0.0.1]/", [inside, inside, Ok(())]),
            ("http://169.254.169.254/", [plain, inside, Ok(())]),
            ("ftp://crm.example.com", [Err("must be an https URL"); 3]),
            (
                "https://a:b@crm.example.com",
                [Err("must not hold a user name or password: put them in headers"); 3],
            ),
            (
                "https://crm.example.com/#a",
                [Err("must not have a fragment, which is never sent"); 3],
            ),
        ];
        let reaches = [(false, false), (false, true), (true, true)];
        for (text, expected) in cases {
            let found =
                reaches.map(|(inside, plain)| url(text, Reach { inside, plain }).map(|_| ()));
            assert_eq!(found, expected, "{text}");
        }
    }
}
