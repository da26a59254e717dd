//! Sending to many: to everybody in a namespace, on this node and on others.

use std::sync::{Arc, Weak};

use futures_util::StreamExt;
use serde::{Serialize, de::DeserializeOwned};
use socketioxide_core::{
    Str, Value,
    adapter::{
        BroadcastFlags, BroadcastOptions, CoreAdapter,
        errors::{BroadcastError, SocketError},
    },
    packet::Packet,
    parser::Parse,
};
use socketioxide_parser_common::CommonParser;

use super::{
    payload::{Answer, Payload},
    rejoin::LEFT_ROOM,
    socket::{ACK_TIMEOUT, EngineSocket, SendError, SocketId, ack_error},
};
use crate::{
    backplane::{Backplane, decode, encode},
    error::{Error, Result},
};

/// A room that nobody is in.
const EMPTY_ROOM: &str = "\0nobody";

/// Who of a namespace's clients is meant.
///
/// Rooms add up: who is in one of those to send to and in none of those to leave out is meant, once. With no room to send
/// to, everybody is.
#[derive(Clone)]
pub(crate) struct Recipients(BroadcastOptions);

impl Recipients {
    /// Everybody, on every node.
    pub(crate) fn all() -> Self {
        Self::from(BroadcastOptions::default())
    }

    /// Everybody but one socket.
    pub(crate) fn all_except(socket: SocketId) -> Self {
        Self::from(BroadcastOptions::new(socket))
    }

    fn from(mut options: BroadcastOptions) -> Self {
        options.add_flag(BroadcastFlags::Broadcast);
        options.except.push(LEFT_ROOM.into());
        Self(options)
    }

    /// Adds those in one of these rooms. No room at all is nobody, not everybody.
    pub(crate) fn add_rooms(&mut self, rooms: Vec<String>) {
        self.0.rooms.extend(rooms.into_iter().map(Into::into));
        if self.0.rooms.is_empty() {
            self.0.rooms.push(EMPTY_ROOM.into());
        }
    }

    /// Leaves out those in one of these rooms.
    pub(crate) fn exclude_rooms(&mut self, rooms: Vec<String>) {
        self.0.except.extend(rooms.into_iter().map(Into::into));
    }

    /// Only those connected to this node.
    pub(crate) fn local_only(&mut self) {
        self.0.add_flag(BroadcastFlags::Local);
    }

    /// The rooms to send to, and those to leave out.
    pub(crate) fn rooms(&self) -> (impl Iterator<Item = &str>, impl Iterator<Item = &str>) {
        (self.0.rooms.iter().map(AsRef::as_ref), self.0.except.iter().map(AsRef::as_ref))
    }
}

/// A value as packets carry it: what was once serialized need not be again.
#[derive(Clone, Debug)]
pub struct EncodedPayload(Value);

/// Serializes an event into the text that other processes can send, and its attachments.
///
/// # Errors
///
/// [`Error::Serialize`] when `data` does not serialize.
pub(crate) fn encode_event(event: &str, data: &impl Serialize) -> Result<(String, Vec<String>)> {
    let unfit = |reason: String| Error::Serialize { event: event.to_owned(), reason };
    let value = CommonParser.encode_value(&Payload(data), Some(event)).map_err(|error| unfit(error.to_string()))?;
    encode(&value).ok_or_else(|| unfit("it is not text".to_owned()))
}

impl EncodedPayload {
    /// Serializes an acknowledgement.
    ///
    /// # Errors
    ///
    /// Why the value does not serialize.
    pub(crate) fn answer<T: Serialize + ?Sized>(value: &T) -> std::result::Result<Self, String> {
        CommonParser.encode_value(&Payload(value), None).map(Self).map_err(|error| error.to_string())
    }
}

/// A namespace, for sending to its clients.
#[derive(Clone)]
pub(crate) struct EngineNamespace {
    path: Str,
    backplane: Weak<Backplane>,
}

impl EngineNamespace {
    pub(super) fn new(path: &str, backplane: &Arc<Backplane>) -> Self {
        Self { path: Str::copy_from_slice(path), backplane: Arc::downgrade(backplane) }
    }

    fn backplane(&self) -> Result<Arc<Backplane>> {
        self.backplane.upgrade().ok_or(Error::Closed)
    }

    /// Sends an event. Returns how many of this node's clients missed it, because their buffers are full.
    ///
    /// # Errors
    ///
    /// [`Error::Serialize`] when `data` does not serialize, [`Error::Backplane`] when other nodes could not be told,
    /// [`Error::Closed`] when the service is gone.
    pub(crate) async fn emit(&self, event: &str, data: &impl Serialize, recipients: &Recipients) -> Result<usize> {
        let packet = self.packet(event, data)?;
        match self.backplane()?.broadcast(packet, recipients.0.clone()).await {
            Ok(()) => Ok(0),
            Err(BroadcastError::Socket(errors)) => Ok(count_full_buffers(&errors)),
            Err(error) => Err(Error::backplane(error.to_string())),
        }
    }

