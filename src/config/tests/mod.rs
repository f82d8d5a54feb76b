//! The configuration as a whole: its defaults, its example, its errors and what they hide.

use std::collections::BTreeMap;
use std::path::Path;

use super::*;
use crate::delivery::target;

mod broken;
mod defaults;
mod errors;
mod fallbacks;
mod values;

/// Secrets by the name of their variable or the path of their file.
#[derive(Default)]
pub(super) struct Table(BTreeMap<String, String>);

impl Table {
    pub(super) fn of(secrets: &[(&str, &str)]) -> Self {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self(secrets.iter().map(owned).collect())
    }
}

impl SecretSource for Table {
    fn env(&self, name: &str) -> Result<Option<String>, SourceError> {
        self.0.get(name).cloned().map(Some).ok_or(SourceError::NotSet)
    }

    fn file(&self, path: &Path) -> Result<Option<String>, SourceError> {
        let missing = || SourceError::Unreadable(std::io::ErrorKind::NotFound.into());
        self.0.get(path.to_str().unwrap()).cloned().map(Some).ok_or_else(missing)
    }
}

/// A signing secret made for tests.
pub(super) const SIGNING: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

pub(super) const ACCOUNT: &str = "\
[[account]]
name = \"main\"
base_url = \"http://http.c123.com\"
uid = \"9999\"
password = \"word\"
";

pub(super) const SUBSCRIBER: &str = "\
[[subscriber]]
name = \"crm\"
url = \"https://crm.example.com/hooks/sms\"
secret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"
";

pub(super) fn parse(text: &str) -> Result<Config, ConfigErrors> {
    let secrets = Table::of(&[
        ("REPLYD_PASSWORD", "word"),
        ("REPLYD_CRM_SECRET", SIGNING),
        ("EMPTY", ""),
        ("etc/crm.secret", &format!("{SIGNING}\n")),
        ("/run/password", "123123\r\n"),
        ("etc/id.key", "sixteen bytes ok"),
    ]);
    Config::parse(text, Path::new("etc/config.toml"), (&secrets, target::formats()))
}

/// Checks all errors of a text, without the file's name.
pub(super) fn check(text: &str, expected: &[&str]) {
    let found = match parse(text) {
        Ok(_) => String::new(),
        Err(errors) => errors.to_string().replace("etc/config.toml:", ""),
    };
    assert_eq!(found.lines().collect::<Vec<_>>(), expected, "{text}");
}
