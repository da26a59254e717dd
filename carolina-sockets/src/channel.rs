//! [`ChannelHandle`] and [`Broadcast`]: what an application emits with, from anywhere; and the built-in `MainChannel`.

mod rooms;

use std::{fmt, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};
use socketioxide_core::{
    Sid, Value,
    adapter::{
        BroadcastFlags, BroadcastOptions, CoreAdapter, Room,
        errors::{BroadcastError, SocketError},
    },
    packet::Packet,
    parser::Parse,
};
use socketioxide_parser_common::CommonParser;

use crate::{
    backplane::Backplane,
    error::{Error, Result},
    identity::{UserKey, session_room, user_of_room, user_room},
    namespace::Mount,
    payload::{Answer, Payload},
    private::{Channel, ChannelRow, Location, channel_type, erase},
    service::LEFT,
};

pub use rooms::Rooms;

/// The built-in driver: it puts clients into the rooms of their session and user, and handles no event. It serves
/// `/` unless another driver claims that path (rule R3).
#[derive(Debug, Default)]
pub struct MainChannel;

impl Channel for MainChannel {
    const DRIVER: &'static str = "MainChannel";
}

inventory::submit! {
    ChannelRow {
        driver: MainChannel::DRIVER,
        path: None,
        private: false,
        channel: channel_type::<MainChannel>,
        default: || Some(erase(MainChannel)),
        location: Location::new(file!(), line!(), column!()),
    }
}

/// A channel, for emitting to its clients on every node. Cheap to clone.
#[derive(Clone)]
pub struct ChannelHandle {
    mount: Arc<Mount>,
}

/// What became of a broadcast on this node (rule R9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivery {
    missed: usize,
}

impl Delivery {
    /// How many clients missed it, because their buffers were full.
    pub fn missed(self) -> usize {
        self.missed
    }
}

impl ChannelHandle {
    pub(crate) fn new(mount: Arc<Mount>) -> Self {
        Self { mount }
    }

    /// The channel's path.
    pub fn path(&self) -> &str {
        &self.mount.path
    }

    fn everyone(&self) -> Broadcast {
        let mut options = BroadcastOptions::default();
        options.add_flag(BroadcastFlags::Broadcast);
        options.except.push(LEFT.into());
        Broadcast { channel: self.clone(), options }
    }

    /// Sends an event to everybody on the channel.
    ///
    /// # Errors
    ///
    /// As [`Broadcast::emit`].
    pub async fn emit(&self, event: &str, data: impl Serialize) -> Result<Delivery> {
        self.everyone().emit(event, data).await
    }

    /// Sends an event to every socket of a user on this channel: all tabs, all devices.
    ///
    /// # Errors
    ///
    /// As [`Broadcast::emit`].
    pub async fn emit_to_user(&self, user: impl UserKey, event: &str, data: impl Serialize) -> Result<Delivery> {
        self.to(user_room(&user.user_key())).emit(event, data).await
    }

    /// Sends an event to every socket of a session on this channel: all tabs of one browser.
    ///
    /// # Errors
    ///
    /// As [`Broadcast::emit`].
    pub async fn emit_to_session(
        &self,
        session: impl AsRef<str>,
        event: &str,
        data: impl Serialize,
    ) -> Result<Delivery> {
        self.to(session_room(session.as_ref())).emit(event, data).await
    }

    /// Sends an event to everybody on the channel and collects their acknowledgements.
    ///
    /// # Errors
    ///
    /// As [`Broadcast::emit_with_ack`].
    pub async fn emit_with_ack<T: DeserializeOwned>(
        &self,
        event: &str,
        data: impl Serialize,
    ) -> Result<Vec<Result<T>>> {
        self.everyone().emit_with_ack(event, data).await
    }

    /// Those in one of these rooms.
    pub fn to(&self, rooms: impl Rooms) -> Broadcast {
        self.everyone().to(rooms)
    }

    /// Those in none of these rooms.
    pub fn except(&self, rooms: impl Rooms) -> Broadcast {
        self.everyone().except(rooms)
    }

