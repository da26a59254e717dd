use std::collections::VecDeque;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use socketioxide_core::{
    Value,
    parser::{Parse, is_de_tuple},
};
use socketioxide_parser_common::CommonParser;

use super::{excess, namespace::value_bytes, payload};
use crate::{
    error::{Error, EventError, Result},
    event_name,
    telemetry::trace::{self, Traceparent},
};

/// Checks the name of an event that is to be emitted (rule R30).
///
/// # Errors
///
/// [`Error::ReservedEvent`] for a name that clients use for themselves.
pub(crate) fn check_name(event: &str) -> Result {
    match event_name::instead_of(event) {
        Some(instead) => Err(Error::ReservedEvent { event: event.to_owned(), instead }),
        None => Ok(()),
    }
}

/// An event as received from a client: the JSON array of its name and arguments, and its attachments.
#[derive(Clone, Debug)]
pub(crate) struct EventPayload {
    pub(super) value: Value,
    traceparent: Option<Traceparent>,
}

impl EventPayload {
    /// Takes the client's span off the arguments, if there is one.
    pub(super) fn new(value: Value) -> Self {
        if let Value::Str(text, attachments) = &value
            && let Some((end, traceparent)) = trace::split(text)
        {
            let text = format!("{}]", &text[..end]);
            return Self { value: Value::Str(text.into(), attachments.clone()), traceparent };
        }
        Self { value, traceparent: None }
    }

    /// The client's span.
    pub(crate) fn traceparent(&self) -> Option<&Traceparent> {
        self.traceparent.as_ref()
    }

    /// The text of the JSON array. Empty for a value that is not text, which the parser in use never produces.
    pub(crate) fn text(&self) -> &str {
        match &self.value {
            Value::Str(text, _) => text,
            Value::Bytes(_) => "",
        }
    }

    /// How many bytes it keeps, attachments included.
    pub(crate) fn bytes(&self) -> usize {
        value_bytes(&self.value)
    }

    fn attachments(&self) -> Option<&VecDeque<Bytes>> {
        match &self.value {
            Value::Str(_, attachments) => attachments.as_ref().filter(|attachments| !attachments.is_empty()),
            Value::Bytes(_) => None,
        }
    }

    /// The first element of the array. The engine guarantees that it exists and rejects names that JSON has to escape,
    /// so the name appears in the text verbatim.
    pub(crate) fn event_name(&self) -> Option<&str> {
        let rest = self.text().strip_prefix("[\"");
        // Names are short: a loop over bytes is faster than a search that is prepared first.
        let end = rest.and_then(|rest| rest.bytes().position(|byte| byte == b'"'));
        match (rest, end) {
            (Some(rest), Some(end)) => Some(&rest[..end]),
            _ => CommonParser.read_event(&self.value).ok(),
        }
    }

    /// An event without arguments.
    pub(super) fn of(name: &str) -> Self {
        Self { value: Value::Str(serde_json::json!([name]).to_string().into(), None), traceparent: None }
    }

    /// The name of the event and the answer to it, if it has exceeded a limit.
    pub(super) fn excess(&self) -> Option<(String, EventError)> {
        let (event, excess) = match self.attachments() {
            None => excess::replaced(self.text())?,
            Some(attachments) => {
                // The last one has the sum.
                let excess = attachments.iter().rev().find_map(|attachment| excess::marked(attachment))?;
                (self.event_name().unwrap_or_default().to_owned(), excess)
            }
        };
        Some((event, excess.into_error()))
    }

    /// Reads the first argument, or several where `T` is a tuple.
    ///
    /// # Errors
    ///
    /// `invalid_payload`, with the JSON path of what does not fit.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, EventError> {
        self.read_as(is_de_tuple::<T>())
    }

    /// Reads all arguments as one sequence.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub(crate) fn read_all<T: DeserializeOwned>(&self) -> Result<T, EventError> {
        self.read_as(true)
    }

    fn read_as<T: DeserializeOwned>(&self, all: bool) -> Result<T, EventError> {
        payload::read(self.text(), self.attachments(), all, is_de_tuple::<T>())
    }
}

#[cfg(test)]
impl EventPayload {
    pub(crate) fn from_text(text: &str) -> Self {
        Self { value: Value::Str(text.to_owned().into(), None), traceparent: None }
    }
}
