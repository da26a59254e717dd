//! Sending to many clients of a namespace, on this node and on others.

use std::{
    borrow::Cow,
    sync::{Arc, Weak},
};

use bytes::Bytes;
use futures_util::StreamExt;
use serde::{Serialize, de::DeserializeOwned};
use socketioxide_core::{
    Str, Value,
    adapter::{
        BroadcastFlags, BroadcastOptions, CoreAdapter,
        errors::{BroadcastError, SocketError},
    },
    packet::{Packet, PacketData},
    parser::Parse,
};
use socketioxide_parser_common::CommonParser;

use super::{
    blocked::{Blocked, FULL},
    event::check_name,
    id::SocketId,
    instances::{room_in, room_of},
    payload::Payload,
    rejoin::LEFT_ROOM,
    socket::{ACK_TIMEOUT, EngineSocket, SendError, read_answer},
};
use crate::{
    backplane::{Backplane, BackplaneError, decode, encode},
    error::{Error, Result, Source},
};

/// A room that is always empty.
const EMPTY_ROOM: &str = "\0nobody";

/// A selection of a namespace's clients.
///
/// It contains every client that is in at least one of the rooms and in none of the excluded rooms, once. With no rooms
/// given, it contains all clients.
#[derive(Clone)]
pub(crate) struct Recipients(BroadcastOptions);

impl Recipients {
    /// All clients, on every node.
    pub(crate) fn all() -> Self {
        Self::from(BroadcastOptions::default())
    }

    /// The clients in these rooms, or all where none is named, as another node has written them.
    pub(crate) fn in_rooms(to: Vec<String>, except: Vec<String>) -> Self {
        let mut recipients = Self::all();
        recipients.0.rooms.extend(to.into_iter().map(Into::into));
        recipients.exclude_rooms(except);
        recipients
    }

    /// All clients except one socket.
    pub(crate) fn all_except(socket: SocketId) -> Self {
        Self::from(BroadcastOptions::new(socket.raw()))
    }

    fn from(mut options: BroadcastOptions) -> Self {
        options.add_flag(BroadcastFlags::Broadcast);
        options.except.extend([LEFT_ROOM.into(), FULL.into()]);
        Self(options)
    }

    /// Adds the clients in at least one of these rooms. An empty list selects no client, not all.
    pub(crate) fn add_rooms(&mut self, rooms: Vec<String>) {
        self.0.rooms.extend(rooms.into_iter().map(Into::into));
        if self.0.rooms.is_empty() {
            self.0.rooms.push(EMPTY_ROOM.into());
        }
    }

    /// Excludes the clients in any of these rooms.
    pub(crate) fn exclude_rooms(&mut self, rooms: Vec<String>) {
        self.0.except.extend(rooms.into_iter().map(Into::into));
    }

    /// Restricts it to the clients connected to this node.
    pub(crate) fn local_only(&mut self) {
        self.0.add_flag(BroadcastFlags::Local);
    }

    /// Whether it is restricted to the clients connected to this node.
    pub(crate) fn is_local(&self) -> bool {
        self.0.has_flag(BroadcastFlags::Local)
    }

    /// Whether it selects no client.
    #[cfg(feature = "testing")]
    pub(crate) fn is_nobody(&self) -> bool {
        self.0.rooms.iter().any(|room| room.as_ref() == EMPTY_ROOM) && self.0.rooms.len() == 1
    }

    /// The socket that is left out, if one is.
    pub(crate) fn left_out(&self) -> Option<SocketId> {
        self.0.sid.map(SocketId::new)
    }

    /// The rooms, and the excluded rooms.
    pub(crate) fn rooms(&self) -> (impl Iterator<Item = &str>, impl Iterator<Item = &str>) {
        (self.0.rooms.iter().map(AsRef::as_ref), self.0.except.iter().map(AsRef::as_ref))
    }
}

/// A value encoded for a packet, so that it is serialized only once.
#[derive(Clone, Debug)]
pub struct EncodedPayload(Value);

/// Serializes an event into text and attachments, for other processes to send.
///
/// # Errors
///
/// [`Error::Serialize`] when `data` does not serialize, [`Error::ReservedEvent`] when clients use the name for themselves.
pub(crate) fn encode_event<T: Serialize + ?Sized>(event: &str, data: &T) -> Result<(String, Vec<String>)> {
    Ok(EncodedPayload::event(event, data)?.texts())
}

