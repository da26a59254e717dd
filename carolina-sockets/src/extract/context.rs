use std::{fmt, sync::Arc};

use serde::Serialize;
use socketioxide_core::Value;

use super::ack::Hold;
use crate::{
    DisconnectReason,
    backplane::RawSocket,
    connection::Connection,
    dispatch::{self, Outcome, Reply},
    error::EventError,
};

/// One event on its way to its handler: what extractors read from.
pub struct EventContext {
    pub(super) raw: Arc<RawSocket>,
    pub(super) connection: Arc<Connection>,
    pub(super) moment: Moment,
    /// Set when the handler answers by its own hand.
    hold: Option<Arc<Hold>>,
}

/// What a handler runs for.
pub(crate) enum Moment {
    Event { payload: Value, ack: Option<i64> },
    Authorize,
    Connect,
    Disconnect { reason: DisconnectReason, rooms: Arc<[String]> },
}

impl EventContext {
    pub(crate) fn new(raw: Arc<RawSocket>, connection: Arc<Connection>, moment: Moment) -> Self {
        Self { raw, connection, moment, hold: None }
    }

    /// The event's name; in lifecycle handlers the word behind `on`.
    pub fn event(&self) -> &str {
        match &self.moment {
            Moment::Event { payload, .. } => dispatch::event_name(payload).unwrap_or_default(),
            Moment::Authorize => "authorize",
            Moment::Connect => "connect",
            Moment::Disconnect { .. } => "disconnect",
        }
    }

    /// The event's arguments as they came: the text of a JSON array whose first element is the event's name.
    /// `None` in lifecycle handlers.
    pub fn payload_text(&self) -> Option<&str> {
        match &self.moment {
            Moment::Event { payload: Value::Str(text, _), .. } => Some(text),
            _ => None,
        }
    }

    pub(crate) fn reply(&self) -> Reply {
        let ack = match &self.moment {
            Moment::Event { ack, .. } => *ack,
            _ => None,
        };
        Reply { raw: self.raw.clone(), ack }
    }

    /// The way back to the client, for the handler's own hand.
    pub(super) fn hold(&mut self) -> Arc<Hold> {
        self.hold.get_or_insert_with(Arc::default).clone()
    }

    /// Acknowledges with what the handler returned, unless the handler has answered itself.
    pub(crate) fn answer<T: Serialize + ?Sized>(&mut self, value: &T) -> Outcome {
        if self.hold.as_ref().is_some_and(|hold| !hold.claim()) {
            tracing::debug!(event = %self.event(), "the handler had answered itself; what it returned is dropped");
            return Outcome::Settled;
        }
        let outcome = dispatch::acknowledge(&self.reply(), value);
        if let (Outcome::Failed(_), Some(hold)) = (&outcome, &self.hold) {
            hold.release();
        }
        outcome
    }

    /// Acknowledges with no argument. A handler that has taken the acknowledgement and still holds it, in a task
    /// for example, answers later.
    pub(crate) fn answer_nothing(&mut self) -> Outcome {
        match &self.hold {
            Some(hold) if !hold.claim_if_dropped() => Outcome::Settled,
            _ => dispatch::acknowledge_nothing(&self.reply()),
        }
    }

    /// The way back to the client, if the handler has returned and keeps it.
    pub(crate) fn kept(&self) -> Option<Arc<Hold>> {
        self.hold.clone().filter(|hold| hold.is_kept())
    }

    /// The part of an outcome that is still to be sent. A failure behind an answer that has been given is logged.
    pub(crate) fn claim(&self, outcome: Outcome) -> Option<Outcome> {
        match (outcome, &self.hold) {
            (Outcome::Settled, _) => None,
            (Outcome::Failed(error), Some(hold)) if !hold.claim() => {
                tracing::warn!(
                    channel = %self.connection.mount.path, event = %self.event(), error = %error.internal_text(),
                    "a handler failed after it had answered",
                );
                None
            }
            (outcome, _) => Some(outcome),
        }
    }

    /// Fails an extractor that makes no sense at this moment.
    pub(super) fn not_here(&self, what: &str) -> EventError {
        EventError::internal(format!("`{what}` has nothing to read in #[on({})]", self.event()))
    }
}

impl fmt::Debug for EventContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventContext")
            .field("channel", &self.connection.mount.path)
            .field("socket", &self.connection.sid)
            .field("event", &self.event())
            .finish_non_exhaustive()
    }
}
