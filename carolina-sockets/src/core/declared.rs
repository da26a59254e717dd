use std::{collections::BTreeMap, panic::Location};

use parking_lot::Mutex;

/// Whether emits are compared with what their channel declares: in debug builds, and wherever the test kit is.
const COMPARES: bool = cfg!(any(debug_assertions, feature = "testing"));
/// Names may be made from what clients send, so that there is no end to them.
const MOST_NAMES: usize = 100;

/// What a channel declares by `#[emits]`, and which emits were not of these.
#[derive(Debug, Default)]
pub(crate) struct DeclaredEmits {
    /// The events; a channel that declares none may emit any.
    events: Vec<&'static str>,
    undeclared: Mutex<BTreeMap<String, &'static Location<'static>>>,
}

impl DeclaredEmits {
    pub(crate) fn new(events: impl Iterator<Item = &'static str>) -> Self {
        Self { events: events.collect(), undeclared: Mutex::default() }
    }

    /// Logs an event that the channel does not declare, once.
    pub(crate) fn check(&self, path: &str, event: &str, place: &'static Location<'static>) {
        if !COMPARES || self.events.is_empty() || self.events.contains(&event) {
            return;
        }
        let mut undeclared = self.undeclared.lock();
        if undeclared.contains_key(event) || undeclared.len() >= MOST_NAMES {
            return;
        }
        undeclared.insert(event.to_owned(), place);
        drop(undeclared);
        tracing::warn!("{}", message(path, event, place));
    }

    /// A message for each event that was emitted and is not declared.
    #[cfg(feature = "testing")]
    pub(crate) fn undeclared(&self, path: &str) -> Vec<String> {
        self.undeclared.lock().iter().map(|(event, place)| message(path, event, place)).collect()
    }
}

fn message(path: &str, event: &str, place: &Location<'_>) -> String {
    format!(
        "{}:{}: `{event}` is emitted on `{path}`, whose `#[emits]` do not name it: write `#[emits(\"{event}\", …)]` with the type of what is sent, on the channel's struct",
        place.file(),
        place.line(),
    )
}
