//! The event engine: from a client's packet to its one outcome.
//!
//! A [`Dispatcher`] is set once per socket as socketioxide's fallback handler, before the client is told that it
//! is connected (rule R5). It finds the handler in the mount's table and hands the event to the socket's
//! [`Mailbox`], which runs one at a time in the order of arrival (rule R6).

mod guarded;
pub mod kind;
mod mailbox;
mod outcome;
mod run;

use std::sync::Arc;

use socketioxide::handler::{DisconnectHandler, MessageHandler};
use socketioxide_core::{Value, parser::Parse};
use socketioxide_parser_common::CommonParser;

use crate::{
    DisconnectReason,
    backplane::{Backplane, RawSocket},
    connection::Connection,
    error::EventError,
    guard::{Cause, refused},
    private::BoxFuture,
};

pub(crate) use mailbox::{Job, Mailbox, Ticket};
pub use outcome::Outcome;
pub(crate) use outcome::{Reply, acknowledge, acknowledge_nothing, for_client, settle};
pub(crate) use run::{authorize, open, turn_out};

/// What running a handler gives.
pub type EventFuture<'a> = BoxFuture<'a, Outcome>;

/// The name of the spec's event by which a client says who it is.
const SESSION_EVENT: &str = "session_id";

/// A socket's one message handler.
pub(crate) struct Dispatcher(pub(crate) Arc<Connection>);

impl MessageHandler<Backplane, ()> for Dispatcher {
    /// Synchronous, and under a lock of the socket: it must never register handlers.
    fn call(&self, raw: Arc<RawSocket>, payload: Value, ack: Option<i64>) {
        let connection = &self.0;
        metrics::counter!("carolina_sockets_events_total").increment(1);
        if let Err(retry_after) = connection.peer.admit_event() {
            return outcome::refuse(connection, &raw, &payload, ack, rate_limited(retry_after));
        }
        let Some(name) = event_name(&payload) else {
            let error = EventError::invalid_payload("[0]", "the event's name, a string");
            return outcome::refuse(connection, &raw, &payload, ack, error);
        };
        let job = match connection.mount.find(name) {
            // No channel can have a handler of that name, but one for any.
            _ if name == SESSION_EVENT => Job::SessionId { payload, ack },
            Some(handler) => {
                let handler = &connection.mount.handlers[handler];
                if let Some(Err(retry_after)) = handler.limiter.map(|limiter| connection.admit(limiter)) {
                    return outcome::refuse(connection, &raw, &payload, ack, rate_limited(retry_after));
                }
                Job::Event { handler: handler.index, payload, ack }
            }
            None => {
                let error = unknown_event(name, connection);
                Job::Refused { error: Box::new(error), payload, ack }
            }
        };
        run::submit(connection, &raw, job);
    }
}

/// A socket that is dropped without a goodbye leaves nothing behind.
impl Drop for Dispatcher {
    fn drop(&mut self) {
        self.0.mount.forget(&self.0);
    }
}

/// A socket's one disconnect handler.
pub(crate) struct Farewell(pub(crate) Arc<Connection>);

impl DisconnectHandler<Backplane, ()> for Farewell {
    fn call_with_defer(
        &self,
        raw: Arc<RawSocket>,
        reason: socketioxide::socket::DisconnectReason,
        defer: fn(Arc<RawSocket>),
    ) {
        close(&self.0, &raw, reason.into());
        match self.0.mount.sockets() {
            Some(sockets) if reason == socketioxide::socket::DisconnectReason::ServerNSDisconnect => {
                sockets.inner().leaving.hold(raw, defer);
            }
            // At once, so that a client that leaves and comes back by the same connection finds the door open.
            _ => defer(raw),
        }
    }
}

/// Ends a socket's time on its channel: no event is taken from here on, `#[on(disconnect)]` runs after those that
/// were taken.
pub(crate) fn close(connection: &Arc<Connection>, raw: &Arc<RawSocket>, reason: DisconnectReason) {
    let rooms = match connection.mount.disconnect {
        Some(_) => raw.rooms().into_iter().map(|room| room.into_owned()).collect(),
        None => Vec::new(),
    };
    if !connection.mailbox.close(|| raw.leave_all()) {
        return;
    }
    connection.mount.forget(connection);
    run::submit_last(connection, raw, Job::Disconnect { reason, rooms });
}

fn rate_limited(retry_after: u64) -> EventError {
    refused(Cause::RateLimited, "an event: its socket sends too many");
    EventError::new("rate_limited", format!("too many events; try again in {retry_after} ms"))
        .details(serde_json::json!({ "retry_after_ms": retry_after }))
}

fn unknown_event(name: &str, connection: &Connection) -> EventError {
    let shown: String = name.chars().take(64).collect();
    EventError::new("unknown_event", format!("channel `{}` has no event `{shown}`", connection.mount.path))
}

/// The first element of the packet's array. The engine has seen to it that there is one: a name that JSON has to escape
/// does not get this far, so it stands there as it is.
pub(crate) fn event_name(payload: &Value) -> Option<&str> {
    let Value::Str(text, _) = payload else { return None };
    text.strip_prefix("[\"")
        .and_then(|rest| rest.split_once('"'))
        .map_or_else(|| CommonParser.read_event(payload).ok(), |(name, _)| Some(name))
}
