//! Which of a product's claims go out in which message: each by itself while the product lets so
//! many messages through, and else as digests that hold as many whole replies as fit.

use std::sync::Arc;

use crate::config::SubscriberConfig;
use crate::delivery::target::text::{self, Event, Message, Teller};
use crate::delivery::target::{self, Target};
use crate::language::Language;
use crate::store::delivery::Claim;
use crate::template::Template;

/// How one subscriber's messages are made.
#[derive(Clone)]
pub struct Shape {
    /// The product.
    pub target: &'static Target,
    /// The language of its texts.
    pub language: Language,
    /// What is said of a reply instead.
    pub own: Option<Arc<Template>>,
    /// Whether its requests are about one event, so that none can hold several.
    pub is_of_one: bool,
}

/// What goes out.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Messages, in their order: which of the claims each holds.
    pub messages: Vec<Vec<usize>>,
    /// Claims for which there is no message now.
    pub left: Vec<usize>,
}

impl Shape {
    /// The shape of a subscriber's messages; none where it gets webhooks.
    #[must_use]
    pub fn of(config: &SubscriberConfig) -> Option<Self> {
        let target = target::of(config.format)?;
        let own = config.product.definition.as_ref();
        Some(Self {
            target,
            language: config.product.lang,
            own: config.product.text.clone(),
            is_of_one: target.flow.is_some()
                || own.is_some_and(|definition| definition.body.is_of_one()),
        })
    }

    fn teller(&self) -> Teller<'_> {
        Teller { language: self.language, rules: &self.target.rules, own: self.own.as_deref() }
    }

    /// Puts claims into at most so many messages, by the time of their replies.
    #[must_use]
    pub fn plan(&self, claims: &[Claim], messages_max: usize) -> Plan {
        let events: Vec<Event> = claims.iter().map(Event::of).collect();
        let mut order: Vec<(usize, &Event, bool)> = claims
            .iter()
            .zip(&events)
            .enumerate()
            .map(|(at, (claim, event))| (at, event, claim.alone))
            .collect();
        order.sort_by(|(_, one, _), (_, other, _)| one.at().cmp(other.at()));
        let is_spacious = claims.len() <= messages_max || self.is_of_one;
        let mut plan = Plan::default();
        let mut rest = order.as_slice();
        while !rest.is_empty() && plan.messages.len() < messages_max {
            let run: Vec<&Event> = rest
                .iter()
                .take_while(|(_, _, alone)| !alone)
                .map(|(_, event, _)| *event)
                .collect();
            let count = match run.len() {
                0 | 1 => 1,
                _ if is_spacious => 1,
                _ => text::fitting(&run, self.teller()),
            };
            let (message, behind) = rest.split_at(count.clamp(1, rest.len()));
            plan.messages.push(message.iter().map(|(at, _, _)| *at).collect());
            rest = behind;
        }
        plan.left = rest.iter().map(|(at, _, _)| *at).collect();
        plan
    }

    /// The message that brings these.
    #[must_use]
    pub fn message(&self, claims: &[Claim]) -> Message {
        let events: Vec<Event> = claims.iter().map(Event::of).collect();
        match events.as_slice() {
            [event] => text::message(event, self.teller()),
            events => {
                let events: Vec<&Event> = events.iter().collect();
                text::digest(&events, self.teller())
            }
        }
    }
}

#[cfg(test)]
mod tests;
