//! The sections `[[account]]`: gateways that replies are read from.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use md5::{Digest, Md5};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::cron::Cron;
use super::names::Names;
use super::reader::{Section, Value};
use super::report::Fault;
use super::secret::{Purpose, Secret, Vault};
use super::urls;
use crate::gateway::charset::Charset;
use crate::gateway::client::{Access, ReadMode};
use crate::reply::IdKey;

const KIND: &str = "[[account]]";
const MILLISECOND: Duration = Duration::from_millis(1);
const DAY: Duration = Duration::from_hours(24);

/// What the provider allows: it forbids reading an account more often.
const MIN_INTERVAL: Duration = Duration::from_mins(10);
const MIN_INTERVAL_MAX: Duration = Duration::from_hours(7 * 24);
/// Generous, because cutting a destructive read loses it.
const TIMEOUT: Duration = Duration::from_mins(5);
const TIMEOUT_MAX: Duration = Duration::from_hours(1);
const RECOVER: Duration = DAY;
/// As long as gateways are known to keep replies.
const RECOVER_MAX: Duration = Duration::from_hours(31 * 24);
/// Longer than any account's name or number at a gateway.
const UID_BYTES_MAX: usize = 128;
const NUMBER_DIGITS_MAX: usize = 32;
/// More messages than anybody buys.
const BALANCE_LOW_MAX: usize = 1_000_000_000;

/// One account at a gateway. `Debug` shows no login.
#[derive(Clone, PartialEq, Eq)]
pub struct AccountConfig {
    /// Its name here: unique, 1 to 64 of `a-z A-Z 0-9 . _ -`.
    pub name: String,
    /// The gateway: `http` or `https`, without query, fragment and login. Its path does not end
    /// in a slash, unless it is the root, which a URL always writes as `/`.
    pub base_url: Url,
    /// The account's name at the gateway.
    pub uid: String,
    /// What is sent as `pwd`: an MD5 as 32 lower-case hex digits.
    pub pwd: Secret,
    /// When plain reads are due.
    pub schedule: Cron,
    /// The least time between two reads: 10 minutes or more, unless the gateway is on this
    /// machine.
    pub min_interval: Duration,
    /// How long one read may take in all.
    pub timeout: Duration,
    /// The proxy to the gateway: `http` or `socks5`.
    pub proxy: Option<Url>,
    /// The account's own gateway number, in digits: what follows it in a reply's is the
    /// extension.
    pub number: Option<String>,
    /// The charset of the gateway's answers.
    pub charset: Charset,
    /// How far back the first reads look for replies.
    pub recover: Duration,
    /// By what reads new replies are fetched.
    pub read: ReadMode,
    /// When every hour that is over is looked at once.
    pub reconcile: Reconcile,
    /// With fewer messages left than so many the account is told of as low; 0 when never.
    pub balance_low: usize,
}

impl AccountConfig {
    /// How its gateway is reached.
    #[must_use]
    pub fn access(&self) -> Access {
        Access {
            base_url: self.base_url.clone(),
            uid: self.uid.clone(),
            pwd: SecretString::from(self.pwd.expose_secret()),
            charset: self.charset,
            proxy: self.proxy.clone(),
        }
    }

    /// What changes when uid or password do.
    #[must_use]
    pub fn login(&self) -> IdKey {
        IdKey::derive(&self.uid, self.pwd.expose_secret())
    }
}

/// When every hour that is over is read by `time` once, whatever plain reads brought of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reconcile {
    /// After midnight, when slots are cheap: the hours of the day that ended.
    #[default]
    Nightly,
    /// Each a quarter of an hour after its end.
    Hourly,
    /// Never.
    Off,
}

