//! Several events in one message: a line for each, whole, below a line that says how many and of
//! which time.

use super::{Event, Message, Teller};
use crate::delivery::target::plain;
use crate::event::EventType;

/// How many of these events, from the first, fit into one message; one at least, which may have to
/// be cut and so goes by itself.
#[must_use]
pub fn fitting(events: &[&Event], teller: Teller<'_>) -> usize {
    let rules = teller.rules;
    let day = events.first().map_or("", |event| event.day());
    let mut lines = 0;
    for (count, event) in events.iter().enumerate() {
        lines += (rules.measure)(&format!("\n{}", teller.line(event, day)));
        let head = events.get(..=count).map(|events| teller.head(events)).unwrap_or_default();
        if (rules.measure)(&head) + lines > rules.max {
            return count.max(1);
        }
    }
    events.len()
}

/// The message that brings these events.
#[must_use]
pub fn digest(events: &[&Event], teller: Teller<'_>) -> Message {
    let day = events.first().map_or("", |event| event.day());
    let head = teller.head(events);
    let lines = events.iter().map(|event| teller.line(event, day));
    let text = std::iter::once(head.clone()).chain(lines).collect::<Vec<_>>().join("\n");
    let id = events.first().map_or("", |event| event.id());
    Message { id: id.to_owned(), title: head, text, event: None }
}

impl Teller<'_> {
    /// How many there are, and from when to when.
    fn head(self, events: &[&Event]) -> String {
        let count = events.len();
        let is_reply = |event: &&Event| event.is(EventType::ReplyReceived);
        let (first, last) = match events {
            [first, .., last] => (*first, *last),
            [one] => (*one, *one),
            [] => return String::new(),
        };
        let (day, from, mut to) = (first.day(), first.minute(), last.minute().to_owned());
        if last.day() != day {
            to = format!("{} {to}", last.day());
        }
        let span = if to == from { to } else { format!("{from}–{to}") };
        match events.iter().all(is_reply) {
            true => self.pick(
                format!("【短信回复】{count} 条，{span}（{day}）"),
                format!("{count} SMS replies, {span} ({day})"),
            ),
            false => self.pick(
                format!("【短信回复和告警】{count} 条，{span}（{day}）"),
                format!("{count} SMS replies and alerts, {span} ({day})"),
            ),
        }
    }

    /// One event, with its day where that is not the message's, and for whom it is told here.
    fn line(self, event: &Event, day: &str) -> String {
        let line = self.line_itself(event, day);
        match &event.stands_in {
            Some(stands_in) => format!("{line} {}", self.instead(stands_in)),
            None => line,
        }
    }

    fn line_itself(self, event: &Event, day: &str) -> String {
        let at = match event.day() == day {
            true => event.clock(),
            false => event.at(),
        };
        if !event.is(EventType::ReplyReceived) {
            let about = self.about(event);
            return self.pick(format!("{at} 告警：{about}"), format!("{at} alert: {about}"));
        }
        let word = |key| event.word(key, self.rules);
        let (from, gateway) = (word("from"), word("gateway"));
        let typed = event.data.get("content").and_then(|typed| typed.as_str()).unwrap_or_default();
        let typed = (self.rules.escape)(&plain::neutral(typed));
        if let Some(own) = self.own {
            return self.in_own_words(own, event, &typed);
        }
        let typed = if typed.is_empty() { self.pick("（空）", "(empty)") } else { &typed };
        let to = if gateway.is_empty() { String::new() } else { format!(" → {gateway}") };
        let suspect = match word("suspect").is_empty() {
            true => "",
            false => self.pick("（可疑）", " (suspect)"),
        };
        self.pick(
            format!("{at} {from}{to}{suspect}：{typed}"),
            format!("{at} {from}{to}{suspect}: {typed}"),
        )
    }
}
