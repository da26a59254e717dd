use std::{
    fmt,
    future::Future,
    sync::{Arc, Weak},
    time::Duration,
};

use bytes::Bytes;
use serde::{Serialize, Serializer, de::DeserializeOwned, ser::SerializeTuple};
use socketioxide::{AckError, extract::AckSender, handler::FromMessageParts};
use socketioxide_core::Value;

use super::{
    client::{ClientConnection, is_any_blocked},
    id::SocketId,
    payload::{self, Answer, Payload},
};
use crate::{
    backplane::RawSocket,
    error::{Error, Source},
};

/// How long an acknowledgement is waited for.
pub(crate) const ACK_TIMEOUT: Duration = Duration::from_secs(5);

/// The engine's socket: one client in one namespace. Cheap to clone.
#[derive(Clone)]
pub(crate) struct EngineSocket(pub(super) Arc<RawSocket>);

/// An [`EngineSocket`] that does not keep it alive.
pub(crate) struct WeakEngineSocket(Weak<RawSocket>);

/// Why a packet was not put into a client's buffer.
#[derive(Debug)]
pub(crate) enum SendError {
    /// There is no room.
    Full,
    /// The client is gone.
    Closed,
    /// The value does not serialize.
    Serialize(Source),
}

impl From<socketioxide::SendError> for SendError {
    fn from(error: socketioxide::SendError) -> Self {
        use socketioxide::{SendError as Raw, SocketError};
        match error {
            Raw::Socket(SocketError::InternalChannelFull) => Self::Full,
            Raw::Socket(SocketError::Closed) => Self::Closed,
            Raw::Serialize(error) => Self::Serialize(error.into()),
        }
    }
}

impl EngineSocket {
    pub(crate) fn id(&self) -> SocketId {
        SocketId::new(self.0.id)
    }

    pub(crate) fn downgrade(&self) -> WeakEngineSocket {
        WeakEngineSocket(Arc::downgrade(&self.0))
    }

    /// Its connection; `None` if the request did not come through the service's own layer.
    pub(crate) fn client(&self) -> Option<Arc<ClientConnection>> {
        self.0.req_parts().extensions.get::<Arc<ClientConnection>>().cloned()
    }

    /// Sends, within the bytes that a client which does not read may make wait.
    fn within_budget<T>(
        &self,
        bytes: impl FnOnce() -> usize,
        send: impl FnOnce() -> Result<T, SendError>,
    ) -> Result<T, SendError> {
        if !is_any_blocked() {
            return send();
        }
        let client = self.0.req_parts().extensions.get::<Arc<ClientConnection>>();
        let Some(client) = client.filter(|client| client.is_blocked()) else { return send() };
        let bytes = bytes();
        if !client.sending().reserve(bytes) {
            return Err(SendError::Full);
        }
        send().inspect_err(|_| client.sending().subtract(bytes))
    }

    /// Writes an event into the client's buffer.
    pub(crate) fn emit<T: Serialize + ?Sized>(&self, event: &str, data: &T) -> Result<(), SendError> {
        self.within_budget(|| payload::size(data), || Ok(self.0.emit(event, &Payload(data))?))
    }

    /// The same for the library's own values, which need not be wrapped in [`Payload`].
    pub(crate) fn emit_plain<T: Serialize>(&self, event: &str, data: &T) -> Result<(), SendError> {
        self.within_budget(|| payload::size(data), || Ok(self.0.emit(event, data)?))
    }

    /// Writes an event that asks for an acknowledgement; the future resolves to it.
    pub(crate) fn emit_with_ack<T: DeserializeOwned, D: Serialize + ?Sized>(
        &self,
        event: &str,
        data: &D,
    ) -> Result<impl Future<Output = Result<T, Error>> + use<T, D>, SendError> {
        let send = || Ok(self.0.emit_with_ack::<_, Answer<T>>(event, &Payload(data))?);
        let answer = self.within_budget(|| payload::size(data), send)?;
        Ok(async move { answer.await.map(|answer| answer.0).map_err(ack_error) })
    }

    /// The same for a packet that is written already.
    pub(super) fn send_written(
        &self,
        bytes: usize,
        send: impl FnOnce() -> Result<(), SendError>,
    ) -> Result<(), SendError> {
        self.within_budget(|| bytes, send)
    }

    /// Writes an event's acknowledgement. Without an id, none was asked for and nothing is written.
    pub(crate) fn acknowledge<T: Serialize + ?Sized>(&self, ack: Option<i64>, value: &T) -> Result<(), SendError> {
        let mut unused = Value::Bytes(Bytes::new());
        match AckSender::from_message_parts(&self.0, &mut unused, &ack) {
            Ok(sender) => self.within_budget(|| payload::size(value), || Ok(sender.send(&Payload(value))?)),
            Err(never) => match never {},
        }
    }

    pub(crate) fn join(&self, rooms: Vec<String>) {
        self.0.join(rooms);
    }

    pub(crate) fn leave(&self, rooms: Vec<String>) {
        self.0.leave(rooms);
    }

    pub(crate) fn leave_all(&self) {
        self.0.leave_all();
    }

    pub(crate) fn rooms(&self) -> Vec<String> {
        self.0.rooms().into_iter().map(|room| room.into_owned()).collect()
    }

    /// Whether CONNECT has been sent to the client, and no DISCONNECT.
    pub(crate) fn is_connected(&self) -> bool {
        self.0.connected()
    }

    /// Sends a disconnect packet and removes the socket from the namespace.
    ///
    /// # Errors
    ///
    /// When the client's buffer has no room for the packet; the socket remains.
    pub(crate) fn disconnect(&self) -> Result<(), SendError> {
        self.0.clone().disconnect().map_err(|error| socketioxide::SendError::Socket(error).into())
    }
}

/// No arguments: an empty tuple.
pub(crate) struct NoArguments;

impl Serialize for NoArguments {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_tuple(0)?.end()
    }
}

impl WeakEngineSocket {
    pub(crate) fn upgrade(&self) -> Option<EngineSocket> {
        self.0.upgrade().map(EngineSocket)
    }
}

impl fmt::Debug for EngineSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineSocket").field("id", &self.0.id).field("namespace", &self.0.ns()).finish_non_exhaustive()
    }
}

/// The error for an acknowledgement that was not received.
pub(super) fn ack_error(error: AckError) -> Error {
    match error {
        AckError::Timeout => Error::Acknowledgement(format!("none came within {ACK_TIMEOUT:?}").into()),
        error => Error::Acknowledgement(error.into()),
    }
}
