//! What differs between two configurations: which tasks must be replaced, and what only a
//! restart can change.

use std::collections::BTreeSet;

use crate::config::{AnswerLimits, Config};

/// A task that is made from the configuration, and replaced when that part of it changes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// An account's reads.
    Reader(String),
    /// The watch over an account's messages left.
    Balance(String),
    /// The answers that go out by an account.
    Outbox(String),
    /// A subscriber's deliveries.
    Worker(String),
    /// What others take over from a subscriber that is down.
    Takeover(String),
}

impl Part {
    /// The task's name.
    pub(super) fn task(&self) -> String {
        match self {
            Self::Reader(account) => format!("account {account}"),
            Self::Balance(account) => format!("balance of {account}"),
            Self::Outbox(account) => format!("outbox of {account}"),
            Self::Worker(subscriber) => format!("subscriber {subscriber}"),
            Self::Takeover(subscriber) => format!("fallback of {subscriber}"),
        }
    }
}

/// The parts that a configuration has.
fn parts(config: &Config) -> BTreeSet<Part> {
    let accounts = config.accounts.iter().flat_map(|account| {
        let name = || account.name.clone();
        let balance = (account.balance_low > 0).then(|| Part::Balance(name()));
        [Part::Reader(name()), Part::Outbox(name())].into_iter().chain(balance)
    });
    let subscribers = config.subscribers.iter().flat_map(|subscriber| {
        let name = || subscriber.name.clone();
        let worker = subscriber.enabled.then(|| Part::Worker(name()));
        // One that is switched off is taken over from as well.
        let has_fallback = !config.fallbacks_of(&subscriber.name).is_empty();
        worker.into_iter().chain(has_fallback.then(|| Part::Takeover(name())))
    });
    accounts.chain(subscribers).collect()
}

/// Whether a part is the same in both.
fn is_same(part: &Part, old: &Config, new: &Config) -> bool {
    let same_account = |name: &str| old.account(name) == new.account(name);
    match part {
        Part::Reader(name) | Part::Balance(name) => same_account(name),
        Part::Outbox(name) => same_account(name) && answers(old) == answers(new),
        Part::Worker(name) => old.subscriber(name) == new.subscriber(name),
        Part::Takeover(name) => old.fallbacks_of(name) == new.fallbacks_of(name),
    }
}

/// Whose answers may go out, and how many.
fn answers(config: &Config) -> Vec<(&str, AnswerLimits)> {
    let limits =
        config.subscribers.iter().filter_map(|one| Some((one.name.as_str(), one.answers?)));
    let mut limits: Vec<_> = limits.collect();
    limits.sort_by_key(|(name, _)| *name);
    limits
}

/// What a reload has to do.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// What is to end, and not to begin again.
    pub(super) gone: BTreeSet<Part>,
    /// What is to begin, perhaps in another's place.
    pub(super) begun: BTreeSet<Part>,
}

impl Changes {
    /// What leads from one configuration, or from none, to the next.
    pub(super) fn between(old: Option<&Config>, new: &Config) -> Self {
        let (had, has) = (old.map(parts).unwrap_or_default(), parts(new));
        let is_kept =
            |part: &&Part| had.contains(*part) && old.is_some_and(|old| is_same(part, old, new));
        Self {
            gone: had.difference(&has).cloned().collect(),
            begun: has.iter().filter(|part| !is_kept(part)).cloned().collect(),
        }
    }
}

/// The keys that differ and that only a restart can change.
pub(super) fn need_restart(old: &Config, new: &Config) -> Vec<&'static str> {
    let differ = [
        (old.store.path != new.store.path, "store.url"),
        (old.server.listen != new.server.listen, "server.listen"),
        (old.log != new.log, "[log]"),
    ];
    differ.into_iter().filter_map(|(differs, key)| differs.then_some(key)).collect()
}

