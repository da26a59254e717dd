use std::{fmt, sync::Arc};

use serde::Serialize;

use crate::{
    core::{AckState, AnswerState, Left, Outcome, Reply, SocketState},
    engine::{DisconnectReason, EngineSocket, EventPayload},
    error::EventError,
    identity::Identity,
};

/// One event and its socket: what extractors read from.
pub struct EventContext {
    pub(crate) raw: EngineSocket,
    pub(crate) socket: Arc<SocketState>,
    pub(crate) trigger: Trigger,
    answer_state: AnswerState,
}

/// What a handler runs for.
pub(crate) enum Trigger {
    Event { payload: EventPayload, ack: Option<i64> },
    Authorize,
    Connect,
    Disconnect { reason: DisconnectReason, left: Arc<Left> },
}

impl EventContext {
    pub(crate) fn new(raw: EngineSocket, socket: Arc<SocketState>, trigger: Trigger) -> Self {
        Self { raw, socket, trigger, answer_state: AnswerState::default() }
    }

    /// The event's name; in lifecycle handlers the word in `#[on(…)]`, as `connect`.
    pub fn event(&self) -> &str {
        match &self.trigger {
            Trigger::Event { payload, .. } => payload.event_name().unwrap_or_default(),
            Trigger::Authorize => "authorize",
            Trigger::Connect => "connect",
            Trigger::Disconnect { .. } => "disconnect",
        }
    }

    /// The event's arguments as received: the text of a JSON array whose first element is the event's name. `None` in
    /// lifecycle handlers.
    pub fn payload_text(&self) -> Option<&str> {
        match &self.trigger {
            Trigger::Event { payload, .. } => Some(payload.text()),
            _ => None,
        }
    }

    /// Who the socket belongs to; in `#[on(disconnect)]`, whom it belonged to when it left.
    pub(super) fn identity(&self) -> Identity {
        match &self.trigger {
            Trigger::Disconnect { left, .. } => left.identity.clone(),
            _ => self.socket.identity(),
        }
    }

    pub(crate) fn reply(&self) -> Reply {
        let ack = match &self.trigger {
            Trigger::Event { ack, .. } => *ack,
            _ => None,
        };
        Reply { raw: self.raw.clone(), ack }
    }

    /// Takes the acknowledgement, so that the handler answers itself.
    pub(super) fn take_ack(&mut self) -> Arc<AckState> {
        self.answer_state.take()
    }

    /// Acknowledges with what the handler returned.
    pub(crate) fn returned<T: Serialize + ?Sized>(&self, value: &T) -> Outcome {
        self.answer_state.returned(&self.reply(), self.event(), value)
    }

    /// Acknowledges for a handler that returned nothing.
    pub(crate) fn returned_nothing(&self) -> Outcome {
        self.answer_state.returned_nothing(&self.reply())
    }

    /// The acknowledgement, if the handler has returned and it is still held.
    pub(crate) fn kept_ack(&self) -> Option<Arc<AckState>> {
        self.answer_state.kept()
    }

    /// The part of an outcome that is still to be sent.
    pub(crate) fn claim(&self, outcome: Outcome) -> Option<Outcome> {
        self.answer_state.claim(outcome, &self.socket.channel.path, self.event())
    }

    /// The error of an extractor that has nothing to read in this kind of handler.
    pub(super) fn not_here(&self, what: &str) -> EventError {
        EventError::internal(format!("`{what}` has nothing to read in #[on({})]", self.event()))
    }
}

impl fmt::Debug for EventContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventContext")
            .field("channel", &self.socket.channel.path)
            .field("socket", &self.socket.id)
            .field("event", &self.event())
            .finish_non_exhaustive()
    }
}
