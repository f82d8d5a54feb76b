//! What holds for every configuration that somebody could write: it is read or refused, and no
//! secret is shown, wherever in it the secret was put.

use std::cell::Cell;
use std::path::Path;

use replyd::config::{Config, ConfigErrors, SecretSource, SourceError};

/// A secret that somebody put into the file, at a place where it may not belong. It is no bare
/// key, no name and no variable, as few secrets are.
const WRITTEN: &str = "s3+cr/t=Written";
/// A secret that the file only names.
const FETCHED: &str = "s3+cr/t=Fetched";
/// Problems that are listed; there may be more.
const LISTED_MAX: usize = 100;
/// Places at which a secret is put into one text.
const PLACES_MAX: usize = 8;

/// Checks these bytes as a configuration, and with a secret put into it here and there.
pub(crate) fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    is_read_or_refused(text);
    let places = text.char_indices().map(|(place, _)| place).chain([text.len()]);
    let step = (text.len() / PLACES_MAX).max(1);
    let first = bytes.iter().fold(0_usize, |sum, byte| sum.wrapping_mul(31) + usize::from(*byte));
    for place in places.skip(first % step).step_by(step) {
        let (before, behind) = text.split_at(place);
        hides(&read(&format!("{before}{WRITTEN}{behind}")), WRITTEN);
    }
}

fn read(text: &str) -> Result<Config, ConfigErrors> {
    let source = Fetching { calls: Cell::new(text.len()) };
    Config::parse(text, Path::new("config.toml"), (&source, replyd::delivery::target::formats()))
}

fn is_read_or_refused(text: &str) {
    let result = read(text);
    hides(&result, FETCHED);
    match result {
        Ok(config) => {
            assert!(!config.accounts.is_empty());
            assert!(!format!("{config:?}").contains(FETCHED), "a secret is shown");
        }
        Err(errors) => {
            assert!((1..=LISTED_MAX).contains(&errors.problems().len()));
            assert!(errors.problems().is_sorted_by_key(|problem| problem.place));
            let lines = text.split('\n').count();
            for place in errors.problems().iter().filter_map(|problem| problem.place) {
                assert!((1..=lines).contains(&place.line) && place.column > 0, "{place:?}");
            }
            assert_eq!(read(text).unwrap_err(), errors);
        }
    }
}

/// No text about a refused configuration holds the secret.
fn hides(result: &Result<Config, ConfigErrors>, secret: &str) {
    let Err(errors) = result else { return };
    for shown in [errors.to_string(), format!("{errors:?}")] {
        assert!(!shown.contains(secret), "a secret is shown: {shown}");
    }
}

/// Gives every secret that is asked for, of each form in turn, or says why not.
struct Fetching {
    calls: Cell<usize>,
}

impl Fetching {
    fn next(&self) -> Result<Option<String>, SourceError> {
        let call = self.calls.replace(self.calls.get() + 1);
        match call % 8 {
            0 => Ok(Some(String::new())),
            1 => Ok(Some(format!("whsec_{FETCHED}"))),
            2 => Ok(None),
            3 => Err(SourceError::NotSet),
            4 => Err(SourceError::NotText),
            5 => Ok(Some(format!("{FETCHED}\r\n"))),
            _ => Ok(Some(FETCHED.to_owned())),
        }
    }
}

impl SecretSource for Fetching {
    fn env(&self, _: &str) -> Result<Option<String>, SourceError> {
        self.next()
    }

    fn file(&self, _: &Path) -> Result<Option<String>, SourceError> {
        self.next()
    }
}
