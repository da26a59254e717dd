//! Dispatches a client's event to its handler.
//!
//! [`handle_event`] finds the handler in the channel's [`HandlerTable`] and submits the event to the socket's mailbox, which
//! runs one at a time in the order of arrival (rule R6).

mod guards;
mod presence;
mod rate;
mod run;
mod supervised;
mod table;

use std::sync::Arc;

use crate::{
    core::{Identify, Job, SocketState, refuse},
    engine::{EngineSocket, EventPayload},
    error::{EventError, code},
    telemetry::metric,
};

pub(crate) use presence::enrich;
pub(crate) use run::start_connect;
pub(crate) use table::HandlerTable;

/// The event with which a client presents its session value.
const SESSION_EVENT: &str = "session_id";

/// Accepts an event from a client. Called under a lock of the engine, so it does not wait: a handler is polled once in
/// place and continues in a task if it is still pending.
pub(crate) fn handle_event(
    table: &Arc<HandlerTable>,
    socket: &Arc<SocketState>,
    raw: &EngineSocket,
    payload: EventPayload,
    ack: Option<i64>,
    identify: impl FnOnce() -> Identify,
) {
    metric::event();
    if let Err(error) = rate::count(socket, &payload) {
        return refuse(socket, raw, &payload, ack, error);
    }
    let Some(name) = payload.event_name() else {
        let error = EventError::invalid_payload("[0]", "the event's name, a string");
        return refuse(socket, raw, &payload, ack, error);
    };
    let job = match table.find(name) {
        // No handler can have this name, so it would otherwise go to `#[on(any)]`.
        _ if name == SESSION_EVENT => Job::Identify { payload, ack, resolve: identify() },
        Some(handler) => {
            if let Err(error) = rate::count_for(socket, handler, name) {
                return refuse(socket, raw, &payload, ack, error);
            }
            Job::Event { handler: handler.index, payload, ack }
        }
        None => {
            let error = unknown_event(name, &socket.channel.path);
            Job::Refused { error: Box::new(error), payload, ack }
        }
    };
    run::submit(table, socket, raw, job);
}

/// Answers an event with an error, in its turn. It counts as any other.
pub(crate) fn refuse_event(
    table: &Arc<HandlerTable>,
    socket: &Arc<SocketState>,
    raw: &EngineSocket,
    payload: EventPayload,
    ack: Option<i64>,
    error: EventError,
) {
    metric::event();
    if let Err(error) = rate::count(socket, &payload) {
        return refuse(socket, raw, &payload, ack, error);
    }
    run::submit(table, socket, raw, Job::Refused { error: Box::new(error), payload, ack });
}

fn unknown_event(name: &str, channel: &str) -> EventError {
    let truncated: String = name.chars().take(64).collect();
    EventError::new(code::UNKNOWN_EVENT, format!("channel `{channel}` has no event `{truncated}`"))
}
