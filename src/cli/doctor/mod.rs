//! `replyd doctor`: finds what is wrong and says how to mend it.
//!
//! It looks and changes nothing: it calls the gateway by `/mm`, which reads no reply, and goes to
//! each subscriber's server as far as a request would begin.

mod finding;
mod gateway;
mod machine;
mod receiver;
mod store;

use std::path::Path;

use serde_json::{Value, json};

use crate::cli::exit::{Exit, Failure};
use crate::cli::output;
use crate::cli::progress::Progress;
use crate::cli::table::visible;
use crate::clock::Clock;
use crate::config::{Config, ConfigErrors, Secrets};
use crate::delivery::target;
use crate::store::Store;
use finding::{Finding, Level, exit_of};

/// Arguments of `doctor`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Arguments {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
It looks at the configuration, the clock, the disk and the limits, the store and who works on it,
the login of each account, what is owed and what waits, and at each subscriber's name, address, TLS
and certificate. It never reads a reply (/rx), and sends no webhook: `subscribers test` does that.
Beside a running service it is harmless.

Examples:
  replyd doctor
  replyd doctor --json | jq -r '.findings[] | select(.level != \"ok\").mend'

Exit codes: 0 nothing is wrong, warnings or not; 1 something is; 69 all that is wrong is that a
server is not reached, 77 that the gateway refuses an account, 78 that the configuration is wrong.";

/// Looks at everything.
pub(super) async fn doctor(path: &Path, arguments: &Arguments) -> Result<Exit, Failure> {
    let findings = match Config::load(path, Secrets::Read, target::formats()) {
        Ok(config) => {
            crate::cli::log::start_silent();
            look(path, &config).await?
        }
        Err(errors) => of_configuration(&errors),
    };
    if arguments.json {
        output::json(&as_json(&findings));
    } else {
        print(&findings);
    }
    Ok(exit_of(&findings))
}

async fn look(path: &Path, config: &Config) -> Result<Vec<Finding>, Failure> {
    let clock = Clock::system();
    let progress = Progress::of_words();
    let mut findings = vec![Finding::ok("configuration", format!("{} is right", path.display()))];
    let now = clock.unix();
    findings.push(Finding::ok("clock", format!("in Beijing it is {}", now.beijing())));
    findings.push(machine::files(config));
    findings.push(machine::disk(&config.store.path));
    // Before this process opens the store, which would make it one of those that work on it.
    let processes = machine::processes(&config.store.path);
    findings.push(machine::service(&processes, config.server.listen));
    findings.extend(machine::store_files(&config.store.path));
    progress.say("looking for damage in the store".to_owned());
    let store = match store::open(config) {
        Ok(store) => {
            findings.push(store::whole(&store).await?);
            Some(store)
        }
        Err(finding) => {
            findings.push(finding);
            None
        }
    };
    for account in &config.accounts {
        progress.say(format!("asking the gateway of {}", account.name));
        let (login, now) = (account.login(), clock.unix());
        let refused = match &store {
            Some(store) => store.refusal(&account.name, &login, now).await.ok().flatten(),
            None => None,
        };
        findings.extend(gateway::look(account, refused, &clock).await);
        if let Some(store) = &store {
            findings.push(store::hours(store, &account.name).await?);
        }
    }
    for subscriber in &config.subscribers {
        progress.say(format!("looking at the server of {}", subscriber.name));
        findings.push(receiver::look(subscriber, clock.unix()).await);
    }
    if config.subscribers.is_empty() {
        let what = "there is none: replies are kept, and told to nobody";
        findings.push(Finding::warn(
            "subscriber",
            what,
            "add a [[subscriber]] to the configuration",
        ));
    }
    if let Some(store) = &store {
        findings.extend(waiting(store, &clock).await?);
        store.close().await;
    }
    Ok(findings)
}

async fn waiting(store: &Store, clock: &Clock) -> Result<Vec<Finding>, Failure> {
    let mut findings = Vec::new();
    for row in store.subscribers().await? {
        let backlog = store.backlog(&row.name).await?;
        findings.extend(receiver::known(&row, &backlog, clock.unix()));
    }
    Ok(findings)
}

/// Each thing that is wrong with the configuration: nothing else can be looked at then.
fn of_configuration(errors: &ConfigErrors) -> Vec<Finding> {
    let lines = errors.to_string();
    let bad = |line: &str| {
        let mend = "set it right; `config.toml.example` and `replyd check` tell of every key";
        Finding::bad(Exit::Configuration, "configuration", line, mend)
    };
    lines.lines().map(bad).collect()
}

fn as_json(findings: &[Finding]) -> Value {
    let finding = |finding: &Finding| {
        json!({
            "level": finding.level.as_str(),
            "about": finding.about,
            "what": finding.what,
            "mend": finding.mend,
        })
    };
    let is_ok = findings.iter().all(|finding| finding.level != Level::Bad);
    let warnings = findings.iter().filter(|finding| finding.level == Level::Warn).count();
    let findings: Vec<Value> = findings.iter().map(finding).collect();
    json!({ "ok": is_ok, "warnings": warnings, "findings": findings })
}

fn print(findings: &[Finding]) {
    let widest = findings.iter().map(|finding| finding.about.len()).max().unwrap_or_default();
    for finding in findings {
        let level = format!("{:<4}", finding.level.as_str());
        let level = if output::is_coloured() {
            let colour = match finding.level {
                Level::Ok => 32,
                Level::Warn => 33,
                Level::Bad => 31,
            };
            format!("\u{1b}[{colour}m{level}\u{1b}[0m")
        } else {
            level
        };
        let (about, what) = (&finding.about, visible(&finding.what));
        output::data(&format!("{level}  {about:<widest$}  {what}"));
        if let Some(mend) = &finding.mend {
            output::data(&format!("      {:widest$}  → {}", "", visible(mend)));
        }
    }
    let count = |level| findings.iter().filter(|finding| finding.level == level).count();
    output::talk(&format!(
        "{}, {}",
        output::count(count(Level::Bad), "thing is wrong", "things are wrong"),
        output::count(count(Level::Warn), "warning", "warnings"),
    ));
}
