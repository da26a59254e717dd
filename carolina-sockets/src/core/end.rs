//! How a socket ends: every reason goes through [`end`].

use std::sync::Arc;

use serde::Serialize;

use super::{Job, Left, SocketState, Submitted, answer::refuse};
use crate::{
    engine::{DisconnectReason, EngineSocket},
    error::{EventError, code},
    identity::Identity,
    resume::LeaveCause,
    telemetry::metric,
};

/// Why a socket leaves its channel, and its identity at that time.
pub(crate) struct Leaving {
    pub(super) reason: DisconnectReason,
    pub(super) identity: Identity,
}

/// The event that tells a client why the server ends its socket, sent right before that.
pub(crate) const CLOSED_EVENT: &str = "carolina:closed";

/// The argument of [`CLOSED_EVENT`].
#[derive(Serialize)]
pub(crate) struct Closed {
    code: &'static str,
    message: &'static str,
}

impl Closed {
    /// The application has removed the socket from its channel.
    pub(crate) const REMOVED: Self = Self { code: code::REMOVED, message: "the server removed you from this channel" };

    /// What a client is told; `None` if its connection has ended, or its buffer has no room.
    fn for_reason(reason: DisconnectReason, why: Option<&'static str>) -> Option<Self> {
        let (code, message) = match reason {
            DisconnectReason::LoggedOut => (code::UNAUTHENTICATED, "log in to be on this channel"),
            DisconnectReason::NotAuthorized => (code::FORBIDDEN, "you may no longer be on this channel"),
            DisconnectReason::ServerShutdown => (code::SHUTTING_DOWN, "the server is shutting down"),
            DisconnectReason::ServerDisconnect => match why {
                Some(why) => (code::FORBIDDEN, why),
                None => return Some(Self::REMOVED),
            },
            _ => return None,
        };
        Some(Self { code, message: why.unwrap_or(message) })
    }
}

/// Ends a socket: further events are dropped, and `#[on(disconnect)]` runs after those already accepted. Does nothing
/// for a socket that has already ended.
///
/// Depending on the reason, a disconnect packet is sent first, or the whole connection is closed, since a full buffer
/// has no room for that packet.
pub(crate) fn end(socket: &Arc<SocketState>, raw: &EngineSocket, reason: DisconnectReason) {
    end_as(socket, raw, reason, None, socket.identity());
}

/// The same for a socket that leaves because it is no longer who it was: `#[on(disconnect)]` is told who that was.
fn end_as(
    socket: &Arc<SocketState>,
    raw: &EngineSocket,
    reason: DisconnectReason,
    why: Option<&'static str>,
    identity: Identity,
) {
    let leaving = socket.leaves(reason, identity);
    if let Some(closed) = Closed::for_reason(reason, why)
        && !socket.mailbox.is_closed()
        && raw.is_connected()
    {
        // Without room for it, the client learns nothing but that it was disconnected.
        let _ = raw.emit_plain(CLOSED_EVENT, &closed);
    }
    match reason {
        DisconnectReason::ServerDisconnect | DisconnectReason::LoggedOut | DisconnectReason::NotAuthorized => {
            send_disconnect(socket, raw);
        }
        DisconnectReason::SlowReader | DisconnectReason::Flooding => close_abusive(socket, raw, reason),
        DisconnectReason::SessionRenewed => {
            close_transport(socket, raw);
        }
        // The engine has ended it, or is about to.
        _ => {}
    }
    close(socket, raw, leaving);
}

/// Ends a socket that is not, or no longer, authorized for its channel. Its queued events run no handler and are
/// answered with `forbidden` where possible.
pub(crate) fn disconnect_unauthorized(
    socket: &Arc<SocketState>,
    raw: &EngineSocket,
    why: &'static str,
    reason: DisconnectReason,
    identity: Identity,
) {
    for job in socket.mailbox.take_events() {
        if let Some((payload, ack)) = job.event_and_ack() {
            refuse(socket, raw, payload, ack, EventError::new(code::FORBIDDEN, why));
        }
    }
    end_as(socket, raw, reason, Some(why), identity);
    // Events that arrived in between cannot be answered any more.
    drop(socket.mailbox.take_events());
}

