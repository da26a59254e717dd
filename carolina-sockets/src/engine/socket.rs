use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Weak},
    time::Duration,
};

use bytes::Bytes;
use futures_core::Stream;
use futures_util::StreamExt;
use serde::{Serialize, Serializer, de::DeserializeOwned, ser::SerializeTuple};
use socketioxide::{AckError, ProtocolVersion, extract::AckSender, handler::FromMessageParts};
use socketioxide_core::{Str, Value, packet::Packet, parser::Parse};
use socketioxide_parser_common::CommonParser;

use super::{
    client::{ClientConnection, is_any_blocked},
    id::SocketId,
    instances::InstanceSocket,
    payload::{self, Answer, Payload},
    reason::DisconnectReason,
};
use crate::{
    backplane::RawSocket,
    error::{Caused, Error, Source},
};

/// How long an acknowledgement is waited for.
pub(crate) const ACK_TIMEOUT: Duration = Duration::from_secs(5);

/// The engine's socket: one client in one namespace. Cheap to clone.
#[derive(Clone)]
pub(crate) struct EngineSocket {
    raw: Arc<RawSocket>,
    /// Where the channel has parameters; `raw` is then the connection's on all instances.
    instance: Option<Arc<InstanceSocket>>,
}

/// An [`EngineSocket`] that does not keep it alive.
pub(crate) struct WeakEngineSocket {
    raw: Weak<RawSocket>,
    instance: Option<Weak<InstanceSocket>>,
}

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
    pub(super) fn new(raw: Arc<RawSocket>) -> Self {
        Self { raw, instance: None }
    }

    pub(super) fn on_instance(raw: Arc<RawSocket>, instance: Arc<InstanceSocket>) -> Self {
        Self { raw, instance: Some(instance) }
    }

    pub(crate) fn id(&self) -> SocketId {
        SocketId::new(self.raw.id)
    }

    /// The path of the instance that it is on, where the channel has parameters.
    pub(crate) fn instance(&self) -> Option<&str> {
        self.instance.as_ref().map(|instance| instance.path())
    }

    /// The namespace of its packets, where that is an instance.
    pub(super) fn packet_path(&self) -> Option<Str> {
        self.instance.as_ref().map(|instance| instance.packet_path())
    }

    pub(crate) fn downgrade(&self) -> WeakEngineSocket {
        WeakEngineSocket { raw: Arc::downgrade(&self.raw), instance: self.instance.as_ref().map(Arc::downgrade) }
    }

    /// Keeps the engine's answer to CONNECT from the client. Whoever calls it sends one by
    /// [`EngineNamespace::answer_connect`](super::EngineNamespace::answer_connect), once [`NamespaceHooks::connected`](super::NamespaceHooks::connected)
    /// is called.
    pub(crate) fn withhold_answer(&self) {
        match (&self.instance, self.client()) {
            (Some(instance), _) => instance.withhold_answer(),
            (None, Some(client)) => client.withheld().add(self.raw.ns()),
            (None, None) => {}
        }
    }

    /// The payload of CONNECT's answer; `None` for clients of protocol 4, who get none.
    pub(super) fn connect_payload(&self, pid: &str) -> Option<Value> {
        (self.raw.protocol() == ProtocolVersion::V5).then(|| {
            let text = format!("{{\"sid\":\"{}\",\"pid\":\"{pid}\"}}", self.raw.id);
            Value::Str(text.into(), None)
        })
    }

    /// Its connection; `None` if the request did not come through the service's own layer.
    pub(crate) fn client(&self) -> Option<Arc<ClientConnection>> {
        self.raw.req_parts().extensions.get::<Arc<ClientConnection>>().cloned()
    }

    /// Whether its client has stopped reading.
    pub(crate) fn is_blocked(&self) -> bool {
        self.client().is_some_and(|client| client.is_blocked())
    }

    /// Closes the connection of a client that has no room for what it is sent.
    pub(crate) fn cut(&self) {
        if let Some(client) = self.client() {
            client.close_with(DisconnectReason::SlowReader);
        }
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
        let client = self.raw.req_parts().extensions.get::<Arc<ClientConnection>>();
        let Some(client) = client.filter(|client| client.is_blocked()) else { return send() };
        let bytes = bytes();
        if !client.sending().reserve(bytes) {
            return Err(SendError::Full);
        }
        send().inspect_err(|_| client.sending().subtract(bytes))
    }

    /// Writes an event into the client's buffer.
    pub(crate) fn emit<T: Serialize + ?Sized>(&self, event: &str, data: &T) -> Result<(), SendError> {
        let send = || match &self.instance {
            None => Ok(self.raw.emit(event, &Payload(data))?),
            Some(instance) => instance.emit(&self.raw, encode(event, &Payload(data))?),
        };
        self.within_budget(|| payload::size(data), send)
    }

    /// The same for the library's own values, which need not be wrapped in [`Payload`].
    pub(crate) fn emit_plain<T: Serialize>(&self, event: &str, data: &T) -> Result<(), SendError> {
        let send = || match &self.instance {
            None => Ok(self.raw.emit(event, data)?),
            Some(instance) => instance.emit(&self.raw, encode(event, data)?),
        };
        self.within_budget(|| payload::size(data), send)
    }

    /// Writes an event that asks for an acknowledgement; the future resolves to it.
    pub(crate) fn emit_with_ack<T: DeserializeOwned, D: Serialize + ?Sized>(
        &self,
        event: &str,
        data: &D,
    ) -> Result<impl Future<Output = Result<T, Error>> + use<T, D>, SendError> {
        let send = || match &self.instance {
            None => Ok(Answering::Plain(self.raw.emit_with_ack::<_, Answer<T>>(event, &Payload(data))?)),
            Some(instance) => {
                let data = encode(event, &Payload(data))?;
                Ok(Answering::Instance(Box::pin(instance.emit_with_ack(&self.raw, data, ACK_TIMEOUT)?)))
            }
        };
        let answer = self.within_budget(|| payload::size(data), send)?;
        Ok(async move {
            match answer {
                Answering::Plain(answer) => answer.await.map(|answer| answer.0).map_err(ack_error),
                Answering::Instance(mut answers) => match answers.next().await {
                    Some(answer) => read_answer(answer),
                    None => Err(Error::Closed),
                },
            }
        })
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
        if let Some(instance) = &self.instance {
            let Some(ack) = ack else { return Ok(()) };
            let send = || {
                let value = CommonParser.encode_value(&Payload(value), None);
                let value = value.map_err(|error| SendError::Serialize(error.into()))?;
                instance.send(&self.raw, Packet::ack(instance.packet_path(), value, ack))
            };
            return self.within_budget(|| payload::size(value), send);
        }
        let mut unused = Value::Bytes(Bytes::new());
        match AckSender::from_message_parts(&self.raw, &mut unused, &ack) {
            Ok(sender) => self.within_budget(|| payload::size(value), || Ok(sender.send(&Payload(value))?)),
            Err(never) => match never {},
        }
    }

    pub(crate) fn join(&self, rooms: Vec<String>) {
        match &self.instance {
            None => self.raw.join(rooms),
            Some(instance) => instance.join(&self.raw, rooms),
        }
    }

    pub(crate) fn leave(&self, rooms: Vec<String>) {
        match &self.instance {
            None => self.raw.leave(rooms),
            Some(instance) => instance.leave(&self.raw, rooms),
        }
    }

    pub(crate) fn leave_all(&self) {
        match &self.instance {
            None => self.raw.leave_all(),
            Some(instance) => instance.leave_all(&self.raw),
        }
    }

    pub(crate) fn rooms(&self) -> Vec<String> {
        match &self.instance {
            None => self.raw.rooms().into_iter().map(|room| room.into_owned()).collect(),
            Some(instance) => instance.rooms(&self.raw),
        }
    }

    /// Whether CONNECT has been sent to the client, and no DISCONNECT.
    pub(crate) fn is_connected(&self) -> bool {
        match &self.instance {
            None => self.raw.connected(),
            Some(instance) => instance.is_connected(),
        }
    }

    /// Sends a disconnect packet and removes the socket from the namespace.
    ///
    /// # Errors
    ///
    /// When the client's buffer has no room for the packet; the socket remains, or the client has to be told by closing the
    /// connection.
    pub(crate) fn disconnect(&self) -> Result<(), SendError> {
        match &self.instance {
            None => self.raw.clone().disconnect().map_err(|error| socketioxide::SendError::Socket(error).into()),
            Some(instance) => instance.disconnect(&self.raw),
        }
    }
}