impl EncodedPayload {
    /// Serializes an event.
    ///
    /// # Errors
    ///
    /// [`Error::Serialize`] when `data` does not serialize, [`Error::ReservedEvent`] when clients use the name for themselves.
    pub(crate) fn event<T: Serialize + ?Sized>(event: &str, data: &T) -> Result<Self> {
        check_name(event)?;
        let value = CommonParser.encode_value(&Payload(data), Some(event));
        value.map(Self).map_err(|error| Error::Serialize { event: event.to_owned(), reason: error.into() })
    }

    /// The same event with one more argument, a text that needs no escapes.
    pub(crate) fn with_last(&self, argument: &str) -> Self {
        let Value::Str(text, attachments) = &self.0 else { return self.clone() };
        let mut longer = String::with_capacity(text.len() + argument.len() + 3);
        longer.push_str(text.strip_suffix(']').unwrap_or(text));
        longer.push_str(",\"");
        longer.push_str(argument);
        longer.push_str("\"]");
        Self(Value::Str(longer.into(), attachments.clone()))
    }

    /// Its bytes, attachments included.
    pub(crate) fn bytes(&self) -> usize {
        value_bytes(&self.0)
    }

    /// An event that another process has encoded.
    ///
    /// # Errors
    ///
    /// What is wrong with it, when it is not an event.
    pub(crate) fn from_texts(payload: String, attachments: &[String]) -> Result<Self, String> {
        decode(payload, attachments).map(Self)
    }

    /// Text and attachments, for other processes to send.
    pub(crate) fn texts(&self) -> (String, Vec<String>) {
        encode(&self.0).unwrap_or_default()
    }

    /// Serializes an acknowledgement.
    ///
    /// # Errors
    ///
    /// Why the value does not serialize.
    pub(crate) fn answer<T: Serialize + ?Sized>(value: &T) -> std::result::Result<Self, Source> {
        CommonParser.encode_value(&Payload(value), None).map(Self).map_err(Source::from)
    }
}

/// A namespace, for sending to its clients.
#[derive(Clone)]
pub(crate) struct EngineNamespace {
    path: Str,
    /// Whether it is an instance of a template, whose adapter it shares.
    is_instance: bool,
    backplane: Weak<Backplane>,
    blocked: Arc<Blocked>,
}

impl EngineNamespace {
    pub(super) fn new(path: &str, backplane: &Arc<Backplane>, blocked: Arc<Blocked>) -> Self {
        Self { path: Str::copy_from_slice(path), is_instance: false, backplane: Arc::downgrade(backplane), blocked }
    }

    /// An instance of a template, whose namespace this is.
    pub(crate) fn instance(&self, path: &str) -> Self {
        let (backplane, blocked) = (self.backplane.clone(), self.blocked.clone());
        Self { path: Str::copy_from_slice(path), is_instance: true, backplane, blocked }
    }

    /// Rooms as the adapter knows them.
    fn own(&self, rooms: Vec<String>) -> Vec<String> {
        match self.is_instance {
            false => rooms,
            true => rooms.iter().map(|room| room_of(&self.path, room)).collect(),
        }
    }