impl fmt::Debug for AccountConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountConfig")
            .field("name", &self.name)
            .field("base_url", &urls::shown(&self.base_url))
            .field("uid", &self.uid)
            .field("schedule", &self.schedule)
            .field("min_interval", &self.min_interval)
            .field("timeout", &self.timeout)
            .field("proxy", &self.proxy.as_ref().map(urls::shown))
            .field("number", &self.number)
            .field("charset", &self.charset)
            .field("recover", &self.recover)
            .field("read", &self.read)
            .field("reconcile", &self.reconcile)
            .field("balance_low", &self.balance_low)
            .finish_non_exhaustive()
    }
}

/// How a gateway wants the password hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PasswordScheme {
    Md5,
    Md5WithUid,
}

const SCHEMES: [(&str, PasswordScheme); 2] =
    [("md5", PasswordScheme::Md5), ("md5-with-uid", PasswordScheme::Md5WithUid)];
const READS: [(&str, ReadMode); 2] = [("plain", ReadMode::Plain), ("hour", ReadMode::Hour)];
const RECONCILES: [(&str, Reconcile); 3] =
    [("nightly", Reconcile::Nightly), ("hourly", Reconcile::Hourly), ("off", Reconcile::Off)];
const CHARSETS: [(&str, Charset); 2] = [("gbk", Charset::Gbk), ("utf-8", Charset::Utf8)];

/// The boxes that are read: gateway and account there.
type Boxes = BTreeSet<(String, String)>;

/// Reads every account. The names are also those of accounts with other faults, so that a
/// subscriber that names one is not blamed.
pub(super) fn read_all(
    top: &mut Section<'_, '_>,
    vault: &Vault<'_>,
) -> (Vec<AccountConfig>, Names) {
    let mut names = Names::default();
    let tables = top.tables("account");
    if tables.as_ref().is_some_and(Vec::is_empty) {
        top.missing_in_file("no [[account]]: there is nothing to read replies from");
    }
    let mut boxes = Boxes::default();
    let read = |(number, table)| read(top.item(KIND, number, table), &mut names, &mut boxes, vault);
    let accounts = tables.into_iter().flatten().enumerate().filter_map(read).collect();
    (accounts, names)
}

fn read(
    mut section: Section<'_, '_>,
    names: &mut Names,
    boxes: &mut Boxes,
    vault: &Vault<'_>,
) -> Option<AccountConfig> {
    let name = names.read(&mut section);
    let base_url = section.required("base_url", |value| value.parse(urls::base_url));
    let uid = section.required("uid", |value| value.parse(uid));
    if let (Some(url), Some(uid)) = (&base_url, &uid)
        && !boxes.insert((url.to_string(), uid.clone()))
    {
        section.wrong("uid", "is read by another account here: both would empty one box");
    }
    let pwd = pwd(&mut section, uid.as_deref(), vault);
    let schedule = section.read("schedule", |value| value.parse(Cron::parse));
    let is_local = base_url.as_ref().is_none_or(urls::is_loopback);
    let min_interval = section.read("min_interval", |value| min_interval(value, is_local));
    let timeout = section.duration("timeout", TIMEOUT, MILLISECOND..=TIMEOUT_MAX);
    let proxy = section.read("proxy", |value| value.parse(urls::proxy)).flatten();
    let number = section.read("number", |value| value.parse(number)).flatten();
    let charset = section.choice("charset", Charset::Gbk, &CHARSETS);
    let recover = section.duration("recover", RECOVER, Duration::ZERO..=RECOVER_MAX);
    let read = section.choice("read", ReadMode::Plain, &READS);
    let reconcile = section.read("reconcile", reconcile).unwrap_or_default();
    let balance_low = section.read("balance_low", |value| value.integer(0..=BALANCE_LOW_MAX));
    section.finish();
    let name = name?;
    Some(AccountConfig {
        schedule: schedule.or_else(|| Cron::spread(&name))?,
        min_interval: min_interval.unwrap_or(MIN_INTERVAL),
        base_url: base_url?,
        uid: uid?,
        pwd: pwd?,
        name,
        timeout,
        proxy,
        number,
        charset,
        recover,
        read,
        reconcile,
        balance_low: balance_low.unwrap_or_default(),
    })
}

