//! A subscriber's own headers, and those that it may not set.

use reqwest::header::{HeaderName, HeaderValue};
use secrecy::ExposeSecret;

use super::FormatFacts;
use super::reader::{Section, Value};
use super::report::Fault;
use super::secret::{Purpose, Secret, Vault};

/// What delivery itself sets, or what would break the request's framing.
const RESERVED: [&str; 6] =
    ["content-type", "content-length", "host", "user-agent", "transfer-encoding", "connection"];
/// Signatures and attempts are told by these.
const RESERVED_PREFIXES: [&str; 2] = ["webhook-", "replyd-"];
const HEADERS_MAX: usize = 32;
/// The usual limit of servers for a whole header block.
const VALUE_BYTES_MAX: usize = 8 * 1024;

/// Headers by lower-case name, in the order of their names.
pub(super) fn read(
    section: &mut Section<'_, '_>,
    vault: &Vault<'_>,
    facts: Option<&FormatFacts>,
) -> Vec<(String, Secret)> {
    let entries = section.read("headers", |value| {
        let entries = value.entries()?;
        if entries.len() > HEADERS_MAX {
            return Err(value.fault(format_args!("must have at most {HEADERS_MAX} entries")));
        }
        Ok(entries)
    });
    let mut headers: Vec<(String, Secret)> = Vec::new();
    for (name, value) in entries.unwrap_or_default() {
        let taken = |name: &str| headers.iter().any(|(other, _)| other == name);
        // A request of one's own has the type of one's own.
        let is_own = facts.is_some_and(|facts| facts.word == FormatFacts::TEMPLATE)
            && name.eq_ignore_ascii_case("content-type");
        let reserved = if is_own { &[][..] } else { &RESERVED[..] };
        let header = header(name, value, (taken, reserved), vault);
        headers.extend(section.note(header));
    }
    headers.sort_by(|(one, _), (other, _)| one.cmp(other));
    headers
}

/// A wrong name is not shown: it may be a value without its name.
fn header(
    name: &str,
    value: Value<'_>,
    (is_taken, reserved): (impl Fn(&str) -> bool, &[&str]),
    vault: &Vault<'_>,
) -> Result<(String, Secret), Fault> {
    let name = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| value.fault("has a key that is not a header's name"))?;
    let value = value.named(name.as_str());
    if reserved.contains(&name.as_str())
        || RESERVED_PREFIXES.iter().any(|prefix| name.as_str().starts_with(prefix))
    {
        return Err(value.fault("is reserved: replyd sets it"));
    }
    if is_taken(name.as_str()) {
        return Err(value.fault("stands twice: the case of a header's name does not count"));
    }
    let secret = vault.open(&value, Purpose::Text)?;
    let text = secret.expose_secret();
    if text.len() > VALUE_BYTES_MAX || HeaderValue::from_str(text).is_err() {
        return Err(value.fault("must be at most 8 KiB of printable ASCII"));
    }
    Ok((name.as_str().to_owned(), secret))
}
