//! How a socket's time on its channel ends: whatever the reason, it comes through [`end`].

use std::sync::Arc;

use super::{Job, SocketState, Submitted, answer::refuse};
use crate::{
    engine::{DisconnectReason, EngineSocket},
    error::EventError,
    telemetry::metric,
};

/// Ends a socket: no event is taken from here on, and `#[on(disconnect)]` runs after those that were taken. A socket that
/// has ended already is left alone.
///
/// By the reason, the client is told first, or its whole connection is cut: a buffer that is full has no room for a
/// goodbye either.
pub(crate) fn end(socket: &Arc<SocketState>, raw: &EngineSocket, reason: DisconnectReason) {
    match reason {
        DisconnectReason::ServerDisconnect => send_disconnect(socket, raw),
        DisconnectReason::SlowReader | DisconnectReason::Flooding => close_abusive(socket, raw, reason),
        DisconnectReason::SessionRenewed => {
            close_transport(socket, raw);
        }
        // The engine has ended it, or is about to.
        _ => {}
    }
    close(socket, raw, reason);
}

/// Ends a socket that may not be on its channel, or no longer. The events that it has sent already run no handler, and
/// are answered with `forbidden` as long as that is possible.
pub(crate) fn disconnect_unauthorized(socket: &Arc<SocketState>, raw: &EngineSocket, why: &'static str) {
    for job in socket.mailbox.take_events() {
        if let Some((payload, ack)) = job.event_and_ack() {
            refuse(socket, raw, payload, ack, EventError::new("forbidden", why));
        }
    }
    end(socket, raw, DisconnectReason::ServerDisconnect);
    // Those that came in between cannot be answered any more.
    drop(socket.mailbox.take_events());
}

/// Tells the client that it is no longer on the channel.
fn send_disconnect(socket: &Arc<SocketState>, raw: &EngineSocket) {
    if socket.mailbox.is_closed() || !raw.is_connected() || raw.disconnect().is_ok() {
        return;
    }
    // There is no room for the packet, and without it the client would believe itself connected.
    if close_transport(socket, raw) {
        tracing::warn!(
            channel = %socket.channel.path, socket = %socket.id,
            "cut a connection: it had to leave its channel and had no room to be told",
        );
    }
}

/// Cuts a client that does not read what it is sent, or sends more than can be answered.
fn close_abusive(socket: &SocketState, raw: &EngineSocket, reason: DisconnectReason) {
    if !close_transport(socket, raw) {
        return;
    }
    let channel = &socket.channel.path;
    if reason == DisconnectReason::SlowReader {
        metric::slow_reader(channel);
        tracing::warn!(
            channel, socket = %socket.id, timeout = ?socket.channel.limits.send_timeout,
            "closed a socket: its client does not read what it is sent (limits.send_timeout)",
        );
    } else {
        metric::flooder(channel);
        tracing::warn!(channel, socket = %socket.id, "closed a socket: its client sends more than can be answered");
    }
}

/// Ends the whole connection, and with it all its sockets. `false` when that was done before.
fn close_transport(socket: &SocketState, raw: &EngineSocket) -> bool {
    socket.channel.services.engine().is_some_and(|engine| engine.close_transport(raw))
}

/// Closes the mailbox, takes the socket out of its rooms and the channel, and queues `#[on(disconnect)]`.
fn close(socket: &Arc<SocketState>, raw: &EngineSocket, reason: DisconnectReason) {
    let handlers = socket.channel.handlers();
    let rooms = if handlers.handles_disconnect() { raw.rooms() } else { Vec::new() };
    if !socket.mailbox.close(|| raw.leave_all()) {
        return;
    }
    socket.channel.unregister(socket);
    if let Submitted::Run(job) = socket.mailbox.submit_last(Job::Disconnect { reason, rooms }) {
        handlers.clone().run(socket, raw, job);
    }
}