    /// Sends an event and collects the acknowledgements of those that were asked.
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit).
    pub(crate) async fn emit_with_ack<T: DeserializeOwned>(
        &self,
        event: &str,
        data: &impl Serialize,
        recipients: &Recipients,
    ) -> Result<Vec<Result<T>>> {
        let packet = self.packet(event, data)?;
        let answers = self.backplane()?.broadcast_with_ack(packet, recipients.0.clone(), Some(ACK_TIMEOUT)).await;
        let answers = answers.map_err(Error::backplane)?.map(|(_, answer)| match answer {
            Ok(mut value) => CommonParser
                .decode_value(&mut value, false)
                .map(|answer: Answer<T>| answer.0)
                .map_err(|error| Error::Acknowledgement(format!("it does not read as asked: {error}"))),
            Err(error) => Err(ack_error(&error)),
        });
        Ok(answers.collect().await)
    }

    /// Sends an event that another process has written, to this node's clients. Returns how many of them missed it, and
    /// `None` when it is not an event.
    pub(crate) fn emit_encoded(
        &self,
        payload: String,
        attachments: &[String],
        to: Vec<String>,
        except: Vec<String>,
    ) -> Option<usize> {
        let value = decode(payload, attachments)?;
        let Ok(backplane) = self.backplane() else { return Some(0) };
        let mut recipients = Recipients::all();
        recipients.0.rooms.extend(to.into_iter().map(Into::into));
        recipients.exclude_rooms(except);
        let sent = backplane.get_local().broadcast(Packet::event(self.path.clone(), value), recipients.0);
        Some(sent.err().map_or(0, |errors| count_full_buffers(&errors)))
    }

    /// Acknowledges an event with a value that is written already, past socketioxide's own handle, which would serialize
    /// it again. Without an id, nothing is sent.
    ///
    /// # Errors
    ///
    /// When it does not reach the client's buffer.
    pub(crate) fn acknowledge(
        &self,
        socket: &EngineSocket,
        ack: Option<i64>,
        value: &EncodedPayload,
    ) -> std::result::Result<(), SendError> {
        let (Some(ack), Ok(backplane)) = (ack, self.backplane()) else { return Ok(()) };
        let packet = Packet::ack(self.path.clone(), value.0.clone(), ack);
        match backplane.get_local().broadcast(packet, BroadcastOptions::new(socket.id())) {
            Ok(()) => Ok(()),
            Err(mut errors) => Err(socketioxide::SendError::Socket(errors.pop().unwrap_or(SocketError::Closed)).into()),
        }
    }

    /// The rooms that they are in, on every node.
    ///
    /// # Errors
    ///
    /// [`Error::Backplane`] when other nodes could not be asked.
    pub(crate) async fn rooms(&self, recipients: &Recipients) -> Result<Vec<String>> {
        let rooms = self.backplane()?.rooms(recipients.0.clone()).await.map_err(Error::backplane)?;
        Ok(rooms.into_iter().map(|room| room.into_owned()).collect())
    }

    /// Puts them into rooms, on every node.
    ///
    /// # Errors
    ///
    /// [`Error::Backplane`] when other nodes could not be told.
    pub(crate) async fn join(&self, recipients: &Recipients, rooms: Vec<String>) -> Result {
        self.backplane()?.add_sockets(recipients.0.clone(), rooms).await.map_err(Error::backplane)
    }

    /// Takes them out of rooms, on every node.
    ///
    /// # Errors
    ///
    /// [`Error::Backplane`] when other nodes could not be told.
    pub(crate) async fn leave(&self, recipients: &Recipients, rooms: Vec<String>) -> Result {
        self.backplane()?.del_sockets(recipients.0.clone(), rooms).await.map_err(Error::backplane)
    }

    /// This node's sockets among them.
    pub(crate) fn local_sockets(&self, recipients: &Recipients) -> Vec<SocketId> {
        self.backplane().map(|backplane| backplane.get_local().sockets(recipients.0.clone())).unwrap_or_default()
    }

    /// This node's sockets in a room.
    pub(crate) fn local_sockets_in(&self, room: &str) -> Vec<SocketId> {
        let mut options = BroadcastOptions::default();
        options.rooms.push(room.to_owned().into());
        self.backplane().map(|backplane| backplane.get_local().sockets(options)).unwrap_or_default()
    }

    /// Takes those on other nodes off the channel.
    ///
    /// # Errors
    ///
    /// [`Error::Backplane`] when other nodes could not be told.
    pub(crate) async fn disconnect_others(&self, recipients: &Recipients) -> Result {
        self.backplane()?.disconnect_others(recipients.0.clone()).await.map_err(Error::backplane)
    }

    /// How many nodes there are, this one included.
    ///
    /// # Errors
    ///
    /// [`Error::Backplane`] while the backplane is away.
    pub(crate) async fn nodes(&self) -> Result<u16> {
        self.backplane()?.server_count().await.map_err(Error::backplane)
    }

    fn packet(&self, event: &str, data: &impl Serialize) -> Result<Packet> {
        let data: Value = CommonParser
            .encode_value(&Payload(data), Some(event))
            .map_err(|error| Error::Serialize { event: event.to_owned(), reason: error.to_string() })?;
        Ok(Packet::event(self.path.clone(), data))
    }
}

/// How many of those errors are full buffers: clients that are leaving miss nothing.
fn count_full_buffers(errors: &[SocketError]) -> usize {
    errors.iter().filter(|error| matches!(error, SocketError::InternalChannelFull)).count()
}
