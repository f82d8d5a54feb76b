//! `replyd check`: is the configuration right?

use std::path::Path;

use serde_json::json;
use url::Host;

use crate::cli::exit::{Exit, Failure};
use crate::cli::output;
use crate::config::{Config, ConfigErrors, Problem, Secrets, SubscriberConfig};
use crate::delivery::target;
use crate::time::format_duration;

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Arguments {
    /// Do not read secrets from the environment and from files
    #[arg(long)]
    offline: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
It tells everything that is wrong at once: file, line, column, key, and the nearest known name.
What it cannot know without asking the network or the store, `replyd doctor` looks at.

Examples:
  replyd check
  replyd --config other.toml check --offline     on a machine that has not the secrets
  replyd check --json | jq '.problems[]'

Exit codes: 0 right, 78 wrong.";

/// Checks the configuration and prints what it comes to, or everything that is wrong with it.
pub(super) fn check(path: &Path, arguments: &Arguments) -> Result<Exit, Failure> {
    let secrets = if arguments.offline { Secrets::Skip } else { Secrets::Read };
    let loaded = Config::load(path, secrets, target::formats());
    for subscriber in loaded.iter().flat_map(|config| &config.subscribers) {
        if let Some(note) = unvetted(subscriber) {
            output::talk(&note);
        }
    }
    if let Some(note) = loaded.as_ref().ok().and_then(open_to_others) {
        output::talk(&note);
    }
    for note in loaded.iter().flat_map(told_to_both) {
        output::talk(&note);
    }
    if arguments.json {
        output::data(&report(&loaded).to_string());
        return Ok(if loaded.is_ok() { Exit::Done } else { Exit::Configuration });
    }
    for line in summary(&loaded?) {
        output::data(&line);
    }
    Ok(Exit::Done)
}

fn report(loaded: &Result<Config, ConfigErrors>) -> serde_json::Value {
    let problem = |problem: &Problem| {
        let (line, column) = problem.place.map(|place| (place.line, place.column)).unzip();
        json!({ "line": line, "column": column, "key": problem.key, "message": problem.message })
    };
    let problems: Vec<_> = match loaded {
        Ok(_) => Vec::new(),
        Err(errors) => errors.problems().iter().map(problem).collect(),
    };
    json!({ "ok": loaded.is_ok(), "problems": problems })
}

/// What is right, and yet leaves the guard against inside addresses with less to go by: an HTTP
/// proxy is given the name, and resolves it itself.
fn unvetted(subscriber: &SubscriberConfig) -> Option<String> {
    let name = &subscriber.name;
    let proxy = subscriber.proxy.as_ref().filter(|_| !subscriber.allow_private)?;
    match subscriber.url.host() {
        Some(Host::Domain(host)) if proxy.scheme() == "http" => Some(format!(
            "note: subscriber \"{name}\": {host} is resolved by the proxy, so only the URL is vetted: \
             that the name leads to no inside address is the proxy's to see to"
        )),
        _ => None,
    }
}

/// What is right only where somebody has made a token, which the store knows.
fn open_to_others(config: &Config) -> Option<String> {
    let listen = config.server.listen;
    (!config.server.is_local()).then(|| {
        format!(
            "note: server.listen: other machines reach {listen}. `replyd run` starts there only when a token \
             is valid (`replyd token list`), and speaks plain HTTP: put a proxy with TLS in front of it"
        )
    })
}

/// Fallbacks that get what their subscriber gets anyway: that is theirs, and nothing is taken over.
fn told_to_both(config: &Config) -> Vec<String> {
    let of_all = |subscriber: &SubscriberConfig| {
        let fallback = config.subscriber(subscriber.fallback.as_deref()?)?;
        let gets_too = subscriber.events.iter().any(|event| fallback.events.contains(event));
        let (name, of) = (&fallback.name, &subscriber.name);
        gets_too.then(|| {
            format!(
                "note: subscriber \"{name}\" is the fallback of \"{of}\" and gets replies of its own: what both \
                 get is its own too, and waits for \"{of}\" while that is down; with events = [] it only takes over"
            )
        })
    };
    config.subscribers.iter().filter_map(of_all).collect()
}

fn summary(config: &Config) -> Vec<String> {
    let mut lines = vec![format!("{}: right", config.path.display())];
    lines.push(format!("  store       {}", config.store.path.display()));
    for account in &config.accounts {
        let (schedule, interval) = (&account.schedule, format_duration(account.min_interval));
        let host = account.base_url.host_str().unwrap_or_default();
        lines.push(format!(
            "  account     {}: {host}, at \"{schedule}\", at least {interval} apart",
            account.name
        ));
    }
    for subscriber in &config.subscribers {
        let host = subscriber.url.host_str().unwrap_or_default();
        let format = match subscriber.format.is_standard() {
            true => String::new(),
            false => format!(" ({})", subscriber.format.as_str()),
        };
        let state = match (subscriber.enabled, &subscriber.fallback) {
            (true, None) => String::new(),
            (true, Some(fallback)) => format!(", else {fallback}"),
            (false, None) => ", disabled: its deliveries wait".to_owned(),
            (false, Some(fallback)) => format!(", disabled: {fallback} takes over"),
        };
        lines.push(format!("  subscriber  {}: {host}{format}{state}", subscriber.name));
    }
    if config.subscribers.is_empty() {
        lines.push("  no subscriber: replies are kept, and told to nobody".to_owned());
    }
    lines
}
