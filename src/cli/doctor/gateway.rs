//! Each account's gateway: whether it is reached, whether it lets the account in, what is left,
//! and what time it has. It is asked by `/mm` alone, which reads no reply.

use std::time::{Duration, UNIX_EPOCH};

use crate::cli::doctor::finding::Finding;
use crate::cli::exit::Exit;
use crate::clock::Clock;
use crate::config::AccountConfig;
use crate::gateway::client::{Client, Figure, Received};
use crate::gateway::mm::{self, Said};
use crate::gateway::status::Status;
use crate::language::Language;
use crate::store::read::Refusal;
use crate::time::{UnixMs, format_duration};

/// Clocks that differ by less are right: an answer takes its time, and tells whole seconds.
const APART_FAIR: Duration = Duration::from_secs(30);
/// Receivers refuse signatures that are older, or newer, than this.
const APART_MAX: Duration = Duration::from_mins(5);

/// Looks at an account. `refused` is the refusal for which the service leaves it alone.
pub(super) async fn look(
    account: &AccountConfig,
    refused: Option<Refusal>,
    clock: &Clock,
) -> Vec<Finding> {
    let about = format!("account {}", account.name);
    if let Some(refused) = refused {
        return vec![left_alone(&about, refused)];
    }
    let client = match Client::new(account.access()) {
        Ok(client) => client,
        Err(error) => {
            let mend = "set the account's `proxy` right";
            return vec![Finding::bad(Exit::Configuration, about, error.to_string(), mend)];
        }
    };
    let (received, date) = client.mm_dated(Figure::Left).await;
    let now = clock.unix();
    let low = u64::try_from(account.balance_low).unwrap_or(u64::MAX);
    let mut found = vec![login(&about, &received, low)];
    let at = date.as_deref().and_then(|date| httpdate::parse_http_date(date).ok());
    let at = at.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    let at = at.and_then(|at| i64::try_from(at.as_millis()).ok());
    found.extend(at.map(|at| apart(&account.name, now, UnixMs(at))));
    found
}

/// An account that the gateway refused is not asked again by every command: that gets it locked.
fn left_alone(about: &str, refused: Refusal) -> Finding {
    let Refusal { status, until } = refused;
    Finding::bad(
        Exit::Refused,
        about,
        format!(
            "the gateway refused it with {status}: {}; the service leaves it alone until {}, and so does this",
            status.meaning(),
            until.beijing()
        ),
        format!(
            "{}; with another login the next start or reload of the service asks at once",
            status.advice(Language::En)
        ),
    )
}

/// What the gateway said to the login.
fn login(about: &str, received: &Received, low: u64) -> Finding {
    match mm::judge(received) {
        Said::Nothing(why) => Finding::bad(
            Exit::Unreachable,
            about,
            format!("the gateway is not reached: {why}"),
            "see that `base_url` and `proxy` are right and that this machine gets there",
        ),
        Said::Refused(status) => {
            let exit = if status.refuses_account() || status == Status::LOCKED {
                Exit::Refused
            } else {
                Exit::Failed
            };
            let what = format!("the gateway answers {}: {}", status.0, status.meaning());
            Finding::bad(exit, about, what, status.advice(Language::En))
        }
        Said::Count(count) if count <= low && low > 0 => Finding::warn(
            about,
            format!("the login is right; {count} messages are left, `balance_low` is {low}"),
            "buy messages before sending ends; reading goes on without",
        ),
        Said::Count(count) => {
            Finding::ok(about, format!("the login is right; {count} messages are left"))
        }
        Said::Strange => {
            let http = received.http_status.filter(|status| *status != 200);
            let http = http.map(|status| format!(" (HTTP {status})")).unwrap_or_default();
            Finding::bad(
                Exit::Failed,
                about,
                format!("what answers at `base_url` does not speak the gateway's protocol{http}"),
                "see that `base_url` is the gateway's address, without /rx, and that no proxy or \
                 login page of the network answers in its place",
            )
        }
    }
}

/// How far this machine's clock and the gateway's are apart.
fn apart(account: &str, now: UnixMs, gateway: UnixMs) -> Finding {
    let by = if now > gateway { now.since(gateway) } else { gateway.since(now) };
    let about = "clock";
    if by <= APART_FAIR {
        let what =
            format!("as the gateway of {account} has it, to {}", format_duration(APART_FAIR));
        return Finding::ok(about, what);
    }
    let seconds = Duration::from_secs(by.as_secs());
    let side = if now > gateway { "ahead of" } else { "behind" };
    let what =
        format!("this machine is {} {side} the gateway of {account}", format_duration(seconds));
    let mend = "let this machine's clock be set by NTP; if it is right, the gateway's is wrong, and \
                with it the times of replies";
    if by <= APART_MAX {
        Finding::warn(about, what, mend)
    } else {
        let what = format!("{what}: receivers refuse signatures that are five minutes off");
        Finding::bad(Exit::Failed, about, what, mend)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::finding::Level;
    use crate::gateway::client::Ending;

    fn check(body: &str, ending: Ending, expected: (Level, &str)) {
        let received = Received {
            http_status: Some(200),
            ending,
            body: body.as_bytes().to_vec(),
            error: Some("broken".into()),
        };
        let found = login("account main", &received, 10);
        assert_eq!(found.level, expected.0, "{body}: {found:?}");
        assert!(found.what.contains(expected.1), "{body}: {found:?}");
        assert_eq!(found.mend.is_some(), found.level != Level::Ok);
    }

    #[test]
    fn each_answer_to_the_login_is_told() {
        check("100||11", Ending::Announced, (Level::Ok, "11 messages are left"));
        check("100||10", Ending::Connection, (Level::Warn, "`balance_low` is 10"));
        check("101", Ending::Announced, (Level::Bad, "101: login failed"));
        check("120", Ending::Announced, (Level::Bad, "120: system upgrade"));
        check("<html>", Ending::Announced, (Level::Bad, "does not speak"));
        check("100||1", Ending::Cut, (Level::Bad, "is not reached: broken"));
    }

    #[test]
    fn clocks_may_differ_by_what_an_answer_takes() {
        for (now, gateway, level, words) in [
            (0, 30_000, Level::Ok, "as the gateway"),
            (31_999, 0, Level::Warn, "31s ahead of"),
            (0, 300_000, Level::Warn, "5m behind"),
            (3_600_000, 0, Level::Bad, "1h ahead of"),
        ] {
            let found = apart("main", UnixMs(now), UnixMs(gateway));
            assert_eq!(found.level, level, "{found:?}");
            assert!(found.what.contains(words), "{found:?}");
        }
    }
}