    /// Those connected to this node.
    pub fn local(&self) -> Broadcast {
        self.everyone().local()
    }

    /// Takes everybody off the channel.
    ///
    /// # Errors
    ///
    /// As [`Broadcast::disconnect`].
    pub async fn disconnect(&self) -> Result {
        self.everyone().disconnect().await
    }

    /// The users on the channel, on every node, in alphabetical order: each once, however many tabs they have.
    ///
    /// # Errors
    ///
    /// [`Error::Backplane`] when other nodes could not be asked.
    pub async fn online_users(&self) -> Result<Vec<String>> {
        let rooms = self.everyone().rooms().await?;
        let mut users: Vec<String> = rooms.iter().filter_map(|room| user_of_room(room).map(str::to_owned)).collect();
        users.sort();
        users.dedup();
        Ok(users)
    }

    /// Whether a user is on the channel, on any node.
    ///
    /// # Errors
    ///
    /// [`Error::Backplane`] when other nodes could not be asked.
    pub async fn is_online(&self, user: impl UserKey) -> Result<bool> {
        Ok(!self.to(user_room(&user.user_key())).rooms().await?.is_empty())
    }
}

impl fmt::Debug for ChannelHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ChannelHandle").field(&self.path()).finish()
    }
}

/// A room that nobody is in.
const NOBODY: &str = "\0nobody";

/// A choice of a channel's clients, to emit to.
///
/// Rooms add up: who is in one of those named by [`to`](Self::to) and in none of those named by
/// [`except`](Self::except) is meant, once. With no room named, everybody on the channel is.
#[derive(Clone)]
#[must_use = "a choice of clients does nothing until something is emitted to it"]
pub struct Broadcast {
    channel: ChannelHandle,
    options: BroadcastOptions,
}

impl Broadcast {
    pub(crate) fn from_socket(channel: ChannelHandle, but: Sid) -> Self {
        let mut options = BroadcastOptions::new(but);
        options.add_flag(BroadcastFlags::Broadcast);
        options.except.push(LEFT.into());
        Self { channel, options }
    }

    /// Adds those in one of these rooms. No room at all is nobody, not everybody.
    pub fn to(mut self, rooms: impl Rooms) -> Self {
        self.options.rooms.extend(rooms.into_rooms().into_iter().map(Into::into));
        if self.options.rooms.is_empty() {
            self.options.rooms.push(NOBODY.into());
        }
        self
    }

    /// Leaves out those in one of these rooms.
    pub fn except(mut self, rooms: impl Rooms) -> Self {
        self.options.except.extend(rooms.into_rooms().into_iter().map(Into::into));
        self
    }

    /// Only those connected to this node.
    pub fn local(mut self) -> Self {
        self.options.add_flag(BroadcastFlags::Local);
        self
    }

    fn backplane(&self) -> Result<Arc<Backplane>> {
        self.channel.mount.backplane().ok_or(Error::Closed)
    }

    fn packet(&self, event: &str, data: impl Serialize) -> Result<Packet> {
        let data: Value = CommonParser
            .encode_value(&Payload(&data), Some(event))
            .map_err(|error| Error::Serialize { event: event.to_owned(), reason: error.to_string() })?;
        Ok(Packet::event(self.channel.mount.ns.clone(), data))
    }

    /// Sends an event to them. Nobody is waited for: a client whose buffer is full misses it, which is counted in
    /// the result, logged and in the metrics (rule R9).
    ///
    /// # Errors
    ///
    /// [`Error::Serialize`] when `data` does not serialize, [`Error::Backplane`] when other nodes could not be told,
    /// [`Error::Closed`] when the service is gone.
    pub async fn emit(&self, event: &str, data: impl Serialize) -> Result<Delivery> {
        let packet = self.packet(event, data)?;
        match self.backplane()?.broadcast(packet, self.options.clone()).await {
            Ok(()) => Ok(Delivery::default()),
            Err(BroadcastError::Socket(errors)) => {
                // Those who are leaving miss nothing.
                let full = errors.iter().filter(|error| matches!(error, SocketError::InternalChannelFull)).count();
                Ok(if full == 0 { Delivery::default() } else { count_missed(self.channel.path(), event, full) })
            }
            Err(error) => Err(Error::Backplane(error.to_string())),
        }
    }