/// What resolves to an acknowledgement.
enum Answering<P> {
    Plain(P),
    Instance(Pin<Box<dyn Stream<Item = Result<Value, AckError>> + Send>>),
}

/// Serializes an event.
fn encode<T: Serialize + ?Sized>(event: &str, data: &T) -> Result<Value, SendError> {
    CommonParser.encode_value(data, Some(event)).map_err(|error| SendError::Serialize(error.into()))
}

/// Reads an acknowledgement.
pub(super) fn read_answer<T: DeserializeOwned>(answer: Result<Value, AckError>) -> Result<T, Error> {
    let mut value = answer.map_err(ack_error)?;
    CommonParser.decode_value(&mut value, false).map(|answer: Answer<T>| answer.0).map_err(|error| {
        Error::Acknowledgement(Caused::new(format!("it does not read as asked: {error}"), error).into())
    })
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
        let instance = match &self.instance {
            None => None,
            Some(instance) => Some(instance.upgrade()?),
        };
        Some(EngineSocket { raw: self.raw.upgrade()?, instance })
    }
}

impl fmt::Debug for EngineSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let namespace = self.instance().unwrap_or_else(|| self.raw.ns());
        f.debug_struct("EngineSocket").field("id", &self.raw.id).field("namespace", &namespace).finish_non_exhaustive()
    }
}

/// The error for an acknowledgement that was not received.
pub(super) fn ack_error(error: AckError) -> Error {
    match error {
        AckError::Timeout => Error::Acknowledgement(format!("none came within {ACK_TIMEOUT:?}").into()),
        error => Error::Acknowledgement(error.into()),
    }
}