    /// The recipients as the adapter knows them.
    fn options(&self, recipients: &Recipients) -> BroadcastOptions {
        let mut options = recipients.0.clone();
        if self.is_instance {
            let own = |room: &mut Cow<'static, str>| {
                if *room != LEFT_ROOM && *room != FULL && *room != EMPTY_ROOM {
                    *room = room_of(&self.path, room).into();
                }
            };
            options.rooms.iter_mut().for_each(own);
            options.except.iter_mut().for_each(own);
            if options.rooms.is_empty() {
                options.rooms.push(room_of(&self.path, "").into());
            }
        }
        options
    }

    fn backplane(&self) -> Result<Arc<Backplane>> {
        self.backplane.upgrade().ok_or(Error::Closed)
    }

    /// Sends an event. Returns how many of this node's clients missed it because their buffers are full.
    ///
    /// # Errors
    ///
    /// [`Error::Serialize`] when `data` does not serialize, [`Error::ReservedEvent`] when clients use the name for
    /// themselves, [`Error::Backplane`] when other nodes could not be notified, [`Error::Closed`] when the service has
    /// ended.
    pub(crate) async fn emit(&self, event: &str, data: &impl Serialize, recipients: &Recipients) -> Result<usize> {
        let packet = self.packet(event, data)?;
        let backplane = self.backplane()?;
        let options = self.options(recipients);
        let left_out = self.leave_out_full(&backplane, &packet, &options);
        match backplane.broadcast(packet, options).await {
            Ok(()) => Ok(left_out),
            Err(BroadcastError::Socket(errors)) => Ok(left_out + count_full_buffers(&errors)),
            Err(error) => Err(Error::backplane(BackplaneError::from(error))),
        }
    }

    /// Keeps a broadcast from those of this node's clients that do not read and have all the bytes waiting that they may.
    /// They are in a room that no broadcast reaches until they have read what waits. Returns how many miss this one.
    fn leave_out_full(&self, backplane: &Backplane, packet: &Packet, options: &BroadcastOptions) -> usize {
        if !self.blocked.is_any() {
            return 0;
        }
        let local = backplane.get_local();
        let bytes = packet_bytes(packet);
        let mut everybody = options.clone();
        everybody.except.retain(|room| room != FULL);
        let mut left_out = 0;
        for id in local.sockets(everybody) {
            self.blocked.with(SocketId::new(id), |client| {
                if client.is_full() || !client.sending().reserve(bytes) {
                    // Also in this namespace, should it be another one's broadcast that found no room.
                    client.set_full();
                    local.add_all(id, [FULL]);
                    left_out += 1;
                }
            });
        }
        left_out
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
        let (backplane, options) = (self.backplane()?, self.options(recipients));
        let left_out = self.leave_out_full(&backplane, &packet, &options);
        let answers = backplane.broadcast_with_ack(packet, options, Some(ACK_TIMEOUT)).await;
        let answers = answers.map_err(Error::backplane)?.map(|(_, answer)| read_answer(answer));
        let mut answers: Vec<_> = answers.collect().await;
        let no_room = || Err(Error::Acknowledgement("the client does not read, and has no room for more".into()));
        answers.extend(std::iter::repeat_with(no_room).take(left_out));
        Ok(answers)
    }

    /// Sends an encoded event to this node's clients. Returns how many of them missed it.
    pub(crate) fn emit_here(&self, payload: &EncodedPayload, recipients: &Recipients) -> usize {
        let Ok(backplane) = self.backplane() else { return 0 };
        let packet = Packet::event(self.path.clone(), payload.0.clone());
        let options = self.options(recipients);
        let left_out = self.leave_out_full(&backplane, &packet, &options);
        let sent = backplane.get_local().broadcast(packet, options);
        left_out + sent.err().map_or(0, |errors| count_full_buffers(&errors))
    }

    /// Acknowledges an event with an encoded value. It bypasses socketioxide's own handle, which would serialize it
    /// again. Without an id, nothing is sent.
    ///
    /// # Errors
    ///
    /// When it could not be put into the client's buffer.
    pub(crate) fn acknowledge(
        &self,
        socket: &EngineSocket,
        ack: Option<i64>,
        value: &EncodedPayload,
    ) -> std::result::Result<(), SendError> {
        let (Some(ack), Ok(backplane)) = (ack, self.backplane()) else { return Ok(()) };
        let path = socket.packet_path().unwrap_or_else(|| self.path.clone());
        let packet = Packet::ack(path, value.0.clone(), ack);
        let send = || match backplane.get_local().broadcast(packet, BroadcastOptions::new(socket.id().raw())) {
            Ok(()) => Ok(()),
            Err(mut errors) => Err(socketioxide::SendError::Socket(errors.pop().unwrap_or(SocketError::Closed)).into()),
        };
        socket.send_written(value_bytes(&value.0), send)
    }

    /// Answers a client's CONNECT in place of the engine, with an id that its connections share.
    ///
    /// # Errors
    ///
    /// When it could not be put into the client's buffer.
    pub(crate) fn answer_connect(&self, socket: &EngineSocket, pid: &str) -> std::result::Result<(), SendError> {
        let path = socket.packet_path().unwrap_or_else(|| self.path.clone());
        self.send_to_one(socket, Packet::connect(path, socket.connect_payload(pid)))
    }

    fn send_to_one(&self, socket: &EngineSocket, packet: Packet) -> std::result::Result<(), SendError> {
        let Ok(backplane) = self.backplane() else { return Err(SendError::Closed) };
        match backplane.get_local().broadcast(packet, BroadcastOptions::new(socket.id().raw())) {
            Ok(()) => Ok(()),
            Err(mut errors) => Err(socketioxide::SendError::Socket(errors.pop().unwrap_or(SocketError::Closed)).into()),
        }
    }

    /// Sends an encoded event to one client.
    ///
    /// # Errors
    ///
    /// When it could not be put into the client's buffer.
    pub(crate) fn emit_to_one(
        &self,
        socket: &EngineSocket,
        value: &EncodedPayload,
    ) -> std::result::Result<(), SendError> {
        let Ok(backplane) = self.backplane() else { return Err(SendError::Closed) };
        let path = socket.packet_path().unwrap_or_else(|| self.path.clone());
        let packet = Packet::event(path, value.0.clone());
        let send = || match backplane.get_local().broadcast(packet, BroadcastOptions::new(socket.id().raw())) {
            Ok(()) => Ok(()),
            Err(mut errors) => Err(socketioxide::SendError::Socket(errors.pop().unwrap_or(SocketError::Closed)).into()),
        };
        socket.send_written(value_bytes(&value.0), send)
    }

    /// The recipients' rooms, on every node.
    ///
    /// # Errors
    ///
    /// [`Error::Backplane`] when other nodes could not be queried.
    pub(crate) async fn rooms(&self, recipients: &Recipients) -> Result<Vec<String>> {
        let rooms = self.backplane()?.rooms(self.options(recipients)).await.map_err(Error::backplane)?;
        if !self.is_instance {
            return Ok(rooms.into_iter().map(|room| room.into_owned()).collect());
        }
        Ok(rooms.iter().filter_map(|room| room_in(&self.path, room)).map(str::to_owned).collect())
    }

    /// Adds the recipients to rooms, on every node.
    ///
    /// # Errors
    ///
    /// [`Error::Backplane`] when other nodes could not be notified.
    pub(crate) async fn join(&self, recipients: &Recipients, rooms: Vec<String>) -> Result {
        self.backplane()?.add_sockets(self.options(recipients), self.own(rooms)).await.map_err(Error::backplane)
    }

    /// Removes the recipients from rooms, on every node.
    ///
    /// # Errors
    ///
    /// [`Error::Backplane`] when other nodes could not be notified.
    pub(crate) async fn leave(&self, recipients: &Recipients, rooms: Vec<String>) -> Result {
        self.backplane()?.del_sockets(self.options(recipients), self.own(rooms)).await.map_err(Error::backplane)
    }

    /// This node's sockets among the recipients, those included that broadcasts are kept from.
    pub(crate) fn local_sockets(&self, recipients: &Recipients) -> Vec<SocketId> {
        let mut options = self.options(recipients);
        options.except.retain(|room| room != FULL);
        self.sockets(options)
    }

    /// This node's sockets in a room.
    pub(crate) fn local_sockets_in(&self, room: &str) -> Vec<SocketId> {
        let mut options = BroadcastOptions::default();
        options.rooms.push(match self.is_instance {
            false => room.to_owned().into(),
            true => room_of(&self.path, room).into(),
        });
        self.sockets(options)
    }

    fn sockets(&self, options: BroadcastOptions) -> Vec<SocketId> {
        let Ok(backplane) = self.backplane() else { return Vec::new() };
        backplane.get_local().sockets(options).into_iter().map(SocketId::new).collect()
    }

    /// Disconnects the recipients on other nodes.
    ///
    /// # Errors
    ///
    /// [`Error::Backplane`] when other nodes could not be notified.
    pub(crate) async fn disconnect_others(&self, recipients: &Recipients) -> Result {
        self.backplane()?.disconnect_others(self.options(recipients)).await.map_err(Error::backplane)
    }

    /// How many nodes there are, this one included.
    ///
    /// # Errors
    ///
    /// [`Error::Backplane`] while the backplane is unavailable.
    pub(crate) async fn nodes(&self) -> Result<u16> {
        self.backplane()?.server_count().await.map_err(Error::backplane)
    }

    fn packet(&self, event: &str, data: &impl Serialize) -> Result<Packet> {
        Ok(Packet::event(self.path.clone(), EncodedPayload::event(event, data)?.0))
    }
}

/// How many of the errors are full buffers. Closed sockets do not count, as their clients are leaving.
fn count_full_buffers(errors: &[SocketError]) -> usize {
    errors.iter().filter(|error| matches!(error, SocketError::InternalChannelFull)).count()
}

/// The bytes of a packet's payload, attachments included.
fn packet_bytes(packet: &Packet) -> usize {
    match &packet.inner {
        PacketData::Event(value, _)
        | PacketData::BinaryEvent(value, _)
        | PacketData::EventAck(value, _)
        | PacketData::BinaryAck(value, _) => value_bytes(value),
        PacketData::Connect(_) | PacketData::Disconnect | PacketData::ConnectError(_) => 0,
    }
}

/// The bytes of a value, attachments included.
pub(super) fn value_bytes(value: &Value) -> usize {
    match value {
        Value::Str(text, attachments) => text.len() + attachments.iter().flatten().map(Bytes::len).sum::<usize>(),
        Value::Bytes(bytes) => bytes.len(),
    }
}