/// One of the words, or whether to.
fn reconcile(value: &Value<'_>) -> Result<Reconcile, Fault> {
    match value.flag() {
        Ok(true) => Ok(Reconcile::Nightly),
        Ok(false) => Ok(Reconcile::Off),
        Err(_) => value.choice(&RECONCILES),
    }
}

fn uid(text: &str) -> Result<String, &'static str> {
    match text.len() {
        0 => Err("is empty"),
        _ if text.trim() != text => Err("must not begin or end with a blank"),
        1..=UID_BYTES_MAX if !text.contains(char::is_control) => Ok(text.to_owned()),
        _ => Err("must be at most 128 bytes without control characters"),
    }
}

fn number(text: &str) -> Result<Option<String>, &'static str> {
    if text.len() > NUMBER_DIGITS_MAX || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("must be at most 32 digits");
    }
    Ok(Some(text.to_owned()).filter(|number| !number.is_empty()))
}

fn min_interval(value: &Value<'_>, is_local: bool) -> Result<Duration, Fault> {
    let interval = value.duration(MILLISECOND..=MIN_INTERVAL_MAX)?;
    if interval < MIN_INTERVAL && !is_local {
        return Err(value.fault("must be at least 10m: the provider forbids reading more often"));
    }
    Ok(interval)
}

/// The password as it is sent, from exactly one of the two keys.
fn pwd(section: &mut Section<'_, '_>, uid: Option<&str>, vault: &Vault<'_>) -> Option<Secret> {
    let scheme = section.choice("password_scheme", PasswordScheme::Md5, &SCHEMES);
    let password = section.read("password", |value| vault.open(value, Purpose::Text));
    let digest = section.read("password_md5", |value| digest(value, vault));
    match (section.has("password"), section.has("password_md5")) {
        (false, false) => section.missing("password", "missing: give it or password_md5"),
        (true, true) => section.wrong("password_md5", "stands beside password: give only one"),
        (false, true) if scheme == PasswordScheme::Md5WithUid => {
            section.wrong("password_scheme", "must be \"md5\" where password_md5 is given");
        }
        _ => {}
    }
    let hashed = password.map(|password| match scheme {
        PasswordScheme::Md5 => Some(md5_hex(&[password.expose_secret()])),
        PasswordScheme::Md5WithUid => uid.map(|uid| md5_hex(&[password.expose_secret(), uid])),
    });
    hashed.unwrap_or(digest)
}

fn digest(value: &Value<'_>, vault: &Vault<'_>) -> Result<Secret, Fault> {
    let secret = vault.open(value, Purpose::Digest)?;
    let digits = secret.expose_secret();
    if digits.len() != 32 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(value.fault("must be 32 hex digits"));
    }
    Ok(digits.to_ascii_lowercase().into())
}

fn md5_hex(parts: &[&str]) -> Secret {
    let mut md5 = Md5::new();
    for part in parts {
        md5.update(part.as_bytes());
    }
    hex::encode(md5.finalize()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_hashed_as_the_gateways_document() {
        let shown = |parts: &[&str]| md5_hex(parts).expose_secret().to_owned();
        assert_eq!(shown(&["123123", "test"]), "b9887c5ebb23ebb294acab183ecf0769");
        assert_eq!(shown(&["9999"]), "fa246d0262c3925617b0c72bb20eeb1d");
    }

    #[test]
    fn uids_and_numbers_have_limits() {
        assert_eq!(uid(""), Err("is empty"));
        assert!(uid(&"9".repeat(128)).is_ok());
        for wrong in ["9".repeat(129), "99\n99".into()] {
            assert!(uid(&wrong).is_err());
        }
        assert_eq!(number(""), Ok(None));
        assert_eq!(number("1068"), Ok(Some("1068".into())));
        for wrong in ["+1068".to_owned(), "１".into(), " 1".into(), "1".repeat(33)] {
            assert!(number(&wrong).is_err(), "{wrong}");
        }
    }
}