    /// Sends an event to them and collects their acknowledgements, for up to 5 seconds each: one entry per client
    /// asked, an error for each that did not answer in time or not with a `T`.
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit).
    pub async fn emit_with_ack<T: DeserializeOwned>(
        &self,
        event: &str,
        data: impl Serialize,
    ) -> Result<Vec<Result<T>>> {
        use futures_util::StreamExt;

        let packet = self.packet(event, data)?;
        let answers = self
            .backplane()?
            .broadcast_with_ack(packet, self.options.clone(), Some(crate::socket::ACK_TIMEOUT))
            .await
            .map_err(|error| Error::Backplane(error.to_string()))?;
        let answers = answers.map(|(_, answer)| match answer {
            Ok(mut value) => CommonParser
                .decode_value(&mut value, false)
                .map(|answer: Answer<T>| answer.0)
                .map_err(|error| Error::Acknowledgement(format!("it does not read as asked: {error}"))),
            Err(error) => Err(crate::socket::unanswered(&error)),
        });
        Ok(answers.collect().await)
    }

    /// The rooms they are in, on every node.
    async fn rooms(&self) -> Result<Vec<Room>> {
        let rooms = self.backplane()?.rooms(self.options.clone()).await;
        rooms.map_err(|error| Error::Backplane(error.to_string()))
    }

    /// Puts them into one more room or several.
    ///
    /// # Errors
    ///
    /// [`Error::Backplane`] when other nodes could not be told.
    pub async fn join(&self, rooms: impl Rooms) -> Result {
        let done = self.backplane()?.add_sockets(self.options.clone(), rooms.into_rooms()).await;
        done.map_err(|error| Error::Backplane(error.to_string()))
    }

    /// Takes them out of one room or several.
    ///
    /// # Errors
    ///
    /// [`Error::Backplane`] when other nodes could not be told.
    pub async fn leave(&self, rooms: impl Rooms) -> Result {
        let done = self.backplane()?.del_sockets(self.options.clone(), rooms.into_rooms()).await;
        done.map_err(|error| Error::Backplane(error.to_string()))
    }

    /// Takes them off the channel.
    ///
    /// # Errors
    ///
    /// [`Error::Backplane`] when other nodes could not be told.
    pub async fn disconnect(&self) -> Result {
        let backplane = self.backplane()?;
        // This node's own clients by our own way, which also ends those that have no room for a goodbye.
        for sid in backplane.get_local().sockets(self.options.clone()) {
            if let Some((connection, raw)) =
                self.channel.mount.connection(sid).and_then(|c| Some((c.clone(), c.raw()?)))
            {
                crate::socket::leave_channel(&connection, &raw);
            }
        }
        backplane.disconnect_others(self.options.clone()).await.map_err(|error| Error::Backplane(error.to_string()))
    }
}

impl fmt::Debug for Broadcast {
    /// Without the rooms of sessions, whose names are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let masked = |rooms: &[Room]| -> Vec<String> {
            rooms.iter().map(|room| crate::identity::mask_room(room).into_owned()).collect()
        };
        f.debug_struct("Broadcast")
            .field("channel", &self.channel.path())
            .field("to", &masked(&self.options.rooms))
            .field("except", &masked(&self.options.except))
            .finish_non_exhaustive()
    }
}

/// Counts and logs clients that missed a broadcast, because their buffers are full (rule R9).
pub(crate) fn count_missed(path: &str, event: &str, missed: usize) -> Delivery {
    metrics::counter!("carolina_sockets_missed_total", "channel" => path.to_owned()).increment(missed as u64);
    let message = format!("`{event}` on `{path}` missed clients whose buffers are full ({missed} of them)");
    crate::guard::undelivered(crate::guard::Cause::Missed, &message);
    Delivery { missed }
}
