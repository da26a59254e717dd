//! Compares two contracts (rule R22). The direction decides what breaks a client: of what the server takes, everything that was valid has to stay valid; of
//! what it answers and emits, nothing may come that was not announced.

mod bounds;
mod payload;
mod plain;

use std::collections::BTreeMap;

use serde_json::Value;

use self::payload::{Comparing, Direction};
use super::{
    parameter,
    surface::{ChannelSurface, Surface, TakenSurface},
};

/// The differences between two contracts.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    /// What clients of the contract before would fail by.
    pub(crate) breaking: Vec<String>,
    /// What else is different.
    pub(crate) compatible: Vec<String>,
}

/// Compares the text of a contract that was written before with the present one's.
///
/// # Errors
///
/// What is wrong with one of the texts.
pub(crate) fn compare(before: &str, now: &str) -> Result<Comparison, String> {
    let (before, now) = (Surface::read(before)?, Surface::read(now)?);
    let mut comparing = Documents {
        taken: Comparing::new(&before.root, &now.root, Direction::In),
        sent: Comparing::new(&before.root, &now.root, Direction::Out),
        path: "",
        found: Comparison::default(),
    };
    // The names of parameters are no part of what clients see.
    let by_form = |of: &Surface| -> BTreeMap<String, String> {
        of.channels.keys().map(|path| (form(path), path.clone())).collect()
    };
    let (olds, news) = (by_form(&before), by_form(&now));
    for (form, path) in &olds {
        comparing.path = path;
        match news.get(form) {
            Some(new) => {
                if new != path {
                    comparing.found.compatible.push(format!("`{path}`: the channel's path is written as `{new}`"));
                }
                comparing.channel(&before.channels[path], &now.channels[new]);
            }
            None => comparing.breaks("the channel is not there any more"),
        }
    }
    let mut found = comparing.found;
    let new = news.iter().filter(|(form, _)| !olds.contains_key(*form));
    found.compatible.extend(new.map(|(_, path)| format!("`{path}`: a new channel")));
    Ok(found)
}

/// A path without the names of its parameters.
fn form(path: &str) -> String {
    let segments = path.split('/').map(|segment| if parameter(segment).is_some() { "{}" } else { segment });
    segments.collect::<Vec<_>>().join("/")
}

/// The comparison of two documents.
struct Documents<'a> {
    taken: Comparing<'a>,
    sent: Comparing<'a>,
    /// The channel that is compared.
    path: &'a str,
    found: Comparison,
}

impl Documents<'_> {
    fn breaks(&mut self, what: &str) {
        self.found.breaking.push(format!("`{}`: {what}", self.path));
    }

    fn allows(&mut self, what: &str) {
        self.found.compatible.push(format!("`{}`: {what}", self.path));
    }

    fn payload(&mut self, what: &str, direction: Direction, old: &Value, new: &Value) {
        let comparing = match direction {
            Direction::In => &mut self.taken,
            Direction::Out => &mut self.sent,
        };
        let place = format!("`{}`, {what}", self.path);
        for change in comparing.arguments(old, new) {
            let of_kind = if change.breaks { &mut self.found.breaking } else { &mut self.found.compatible };
            of_kind.push(change.told(&place));
        }
    }

    fn event(&mut self, event: &str, old: &TakenSurface, new: &TakenSurface) {
        self.payload(&format!("{event}, taken"), Direction::In, &old.arguments, &new.arguments);
        self.payload(&format!("{event}, answered"), Direction::Out, &old.answer, &new.answer);
        // A client that reads the code of an error has to expect others.
        for code in new.codes.difference(&old.codes) {
            self.found.compatible.push(format!("`{}`, {event}: a new code of errors, `{code}`", self.path));
        }
        for code in old.codes.difference(&new.codes) {
            self.found.compatible.push(format!("`{}`, {event}: no error has the code `{code}` any more", self.path));
        }
    }

    fn channel(&mut self, old: &ChannelSurface, new: &ChannelSurface) {
        let path = self.path;
        match (old.private, new.private) {
            (false, true) => self.breaks("the channel was for everybody and is private"),
            (true, false) => self.allows("the channel was private and is for everybody"),
            _ => {}
        }
        for ((name, was), (_, is)) in old.parameters.iter().zip(&new.parameters).filter(|((_, was), (_, is))| was != is)
        {
            let [before, now] = [was, is].map(|of| of.as_deref().unwrap_or("of any type"));
            let told = format!("the parameter `{name}`: was {before}, is {now}");
            // Every segment is a text.
            if matches!(is.as_deref(), None | Some("string")) { self.allows(&told) } else { self.breaks(&told) }
        }
        for (event, taken) in &old.takes {
            match new.takes.get(event).or(new.takes_any.as_ref()) {
                Some(new) => self.event(&format!("`{event}`"), taken, new),
                None => self.found.breaking.push(format!("`{path}`, `{event}`: the event is not taken any more")),
            }
        }
        match (&old.takes_any, &new.takes_any) {
            (Some(old), Some(new)) => self.event("any other event", old, new),
            (Some(_), None) => self.breaks("events of any other name are not taken any more"),
            (None, Some(_)) => self.allows("events of any name are taken"),
            (None, None) => {}
        }
        for (event, taken) in new.takes.iter().filter(|(event, _)| !old.takes.contains_key(*event)) {
            self.found.compatible.push(format!("`{path}`, `{event}`: a new event is taken"));
            // It was one of any name before.
            if let Some(any) = &old.takes_any {
                self.event(&format!("`{event}`"), any, taken);
            }
        }
        self.emits(old, new);
    }

    fn emits(&mut self, old: &ChannelSurface, new: &ChannelSurface) {
        let path = self.path;
        match (old.declares_emits, new.declares_emits) {
            (true, false) => return self.breaks("what the channel emits was declared, and is not any more"),
            (false, true) => self.allows("what the channel emits is declared"),
            _ => {}
        }
        let (olds, news) = (&old.emits, &new.emits);
        for (event, arguments) in olds {
            match news.get(event) {
                Some(new) => self.payload(&format!("`{event}`, emitted"), Direction::Out, arguments, new),
                None => {
                    self.found.breaking.push(format!("`{path}`, `{event}`: the event is not emitted any more"));
                }
            }
        }
        let names = news.keys().filter(|event| !olds.contains_key(*event));
        self.found.compatible.extend(names.map(|event| format!("`{path}`, `{event}`: a new event is emitted")));
    }
}
