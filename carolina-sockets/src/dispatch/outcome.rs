//! One outcome per event (rules R7 and R8): an acknowledgement, or an `exception` where none was asked for.

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use socketioxide::{SendError, SocketError, extract::AckSender, handler::FromMessageParts};
use socketioxide_core::{Sid, Value, adapter::BroadcastOptions, adapter::CoreAdapter, packet::Packet, parser::Parse};
use socketioxide_parser_common::CommonParser;

use super::event_name;
use crate::{
    backplane::RawSocket,
    connection::Connection,
    error::{EventError, Result},
    payload::Payload,
};

/// What a handler came to.
#[derive(Debug)]
pub enum Outcome {
    /// All is said.
    Settled,
    /// The client is to be told of a failure.
    Failed(EventError),
    /// The acknowledgement is written, but the client's buffer had no room for it.
    Waiting(Value),
}

/// The way back to whoever sent an event.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) raw: Arc<RawSocket>,
    pub(crate) ack: Option<i64>,
}

#[derive(Serialize)]
struct Failure<'a> {
    error: &'a EventError,
}

#[derive(Serialize)]
struct Exception<'a> {
    #[serde(flatten)]
    error: &'a EventError,
    event: &'a str,
}

impl Reply {
    /// Acknowledges, if the event asked for it and the client's buffer has room.
    pub(crate) fn try_send<T: Serialize + ?Sized>(&self, value: &T) -> Result<(), SendError> {
        let mut unused = Value::Bytes(Bytes::new());
        match AckSender::from_message_parts(&self.raw, &mut unused, &self.ack) {
            Ok(sender) => sender.send(&Payload(value)),
            Err(never) => match never {},
        }
    }

    /// Acknowledges with a value that is written already, past socketioxide's own handle, which would write it
    /// anew.
    fn try_send_written(&self, value: &Value, connection: &Connection) -> Result<(), SendError> {
        let (Some(ack), Some(backplane)) = (self.ack, connection.mount.backplane()) else { return Ok(()) };
        let packet = Packet::ack(connection.mount.ns.clone(), value.clone(), ack);
        match backplane.get_local().broadcast(packet, BroadcastOptions::new(connection.sid)) {
            Ok(()) => Ok(()),
            Err(mut errors) => Err(SendError::Socket(errors.pop().unwrap_or(SocketError::Closed))),
        }
    }

    fn try_fail(&self, error: &EventError, event: &str) -> Result<(), SendError> {
        match self.ack {
            Some(_) => self.try_send(&Failure { error }),
            None => self.raw.emit("exception", &Exception { error, event }),
        }
    }
}

/// Brings an outcome to the client, waiting for room in its buffer where need be.
///
/// # Errors
///
/// When there is nobody to receive it: the client has left, or does not read, which has been logged.
pub(crate) async fn settle(connection: &Arc<Connection>, reply: &Reply, event: &str, outcome: Outcome) -> Result {
    let raw = &reply.raw;
    let sent = match outcome {
        Outcome::Settled => return Ok(()),
        Outcome::Waiting(value) => {
            connection.send_when_room(raw, || reply.try_send_written(&value, connection), event).await
        }
        Outcome::Failed(error) => {
            let error = for_client(error, &connection.mount.path, connection.sid, event);
            connection.send_when_room(raw, || reply.try_fail(&error, event), event).await
        }
    };
    if let Err(error) = &sent {
        tracing::debug!(channel = %connection.mount.path, socket = %connection.sid, event, %error, "an outcome had nobody to go to");
    }
    sent
}

/// Acknowledges with no argument.
pub(crate) fn acknowledge_nothing(reply: &Reply) -> Outcome {
    acknowledge(reply, &crate::extract::Args(Vec::<()>::new()))
}

/// Acknowledges at once if there is room, and otherwise has the value written for when there is.
pub(crate) fn acknowledge<T: Serialize + ?Sized>(reply: &Reply, value: &T) -> Outcome {
    if reply.ack.is_none() {
        return Outcome::Settled;
    }
    let unwritable = |error: &dyn std::fmt::Display| {
        Outcome::Failed(EventError::internal(format!("the returned value does not serialize: {error}")))
    };
    match reply.try_send(value) {
        Ok(()) | Err(SendError::Socket(SocketError::Closed)) => Outcome::Settled,
        Err(SendError::Serialize(error)) => unwritable(&error),
        Err(SendError::Socket(SocketError::InternalChannelFull)) => {
            match CommonParser.encode_value(&Payload(value), None) {
                Ok(value) => Outcome::Waiting(value),
                Err(error) => unwritable(&error),
            }
        }
    }
}

/// Answers an event that does not enter the mailbox. Should the client's buffer be full, the answer waits beside
/// it, so that the reader of packets does not have to.
pub(super) fn refuse(
    connection: &Arc<Connection>,
    raw: &Arc<RawSocket>,
    payload: &Value,
    ack: Option<i64>,
    error: EventError,
) {
    if connection.mailbox.is_closed() {
        return;
    }
    let event = event_name(payload).unwrap_or_default().to_owned();
    let reply = Reply { raw: raw.clone(), ack };
    let error = for_client(error, &connection.mount.path, connection.sid, &event);
    match reply.try_fail(&error, &event) {
        Err(SendError::Socket(SocketError::InternalChannelFull)) => {}
        _ => return,
    }
    if !connection.begin_waiting() {
        return connection.close_flooder(raw);
    }
    let connection = connection.clone();
    connection.mount.tasks.clone().spawn(async move {
        // An error here means that the socket is gone, and has been logged.
        let _ = connection.send_when_room(&reply.raw, || reply.try_fail(&error, &event), &event).await;
        connection.end_waiting();
    });
}

/// Keeps from the client what was not meant for it: an unknown error goes to the log in full, and the client
/// receives the reference under which it stands there.
pub(crate) fn for_client(error: EventError, channel: &str, socket: Sid, event: &str) -> EventError {
    let event: String = event.chars().take(64).collect();
    metrics::counter!("carolina_sockets_failures_total", "channel" => channel.to_owned(), "code" => metric_code(&error))
        .increment(1);
    if !error.is_hidden() {
        tracing::debug!(channel, %socket, event, %error, "an event failed");
        return error;
    }
    let reference = format!("{:016x}", rand::random::<u64>());
    tracing::error!(channel, %socket, event, reference, error = %error.internal_text(), "an event failed unexpectedly");
    error.with_reference(&reference)
}

/// Codes of the application's own are counted as one, so that their number does not grow the metrics.
fn metric_code(error: &EventError) -> &'static str {
    const KNOWN: [&str; 8] = [
        "invalid_payload",
        "unknown_event",
        "unauthenticated",
        "forbidden",
        "rate_limited",
        "overloaded",
        "timeout",
        "internal",
    ];
    KNOWN.into_iter().find(|known| *known == error.code()).unwrap_or("application")
}
