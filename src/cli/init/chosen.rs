//! What was chosen for a new configuration, as its text, and what is wrong with it.

use std::net::SocketAddr;
use std::path::Path;

use secrecy::{ExposeSecret, SecretString};
use url::{Host, Url};

use crate::cli::init::template::{Set, filled, quoted};
use crate::config::{Config, EXAMPLE, Secrets, is_inside};
use crate::delivery::target;

/// What the account is called.
pub(super) const ACCOUNT: &str = "main";
/// What the subscriber is called.
pub(super) const SUBSCRIBER: &str = "crm";
/// The variable that holds the password where nothing else was said.
pub(super) const VARIABLE: &str = "REPLYD_PASSWORD";

/// The file beside the configuration that holds the signing secret.
pub(super) fn secret_file() -> String {
    format!("{SUBSCRIBER}.secret")
}

/// The file beside the configuration that holds a password that was typed.
pub(super) fn password_file() -> String {
    format!("{ACCOUNT}.password")
}

/// Where the password is.
pub(super) enum Password {
    Variable(String),
    /// In a file that is there.
    File(String),
    /// In a file that is to be written.
    NewFile(SecretString),
    Inline(SecretString),
}

/// What is chosen; the other keys have their defaults.
pub(super) struct Chosen {
    pub(super) base_url: String,
    pub(super) uid: String,
    pub(super) password: Password,
    /// Empty for none.
    pub(super) number: String,
    /// Where the gateway may be asked more often than the provider's.
    pub(super) min_interval: Option<&'static str>,
    pub(super) url: String,
    pub(super) listen: Option<SocketAddr>,
    /// The store's file, where it is not the usual one.
    pub(super) store: Option<String>,
}

impl Chosen {
    /// The configuration's text.
    pub(super) fn text(&self) -> String {
        let account = |key, value| (("[[account]]", key), value);
        let subscriber = |key, value| (("[[subscriber]]", key), value);
        let password = match &self.password {
            Password::Variable(name) => format!("{{ env = {} }}", quoted(name)),
            Password::File(path) => format!("{{ file = {} }}", quoted(path)),
            Password::NewFile(_) => format!("{{ file = {} }}", quoted(&password_file())),
            Password::Inline(text) => quoted(text.expose_secret()),
        };
        let mut set: Vec<Set<'_>> = vec![
            account("name", quoted(ACCOUNT)),
            account("base_url", quoted(&self.base_url)),
            account("uid", quoted(&self.uid)),
            account("password", password),
            account("number", quoted(&self.number)),
            subscriber("name", quoted(SUBSCRIBER)),
            subscriber("url", quoted(&self.url)),
            subscriber("secret", format!("{{ file = {} }}", quoted(&secret_file()))),
            subscriber("allow_private", self.is_local().to_string()),
        ];
        if let Some(interval) = self.min_interval {
            let seconds = interval.trim_end_matches('s');
            set.push(account("schedule", quoted(&format!("*/{seconds} * * * * *"))));
            set.push(account("min_interval", quoted(interval)));
        }
        if let Some(listen) = self.listen {
            set.push((("[server]", "listen"), quoted(&listen.to_string())));
        }
        if let Some(store) = &self.store {
            set.push((("[store]", "url"), quoted(&format!("sqlite:{store}"))));
        }
        filled(EXAMPLE, &set)
    }

    /// The first thing that is wrong with it, by its key. Secrets that are elsewhere are not
    /// looked at: `check` does.
    pub(super) fn problem(&self, path: &Path) -> Option<String> {
        let errors =
            Config::parse(&self.text(), path, (&Secrets::Skip, target::formats())).err()?;
        let problem = errors.problems().first()?;
        Some(format!("{}: {}", problem.key, problem.message))
    }

    /// Whether the receiver's address is one that is reached only where that is allowed.
    pub(super) fn is_local(&self) -> bool {
        let Ok(url) = Url::parse(&self.url) else { return false };
        match url.host() {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(ip)) => is_inside(ip.into()),
            Some(Host::Ipv6(ip)) => is_inside(ip.into()),
            None => false,
        }
    }
}