/// The new configuration, with what only a restart can change as it is now.
pub(super) fn without_restart(old: &Config, mut new: Config) -> Config {
    new.store.path.clone_from(&old.store.path);
    new.server.listen = old.server.listen;
    new.log = old.log.clone();
    new
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{FormatFacts, Secrets};

    const BASE: &str = r#"
        [[account]]
        name = "main"
        base_url = "http://127.0.0.1:9"
        uid = "9999"
        password = "a"

        [[account]]
        name = "other"
        base_url = "http://127.0.0.1:9"
        uid = "9998"
        password = "a"
        balance_low = 10

        [[subscriber]]
        name = "crm"
        url = "https://crm.example.com/"
        secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
        headers = { authorization = "Bearer a" }

        [[subscriber]]
        name = "off"
        url = "https://off.example.com/"
        secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
        enabled = false
    "#;

    fn config(text: &str) -> Config {
        let formats: &[&FormatFacts] = &[];
        Config::parse(text, Path::new("/c/config.toml"), (&Secrets::Skip, formats)).unwrap()
    }

    fn names(parts: &BTreeSet<Part>) -> Vec<String> {
        parts.iter().map(Part::task).collect()
    }

    #[test]
    fn from_nothing_all_that_is_enabled_begins() {
        let changes = Changes::between(None, &config(BASE));
        assert_eq!(
            names(&changes.begun),
            [
                "account main",
                "account other",
                "balance of other",
                "outbox of main",
                "outbox of other",
                "subscriber crm"
            ]
        );
        assert!(changes.gone.is_empty());
    }

    #[test]
    fn only_what_differs_is_replaced() {
        let of_main = ["account main", "outbox of main"];
        let outboxes = ["outbox of main", "outbox of other", "subscriber crm"];
        // What is replaced in the configuration, what begins, and what ends for good.
        let table: &[(&str, &str, &[&str], &[&str])] = &[
            ("", "", &[], &[]),
            ("uid = \"9999\"", "uid = \"9997\"", &of_main, &[]),
            ("uid = \"9999\"", "uid = \"9999\"\nschedule = \"5 */10 * * * *\"", &of_main, &[]),
            ("Bearer a", "Bearer b", &["subscriber crm"], &[]),
            ("crm.example.com/", "crm.example.com/?x=1", &["subscriber crm"], &[]),
            ("Bearer a\" }", "Bearer a\" }\nallow_reply = true", &outboxes, &[]),
            ("Bearer a\" }", "Bearer a\" }\nenabled = false", &[], &["subscriber crm"]),
            ("enabled = false", "enabled = true", &["subscriber off"], &[]),
            ("enabled = false", "enabled = false\nfallback = \"crm\"", &["fallback of off"], &[]),
            ("name = \"crm\"", "name = \"crm2\"", &["subscriber crm2"], &["subscriber crm"]),
            (
                "balance_low = 10",
                "balance_low = 0",
                &["account other", "outbox of other"],
                &["balance of other"],
            ),
            (
                "[[account]]\n        name = \"main\"",
                "[server]\nlisten = \"127.0.0.1:1\"\n[[account]]\nname = \"main\"",
                &[],
                &[],
            ),
        ];
        for (from, to, begun, gone) in table {
            let new = BASE.replacen(from, to, usize::from(!from.is_empty()));
            let changes = Changes::between(Some(&config(BASE)), &config(&new));
            assert_eq!(names(&changes.begun), *begun, "{from} -> {to}");
            assert_eq!(names(&changes.gone), *gone, "{from} -> {to}");
        }
    }

    #[test]
    fn what_only_a_restart_can_change_stays_and_is_named() {
        let old = config(BASE);
        let new = format!(
            "[store]\nurl = \"sqlite:elsewhere.db\"\nretain = {{ bodies = \"1d\" }}\n[server]\nlisten = \"127.0.0.1:1\"\n\
             [log]\nlevel = \"debug\"\n{BASE}"
        );
        let new = config(&new);
        assert_eq!(need_restart(&old, &new), ["store.url", "server.listen", "[log]"]);
        let merged = without_restart(&old, new.clone());
        assert!(need_restart(&old, &merged).is_empty());
        assert_eq!(merged.store.retain, new.store.retain);
        assert!(need_restart(&old, &config(BASE)).is_empty());
    }
}
