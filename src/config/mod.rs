//! The configuration: typed sections, read and checked as a whole.
//!
//! Every key has one reader and one default, and `config.toml.example` shows each. Loading tells
//! everything that is wrong at once, where it stands, and never what the file holds: a line may
//! hold a secret.
//!
//! This room does not know what the values are used for, and resolves no names.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use secrecy::ExposeSecret;
use toml::de::DeTable;

pub use account::{AccountConfig, Reconcile};
pub use address::is_inside;
pub use cron::{Cron, CronError};
pub use error::{ConfigErrors, Place, Problem};
pub use format::{Format, FormatFacts, Formats, OptionFacts, ReadFormat};
pub use names::name;
pub use product::ProductConfig;
pub use quiet::QuietHours;
pub use rate::RateLimit;
pub use retain::RetainConfig;
pub use secret::{Secret, WebhookSecret, WebhookSecretError, without_line_end};
pub use source::{SecretSource, Secrets, SourceError};
pub use subscriber::{AnswerLimits, Order, SubscriberConfig};

use crate::reply::IdKey;
use reader::{Section, Value};
use report::{Fault, Lines, Report};
use secret::{Purpose, Vault};

mod account;
mod address;
mod cron;
mod error;
mod fallback;
mod filter;
mod format;
mod headers;
mod names;
mod product;
mod quiet;
mod rate;
mod reader;
mod report;
mod retain;
mod secret;
mod shown;
mod source;
mod subscriber;
mod urls;

/// A configuration of every key with its default and an explanation.
pub const EXAMPLE: &str = include_str!("../../config.toml.example");

/// A configuration of a thousand accounts is a tenth of this: more is some other file.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Nobody has as many names for one machine.
const SERVER_HOSTS_MAX: usize = 32;
/// A shorter key could be found by trying.
const ID_KEY_BYTES_MIN: usize = 16;

/// A configuration in which every value has been checked. `Debug` shows no secret.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file that it was loaded from, as it was named.
    pub path: PathBuf,
    /// `[store]`
    pub store: StoreConfig,
    /// `[server]`
    pub server: ServerConfig,
    /// `[log]`
    pub log: LogConfig,
    /// `[[account]]`: at least one, in the order of the file.
    pub accounts: Vec<AccountConfig>,
    /// `[[subscriber]]`: perhaps none, in the order of the file.
    pub subscribers: Vec<SubscriberConfig>,
}

/// Where everything durable is kept.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// The database file; when it was relative, it is joined to the configuration's folder.
    pub path: PathBuf,
    /// The key under which replies are named, where one is configured.
    pub id_key: Option<IdKey>,
    /// How long what is kept there.
    pub retain: RetainConfig,
    /// Whether a store of an earlier version is copied before it is brought up to date.
    pub backup_before_upgrade: bool,
}

/// The HTTP server of health and of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Names under which it may be asked, besides addresses and this machine's own: in small
    /// letters, without a port.
    pub hosts: Vec<String>,
}

impl ServerConfig {
    /// Whether only this machine can reach it.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.listen.ip().to_canonical().is_loopback()
    }
}

/// What is logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// The least important level that is logged.
    pub level: LogLevel,
    /// What its lines look like.
    pub format: LogFormat,
}

/// What log lines look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people: time, level, words, and what belongs to them as `key=value`.
    Text,
    /// For programs: a JSON object in each line.
    Json,
}

impl LogFormat {
    const WORDS: [(&str, Self); 2] = [("text", Self::Text), ("json", Self::Json)];
}

/// The levels of log lines, most important first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Something is lost or stopped.
    Error,
    /// Something needs attention.
    Warn,
    /// What an operator wants to see.
    Info,
    /// What a developer wants to see.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    const WORDS: [(&str, Self); 5] = [
        ("error", Self::Error),
        ("warn", Self::Warn),
        ("info", Self::Info),
        ("debug", Self::Debug),
        ("trace", Self::Trace),
    ];

    /// The word for it in the configuration and in filters.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

impl Config {
    /// A subscriber's fallback, that one's own, and so on.
    #[must_use]
    pub fn fallbacks_of(&self, subscriber: &str) -> Vec<String> {
        fallback::chain(&self.subscribers, subscriber)
    }

    /// Reads and checks a file of at most 1 MiB. `formats` are those beside the webhook.
    ///
    /// # Errors
    /// Everything that is wrong with it, or the one reason why it cannot be read.
    pub fn load(path: &Path, secrets: Secrets, formats: &Formats) -> Result<Self, ConfigErrors> {
        let of_file = |place, message| ConfigErrors::of_file(path, place, message);
        let bytes = source::read_file(path, FILE_BYTES_MAX)
            .map_err(|error| of_file(None, format!("cannot be read: {error}")))?;
        match std::str::from_utf8(&bytes) {
            Ok(text) => Self::parse(text, path, (&secrets, formats)),
            Err(error) => {
                let (readable, _) = bytes.split_at_checked(error.valid_up_to()).unwrap_or_default();
                let readable = String::from_utf8_lossy(readable);
                let place = Lines::new(&readable).place(readable.len());
                Err(of_file(Some(place), "not UTF-8: save the file as that".to_owned()))
            }
        }
    }