/// Sends the disconnect packet; closes the connection if there is no room for it.
fn send_disconnect(socket: &Arc<SocketState>, raw: &EngineSocket) {
    if socket.mailbox.is_closed() || !raw.is_connected() || raw.disconnect().is_ok() {
        return;
    }
    // Without the packet the client would still consider itself connected.
    if close_transport(socket, raw) {
        tracing::warn!(
            channel = %socket.channel.path, socket = %socket.id,
            "closed a connection: its client was disconnected from a channel, and its buffer had no room for the packet",
        );
    }
}

/// Closes the connection of a client that does not read, or sends more than can be answered.
fn close_abusive(socket: &SocketState, raw: &EngineSocket, reason: DisconnectReason) {
    if !close_transport(socket, raw) {
        return;
    }
    let channel = &socket.channel.path;
    if reason == DisconnectReason::SlowReader {
        metric::slow_reader(socket.channel.label());
        tracing::warn!(
            channel, socket = %socket.id, timeout = ?socket.channel.limits.send_timeout,
            "closed a socket: its client does not read what it is sent (limits.send_timeout)",
        );
    } else {
        metric::flooder(socket.channel.label());
        tracing::warn!(channel, socket = %socket.id, "closed a socket: its client sends more than can be answered");
    }
}

/// Closes the whole connection and with it all its sockets. `false` if it was already closed.
fn close_transport(socket: &SocketState, raw: &EngineSocket) -> bool {
    socket.channel.services.engine().is_some_and(|engine| engine.close_transport(raw))
}

/// Closes the mailbox, removes the socket from its rooms and the channel, and queues `#[on(disconnect)]`.
fn close(socket: &Arc<SocketState>, raw: &EngineSocket, leaving: &Leaving) {
    let handlers = socket.channel.handlers();
    let subscriber = socket.resume.as_ref().filter(|subscriber| subscriber.wants_offsets());
    let mut rooms = Vec::new();
    let leave = || {
        if handlers.handles_disconnect() || subscriber.is_some() {
            rooms = raw.rooms();
        }
        raw.leave_all();
    };
    if !socket.mailbox.close(leave) {
        return;
    }
    socket.channel.unregister(socket);
    socket.leave_presence(leaving.reason);
    socket.channel.services.observed.tell(|observer| observer.disconnected(socket, leaving.reason));
    metric::disconnect(socket.channel.label(), leaving.reason.label());
    if leaving.reason.is_connection_lost() {
        // What has not begun ends with the connection: nobody waits for an answer.
        drop(socket.mailbox.take_events());
    }
    let reason = leaving.reason;
    let of_left = if subscriber.is_some() { rooms.clone() } else { std::mem::take(&mut rooms) };
    let left = Box::new(Left { rooms: of_left, identity: leaving.identity.clone() });
    let job = Job::Disconnect { reason, left };
    let Some(subscriber) = subscriber else { return submit_last(socket, raw, job) };
    let cause = match reason {
        DisconnectReason::ClientLeft | DisconnectReason::ServerDisconnect => LeaveCause::Left,
        DisconnectReason::LoggedOut | DisconnectReason::NotAuthorized => LeaveCause::Revoked,
        _ if socket.channel.disconnects_late && !socket.channel.is_draining() => {
            let (left, raw) = (socket.clone(), raw.clone());
            let on_expiry: Box<dyn FnOnce() + Send> = Box::new(move || submit_last(&left, &raw, job));
            return subscriber.log.leave(
                subscriber,
                socket.id,
                LeaveCause::ConnectionLost { rooms, on_expiry: Some(on_expiry) },
            );
        }
        _ => LeaveCause::ConnectionLost { rooms, on_expiry: None },
    };
    subscriber.log.leave(subscriber, socket.id, cause);
    submit_last(socket, raw, job);
}

/// Queues `#[on(disconnect)]`, and runs it if nothing is before it.
fn submit_last(socket: &Arc<SocketState>, raw: &EngineSocket, job: Job) {
    let handlers = socket.channel.handlers();
    if let Submitted::Run(job) = socket.mailbox.submit_last(job, &socket.client) {
        handlers.clone().run(socket, raw, job);
    }
}
