//! Each subscriber: whether its server is reached the way deliveries go, without sending anything,
//! how long its certificate holds, and what the store knows of it.

use std::time::Duration;

use crate::cli::attempt::span;
use crate::cli::doctor::finding::Finding;
use crate::cli::exit::Exit;
use crate::cli::output;
use crate::config::SubscriberConfig;
use crate::delivery::channel::{Channel, Look};
use crate::delivery::explain;
use crate::language::Language;
use crate::store::attempt::Trouble;
use crate::store::subscribers::{Backlog, SubscriberRow};
use crate::time::UnixMs;

/// A server that is not there in this time is not there, whatever deliveries would wait.
const LOOK_MAX: Duration = Duration::from_secs(10);
/// A certificate that ends sooner was not renewed in time: most are renewed a month before.
const CERTIFICATE_LEFT_MIN: Duration = Duration::from_hours(14 * 24);
/// What waits for longer is no work under way any more.
const WAITING_MAX: Duration = Duration::from_hours(1);

/// Looks at a subscriber's server. No request is made.
pub(super) async fn look(subscriber: &SubscriberConfig, now: UnixMs) -> Finding {
    let about = about(&subscriber.name);
    if !subscriber.enabled {
        return Finding::ok(about, "`enabled = false`: not looked at, its deliveries wait");
    }
    match Channel::new(subscriber) {
        Ok(channel) => {
            let look = channel.look(subscriber.timeout.min(LOOK_MAX)).await;
            judge(about, &subscriber.origin(), &look, now)
        }
        Err(error) => {
            let mend = "see that `url` is right and that this machine has roots of trust";
            Finding::bad(Exit::Configuration, about, error, mend)
        }
    }
}

fn about(name: &str) -> String {
    format!("subscriber {name}")
}

fn judge(about: String, origin: &str, look: &Look, now: UnixMs) -> Finding {
    let address = look.address.map(|address| format!(" ({address})")).unwrap_or_default();
    if let Some(trouble) = &look.trouble {
        let what = format!("{origin}{address}: {}", explain::trouble(trouble, Language::En));
        let (exit, mend) = mend(trouble);
        return Finding::bad(exit, about, what, mend);
    }
    let took = [look.timings.resolve, look.timings.connect, look.timings.tls];
    let took: Duration = took.into_iter().flatten().sum();
    let reached = format!("{origin}{address} is reached in {}", span(took));
    let Some(end) = look.certificate_end else { return Finding::ok(about, reached) };
    let day = end.beijing().to_string();
    let day = day.split(' ').next().unwrap_or_default();
    let left = end.since(now);
    let what = format!("{reached}; its certificate holds until {day}");
    if left >= CERTIFICATE_LEFT_MIN {
        return Finding::ok(about, what);
    }
    let what = format!("{what}, {} from now", output::short(left));
    Finding::warn(about, what, "renew the certificate: deliveries fail from then on")
}

/// What to do about a trouble, and the code for it.
fn mend(trouble: &Trouble) -> (Exit, &'static str) {
    match trouble {
        Trouble::Inside { .. } => (
            Exit::Configuration,
            "set `allow_private = true` on the subscriber if its server is to stand inside; if not, \
             see to the name's addresses",
        ),
        Trouble::Resolve { .. } => (
            Exit::Unreachable,
            "see that the name in `url` is right and that this machine's DNS knows it",
        ),
        Trouble::Connect { .. } => (
            Exit::Unreachable,
            "start the server, open its firewall, or set host and port in `url` right",
        ),
        Trouble::Tls { .. } => (
            Exit::Unreachable,
            "let the server show a certificate for this name, by an authority that this machine \
             trusts, with all that stand between",
        ),
        Trouble::Proxy { .. } => (Exit::Unreachable, "see that `proxy` is right and that it runs"),
        _ => (Exit::Unreachable, "see that the server runs, and what stands between"),
    }
}

/// What the store knows of a subscriber: whether it takes anything, and what waits.
pub(super) fn known(row: &SubscriberRow, backlog: &Backlog, now: UnixMs) -> Vec<Finding> {
    let name = &row.name;
    let mut found = Vec::new();
    if let Some((since, why)) = row.disabled {
        let why = explain::disabled(why, Language::En);
        found.push(Finding::warn(
            about(name),
            format!("takes nothing since {}: {why}", since.beijing()),
            format!("`replyd subscribers test {name}`, then `replyd subscribers enable {name}`"),
        ));
    } else if let Some(since) = row.failing_since {
        found.push(Finding::warn(
            about(name),
            format!("every attempt has failed since {}", since.beijing()),
            format!("`replyd subscribers show {name}` tells how; `subscribers test {name}` tries"),
        ));
    }
    let Backlog { waiting, oldest, held, failed } = *backlog;
    if let Some(oldest) = oldest.filter(|oldest| now.since(*oldest) > WAITING_MAX) {
        let age = output::short(now.since(oldest));
        found.push(Finding::warn(
            about(name),
            format!("{waiting} deliveries wait, the oldest for {age}"),
            format!("`replyd deliveries list --subscriber {name} --state waiting` tells why"),
        ));
    }
    if failed > 0 {
        found.push(Finding::warn(
            about(name),
            format!("{failed} deliveries were given up"),
            format!("`replyd deliveries retry --subscriber {name}` tries them again"),
        ));
    }
    if held > 0 {
        found.push(Finding::warn(
            about(name),
            format!("{held} deliveries of suspect replies are held"),
            format!(
                "look with `replyd deliveries list --subscriber {name} --state held --content`"
            ),
        ));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::finding::Level;
    use crate::store::attempt::{Disabled, Timings};

    const NOW: UnixMs = UnixMs(1_000_000_000_000);

    fn judged(days: Option<u64>, trouble: Option<Trouble>) -> Finding {
        let end = days.map(|days| NOW.after(Duration::from_hours(24 * days)));
        let look =
            Look { address: None, timings: Timings::default(), certificate_end: end, trouble };
        judge("a".into(), "https://crm.example.com/…", &look, NOW)
    }

    #[test]
    fn a_certificate_that_ends_soon_is_told() {
        assert_eq!(judged(None, None).level, Level::Ok);
        assert_eq!(judged(Some(14), None).level, Level::Ok);
        let found = judged(Some(13), None);
        assert_eq!(found.level, Level::Warn);
        assert!(found.what.contains("13d from now"), "{found:?}");
        let inside = Trouble::Inside { address: "10.0.0.1".into() };
        assert!(judged(Some(13), Some(inside)).mend.unwrap().contains("allow_private"));
    }

    #[test]
    fn what_waits_or_was_given_up_is_told() {
        let row = |disabled, failing_since| SubscriberRow {
            name: "crm".into(),
            enabled: true,
            absent: false,
            disabled,
            failing_since,
            pace: None,
            renamed_to: None,
        };
        let count = |row: SubscriberRow, backlog| known(&row, &backlog, NOW).len();
        let old = Some(NOW.before(Duration::from_hours(2)));
        assert_eq!(
            count(row(None, None), Backlog { waiting: 5, oldest: Some(NOW), ..Backlog::default() }),
            0
        );
        assert_eq!(
            count(row(None, old), Backlog { waiting: 5, oldest: old, held: 1, failed: 2 }),
            4
        );
        let disabled = row(Some((NOW, Disabled::Failing)), old);
        let found = known(&disabled, &Backlog::default(), NOW);
        assert!(found[0].mend.as_ref().unwrap().contains("subscribers enable crm"), "{found:?}");
    }
}
