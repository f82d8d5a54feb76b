//! `fallback`: another subscriber that takes over when one is down. Which names there are is known
//! only when all are read, so what is wrong is told then.

use std::collections::BTreeMap;

use super::names::{self, Names};
use super::reader::Section;
use super::report::{Fault, nearest};
use super::subscriber::SubscriberConfig;

/// What one subscriber says, and where.
struct Said {
    /// The name of its fallback.
    fallback: Option<(String, Fault)>,
    /// Where it says that it gets nothing of its own.
    nothing: Option<Fault>,
}

/// What subscribers say of fallbacks, by name, in the order of the file.
#[derive(Default)]
pub(super) struct Fallbacks(Vec<(String, Said)>);

impl Fallbacks {
    /// Reads the key, and gives the name.
    pub(super) fn read(&mut self, section: &mut Section<'_, '_>, name: &str) -> Option<String> {
        let place = section.place("fallback");
        let named = section.read("fallback", |value| match value.text()? {
            "" => Ok(None),
            _ => value.parse(names::name).map(Some),
        });
        let named = named.flatten();
        let said = Said { fallback: named.clone().zip(place), nothing: section.place("events") };
        self.0.push((name.to_owned(), said));
        named
    }

    /// Reports what cannot be. `names` are those of all subscribers, also of those that could not be
    /// read.
    pub(super) fn vet(
        self,
        top: &mut Section<'_, '_>,
        names: &Names,
        subscribers: &[SubscriberConfig],
    ) {
        let links: BTreeMap<String, String> = self
            .0
            .iter()
            .filter_map(|(name, said)| Some((name.clone(), said.fallback.as_ref()?.0.clone())))
            .collect();
        let is_read = |name: &str| subscribers.iter().find(|subscriber| subscriber.name == name);
        for (name, said) in self.0 {
            if let Some((fallback, place)) = said.fallback {
                let is_off = is_read(&fallback).is_some_and(|subscriber| !subscriber.enabled);
                if let Some(message) = wrong(&name, &fallback, names, (&links, is_off)) {
                    top.absence(Fault { message, ..place });
                }
            }
            let gets_nothing =
                is_read(&name).is_some_and(|subscriber| subscriber.events.is_empty());
            let is_relied_on = links.values().any(|fallback| *fallback == name);
            if let Some(place) = said.nothing.filter(|_| gets_nothing && !is_relied_on) {
                let message = "may be empty only where the subscriber is another's fallback";
                top.absence(Fault { message: message.to_owned(), ..place });
            }
        }
    }
}

/// What is wrong with a fallback, if anything is.
fn wrong(
    name: &str,
    fallback: &str,
    names: &Names,
    (links, is_off): (&BTreeMap<String, String>, bool),
) -> Option<String> {
    if !names.contains(fallback) {
        let near = nearest(fallback, names.iter().filter(|known| *known != name));
        let hint = near.map(|near| format!("; did you mean \"{near}\"?")).unwrap_or_default();
        return Some(format!("no [[subscriber]] has the name \"{fallback}\"{hint}"));
    }
    if fallback == name {
        return Some("is the subscriber itself".to_owned());
    }
    if is_off {
        return Some(format!("\"{fallback}\" has enabled = false, so it takes nothing over"));
    }
    let mut way = vec![name];
    let mut next = Some(fallback);
    while let Some(one) = next {
        if one == name {
            way.push(name);
            return Some(format!("leads back to the subscriber itself: {}", way.join(" → ")));
        }
        // It leads into a circle that others make: those are told.
        if way.contains(&one) {
            return None;
        }
        way.push(one);
        next = links.get(one).map(String::as_str);
    }
    None
}

/// The subscriber's fallback, that one's own, and so on.
pub(super) fn chain(subscribers: &[SubscriberConfig], name: &str) -> Vec<String> {
    let of = |name: &str| {
        let found = subscribers.iter().find(|subscriber| subscriber.name == name);
        found.and_then(|subscriber| subscriber.fallback.clone())
    };
    let mut chain = Vec::new();
    let mut next = of(name);
    while let Some(one) = next.filter(|one| one != name && !chain.contains(one)) {
        next = of(&one);
        chain.push(one);
    }
    chain
}
