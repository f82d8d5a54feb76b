//! What may be shown of a subscriber's configuration: no secret, no header's value, and of URLs
//! only where they lead.

use super::subscriber::{Order, SubscriberConfig};
use super::urls;
use crate::time::format_duration;

impl SubscriberConfig {
    /// Where its URL leads: scheme, host and port.
    #[must_use]
    pub fn origin(&self) -> String {
        urls::shown(&self.url)
    }

    /// Every key that it is made of, as the configuration calls it, and its value.
    #[must_use]
    pub fn shown(&self) -> Vec<(&'static str, String)> {
        let list = |items: Vec<&str>, none: &str| {
            if items.is_empty() { none.to_owned() } else { items.join(", ") }
        };
        let own = |is_given| if is_given { "own" } else { "default" }.to_owned();
        let waits: Vec<String> = self.retry.iter().map(|wait| format_duration(*wait)).collect();
        let events = self.events.iter().map(|event| event.as_str()).collect();
        let headers = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        let accounts = self.accounts.iter().map(String::as_str).collect();
        let secrets = match self.secrets.len() {
            0 if self.product.secret.is_none() => "none".to_owned(),
            0 | 1 => "one".to_owned(),
            count => format!("{count}, each signs"),
        };
        vec![
            ("url", self.origin()),
            ("secret", secrets),
            ("format", self.format.as_str().to_owned()),
            ("options", list(self.product.options.keys().map(String::as_str).collect(), "none")),
            ("lang", self.product.lang.as_str().to_owned()),
            ("template", own(self.product.text.is_some() || self.product.definition.is_some())),
            ("accounts", list(accounts, "all")),
            ("events", list(events, "none")),
            ("match", list(self.matched(), "all")),
            ("since", self.since.map_or_else(|| "any".to_owned(), format_duration)),
            ("mask", self.mask.to_string()),
            ("hold_suspect", self.hold_suspect.to_string()),
            (
                "allow_reply",
                self.answers.map_or_else(
                    || "false".to_owned(),
                    |limits| format!("{}, {} a day", limits.rate, limits.budget),
                ),
            ),
            ("retry", waits.join(", ")),
            ("give_up", format_duration(self.give_up)),
            ("disable_after", format_duration(self.disable_after)),
            ("timeout", format_duration(self.timeout)),
            ("concurrency", self.concurrency.to_string()),
            (
                "rate_limit",
                self.rate_limit.map_or_else(|| "none".to_owned(), |rate| rate.to_string()),
            ),
            ("order", self.order.as_str().to_owned()),
            ("fallback", self.fallback.clone().unwrap_or_else(|| "none".to_owned())),
            (
                "quiet_hours",
                self.quiet_hours.map_or_else(|| "none".to_owned(), |hours| hours.to_string()),
            ),
            ("headers", list(headers, "none")),
            ("proxy", self.proxy.as_ref().map_or_else(|| "none".to_owned(), urls::shown)),
            ("enabled", self.enabled.to_string()),
            ("allow_private", self.allow_private.to_string()),
            ("allow_http", self.allow_http.to_string()),
        ]
    }

    /// What of a reply is matched; the patterns themselves may be somebody's number.
    fn matched(&self) -> Vec<&'static str> {
        let filter = &self.filter;
        [
            ("from", !filter.from.is_empty()),
            ("content", filter.content.is_some()),
            ("gateway", !filter.gateway.is_empty()),
            ("extension", !filter.extension.is_empty()),
        ]
        .into_iter()
        .filter_map(|(name, is_given)| is_given.then_some(name))
        .collect()
    }
}

impl Order {
    /// The order's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        let word = Self::WORDS.into_iter().find(|(_, order)| *order == self);
        word.map_or("", |(word, _)| word)
    }
}
