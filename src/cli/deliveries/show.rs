//! `replyd deliveries show ID`: all about one delivery.

use serde_json::json;

use crate::cli::exit::{Exit, Failure};
use crate::cli::spoken::Spoken;
use crate::cli::{attempt, facts, output};
use crate::clock::Clock;
use crate::config::{Config, Order};
use crate::delivery::waiting::Waits;
use crate::language::Language;
use crate::shape::{Content, DeliveryDetail as Shape, Numbers, from, is_due};
use crate::store::Store;
use crate::store::by_hand::{Counterpart, DeliveryDetail};
use crate::time::UnixMs;

/// Arguments of `deliveries show`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Arguments {
    /// The delivery's number, as `deliveries list` shows it
    #[arg(value_name = "ID", value_parser = clap::value_parser!(i64).range(1..))]
    id: i64,
    #[command(flatten)]
    language: Spoken,
    /// Show what was typed, too
    #[arg(long)]
    content: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
Of each attempt: when, to which address, how long its parts took, the status and the first of the
answer, what went wrong, what came next and why. Attempts are kept for as long as
`store.retain.attempts` says; the last 100 are shown.

Examples:
  replyd deliveries show 17
  replyd deliveries show 17 --lang zh
  replyd deliveries show 17 --json        the facts, and both languages' words";

/// Shows one delivery.
pub(super) async fn show(
    config: &Config,
    store: &Store,
    arguments: &Arguments,
) -> Result<Exit, Failure> {
    let now = Clock::system().unix();
    let Some(mut delivery) = store.delivery(arguments.id, now).await? else {
        let message = format!("replyd: there is no delivery {}", arguments.id);
        return Err(Failure::new(Exit::NotFound, message));
    };
    let subscriber = config.subscriber(&delivery.row.subscriber);
    if subscriber.is_some_and(|subscriber| subscriber.order == Order::None) {
        delivery.behind = None;
    }
    let quiet_hours = subscriber.and_then(|subscriber| subscriber.quiet_hours);
    delivery.quiet_until = quiet_hours.and_then(|hours| hours.end(now));
    let waits = Waits::of(&delivery, now);
    if arguments.json {
        let content = Content::shown_if(arguments.content);
        let shown = (Numbers::Masked, content);
        output::json(&json!(Shape::of(&delivery, waits.as_ref(), shown)));
    } else {
        print(&delivery, waits.as_ref(), arguments);
    }
    Ok(Exit::Done)
}

fn print(delivery: &DeliveryDetail, waits: Option<&Waits>, arguments: &Arguments) {
    let language = arguments.language.language();
    let name = |zh, en| language.pick(zh, en);
    let time = |at: UnixMs| at.beijing().to_string();
    let row = &delivery.row;
    facts::print(
        0,
        &[
            (name("投递", "delivery"), Some(row.id.to_string())),
            (name("订阅方", "subscriber"), Some(row.subscriber.clone())),
            (name("事件", "event"), Some(format!("{}  {}", row.event_id, row.event_type))),
            (name("账号", "account"), row.told.account.clone()),
            (name("来自", "from"), from(row, Numbers::Masked)),
            (name("可疑", "suspect"), row.told.suspect.clone()),
            (name("内容", "content"), row.told.content.clone().filter(|_| arguments.content)),
            (name("状态", "state"), Some(row.state.as_str().to_owned())),
            (name("起因", "trigger"), Some(row.trigger.as_str().to_owned())),
            (
                name("代替", "stands in for"),
                row.stands_in_for.as_ref().map(|first| stands_in_for(first, language)),
            ),
            (
                name("已转给", "taken over by"),
                row.taken_over_by.as_ref().map(|second| taken_over_by(second, language)),
            ),
            (name("建立", "made"), Some(time(row.created))),
            (name("放行或重试", "released or retried"), delivery.released.map(time)),
            (name("到期", "due"), is_due(row).then(|| time(row.due))),
            (name("等待", "waits"), waits.map(|waits| waits.words(language))),
            (name("已试次数", "attempts"), Some(row.attempts.to_string())),
        ],
    );
    for attempt in &delivery.attempts {
        output::data("");
        attempt::print(attempt, language);
    }
    let shown = u32::try_from(delivery.attempts.len()).unwrap_or(u32::MAX);
    if let Some(left) = row.attempts.checked_sub(shown).filter(|left| *left > 0) {
        output::talk(&in_words_left(left, language));
    }
}

/// Whose delivery a fallback's is made instead of.
fn stands_in_for(first: &Counterpart, language: Language) -> String {
    let Counterpart { delivery, subscriber, in_doubt } = first;
    let both = |zh: String, en: String| language.pick(zh, en);
    match in_doubt {
        true => both(
            format!(
                "投递 {delivery}（{subscriber} 不可用；它的最后结果不明，{subscriber} 可能已经收到）"
            ),
            format!(
                "delivery {delivery} to {subscriber}, which is down; its outcome was unclear, so {subscriber} may have it already"
            ),
        ),
        false => both(
            format!("投递 {delivery}（{subscriber} 不可用）"),
            format!("delivery {delivery} to {subscriber}, which is down"),
        ),
    }
}

/// Which delivery a fallback made instead.
fn taken_over_by(second: &Counterpart, language: Language) -> String {
    let Counterpart { delivery, subscriber, in_doubt } = second;
    let both = |zh: String, en: String| language.pick(zh, en);
    match in_doubt {
        true => both(
            format!("备用订阅方 {subscriber}：投递 {delivery}（这里的结果不明，两边可能都收到）"),
            format!(
                "the fallback {subscriber}: delivery {delivery}; the outcome here was unclear, so both may have it"
            ),
        ),
        false => both(
            format!("备用订阅方 {subscriber}：投递 {delivery}"),
            format!("the fallback {subscriber}: delivery {delivery}"),
        ),
    }
}

fn in_words_left(left: u32, language: Language) -> String {
    language.pick(
        format!("另有 {left} 次投递没有显示：已超过保留期、还没有结果，或不在最近 100 次之内"),
        format!("{left} more not shown: kept no longer, without an outcome yet, or not among the last 100"),
    )
}