    /// Checks a configuration's text. `path` names it in errors, and its folder is what relative
    /// paths are relative to.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(
        text: &str,
        path: &Path,
        (source, formats): (&dyn SecretSource, &Formats),
    ) -> Result<Self, ConfigErrors> {
        let (document, syntax) = DeTable::parse_recoverable(text);
        let mut report = Report::new(text);
        for error in &syntax {
            report.syntax(error);
        }
        let config = read(document.get_ref(), &mut report, path, (source, formats));
        let (problems, omitted) = report.finish();
        config
            .filter(|_| problems.is_empty())
            .ok_or_else(|| ConfigErrors::new(path, problems, omitted))
    }

    /// The account of this name.
    #[must_use]
    pub fn account(&self, name: &str) -> Option<&AccountConfig> {
        self.accounts.iter().find(|account| account.name == name)
    }

    /// The subscriber of this name.
    #[must_use]
    pub fn subscriber(&self, name: &str) -> Option<&SubscriberConfig> {
        self.subscribers.iter().find(|subscriber| subscriber.name == name)
    }
}

/// Reads every section. What is wrong is in the report; `None` then, or a part of the truth.
fn read<'d>(
    document: &'d DeTable<'d>,
    report: &mut Report<'d>,
    path: &Path,
    (source, formats): (&dyn SecretSource, &Formats),
) -> Option<Config> {
    let vault = Vault { source, folder: path.parent().unwrap_or(Path::new("")) };
    let mut top = Section::root(document, report);
    let store = store(top.section("store", "[store]"), &vault);
    let server = server(top.section("server", "[server]"));
    let log = log(top.section("log", "[log]"));
    let (accounts, names) = account::read_all(&mut top, &vault);
    let subscribers = subscriber::read_all(&mut top, (&accounts, &names), (&vault, formats));
    top.finish();
    Some(Config { path: path.to_owned(), store, server: server?, log, accounts, subscribers })
}

fn store(mut section: Section<'_, '_>, vault: &Vault<'_>) -> StoreConfig {
    let path = section.read("url", |value| value.parse(sqlite_path));
    let path = path.unwrap_or_else(|| PathBuf::from("replyd.db"));
    let id_key = section.read("id_key", |value| id_key(value, vault));
    let retain = retain::read(section.section("retain", "[store.retain]"));
    let backup_before_upgrade = section.flag("backup_before_upgrade", true);
    section.finish();
    StoreConfig { path: vault.folder.join(path), id_key, retain, backup_before_upgrade }
}

fn sqlite_path(text: &str) -> Result<PathBuf, &'static str> {
    let path = text.strip_prefix("sqlite:").ok_or("must be sqlite:PATH")?;
    match path {
        "" => Err("names no file"),
        ":memory:" => Err("must be a file: replies have to outlive the process"),
        _ if path.starts_with("//") => Err("must be sqlite:PATH, without // before the path"),
        _ if path.contains(['?', '\0']) => Err("must be a path without options"),
        _ => Ok(PathBuf::from(path)),
    }
}

fn id_key(value: &Value<'_>, vault: &Vault<'_>) -> Result<IdKey, Fault> {
    let secret = vault.open(value, Purpose::Key)?;
    let bytes = secret.expose_secret().as_bytes();
    if bytes.len() < ID_KEY_BYTES_MIN {
        return Err(value.fault("must be at least 16 bytes"));
    }
    Ok(IdKey::from_secret(bytes))
}

fn server(mut section: Section<'_, '_>) -> Option<ServerConfig> {
    let default = SocketAddr::from(([127, 0, 0, 1], 8480));
    let listen = section.read("listen", |value| value.parse(listen));
    let hosts = section.list("hosts", 0..=SERVER_HOSTS_MAX, |value| value.parse(server_host));
    section.finish();
    Some(ServerConfig { listen: listen.unwrap_or(default), hosts: hosts.unwrap_or_default() })
}

fn listen(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| "not an address and port like 127.0.0.1:8480")
}

/// A name as a client has it in `Host`, without the port.
fn server_host(text: &str) -> Result<String, &'static str> {
    match url::Host::parse(text) {
        Ok(url::Host::Domain(name)) if name == text.to_ascii_lowercase() => Ok(name),
        Ok(url::Host::Domain(_)) => Err("must be written as clients send it: in ASCII"),
        Ok(_) => Err("must be a name: addresses are let in as they are"),
        Err(_) => Err("not a host name like replyd.example.com, without scheme and port"),
    }
}

fn log(mut section: Section<'_, '_>) -> LogConfig {
    let level = section.choice("level", LogLevel::Info, &LogLevel::WORDS);
    let format = section.choice("format", LogFormat::Text, &LogFormat::WORDS);
    section.finish();
    LogConfig { level, format }
}

#[cfg(test)]
mod tests;
