//! [`ChannelHandle`], [`Broadcast`] and [`Emitter`]: the handles for emitting from anywhere in an application.

mod emitter;
mod rooms;

use std::{fmt, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    core::{ChannelCore, end},
    engine::{DisconnectReason, EngineNamespace, Recipients, SocketId},
    error::Result,
    identity::{UserKey, mask_room, session_room, user_of_room, user_room},
    telemetry::{Cause, metric, undelivered},
};

pub use emitter::{Emitter, EmitterChannel};
pub use rooms::Rooms;

/// A channel, for emitting to its clients on every node. Cheap to clone.
#[derive(Clone)]
pub struct ChannelHandle {
    core: Arc<ChannelCore>,
}

/// The result of a broadcast on this node (rule R9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivery {
    missed: usize,
}

impl Delivery {
    /// The number of clients that missed it because their buffers were full.
    pub fn missed(self) -> usize {
        self.missed
    }
}

impl ChannelHandle {
    pub(crate) fn new(core: Arc<ChannelCore>) -> Self {
        Self { core }
    }

    /// The channel's path.
    pub fn path(&self) -> &str {
        &self.core.path
    }

    fn everyone(&self) -> Broadcast {
        Broadcast { channel: self.clone(), recipients: Recipients::all() }
    }

    /// Sends an event to every client on the channel.
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

    /// Sends an event to every client on the channel and collects the acknowledgements.
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

    /// Selects the clients in at least one of these rooms.
    pub fn to(&self, rooms: impl Rooms) -> Broadcast {
        self.everyone().to(rooms)
    }

    /// Selects the clients in none of these rooms.
    pub fn except(&self, rooms: impl Rooms) -> Broadcast {
        self.everyone().except(rooms)
    }

    /// Selects the clients connected to this node.
    pub fn local(&self) -> Broadcast {
        self.everyone().local()
    }

    /// Disconnects every client from the channel.
    ///
    /// # Errors
    ///
    /// As [`Broadcast::disconnect`].
    pub async fn disconnect(&self) -> Result {
        self.everyone().disconnect().await
    }

    /// The users on the channel, on every node, in alphabetical order; each once, regardless of the number of tabs.
    ///
    /// # Errors
    ///
    /// [`Error::Backplane`](crate::Error::Backplane) when other nodes could not be queried.
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
    /// [`Error::Backplane`](crate::Error::Backplane) when other nodes could not be queried.
    pub async fn is_online(&self, user: impl UserKey) -> Result<bool> {
        Ok(!self.to(user_room(&user.user_key())).rooms().await?.is_empty())
    }
}

impl fmt::Debug for ChannelHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ChannelHandle").field(&self.path()).finish()
    }
}

/// A selection of a channel's clients, to emit to.
///
/// Calls add up: it selects every client that is in at least one room named by [`to`](Self::to) and in none named by
/// [`except`](Self::except), once. With no room named by `to`, it selects all clients of the channel.
#[derive(Clone)]
#[must_use = "a choice of clients does nothing until something is emitted to it"]
pub struct Broadcast {
    channel: ChannelHandle,
    recipients: Recipients,
}

impl Broadcast {
    pub(crate) fn from_socket(channel: ChannelHandle, but: SocketId) -> Self {
        Self { channel, recipients: Recipients::all_except(but) }
    }

    /// Adds the clients in at least one of these rooms. An empty list selects no client, not all.
    pub fn to(mut self, rooms: impl Rooms) -> Self {
        self.recipients.add_rooms(rooms.into_rooms());
        self
    }

    /// Excludes the clients in any of these rooms.
    pub fn except(mut self, rooms: impl Rooms) -> Self {
        self.recipients.exclude_rooms(rooms.into_rooms());
        self
    }

    /// Restricts it to the clients connected to this node.
    pub fn local(mut self) -> Self {
        self.recipients.local_only();
        self
    }

    fn namespace(&self) -> Result<&EngineNamespace> {
        self.channel.core.namespace()
    }

    /// Sends an event to the selected clients. It does not wait for slow clients: a client whose buffer is full misses
    /// the event, which is counted in the result and the metrics, and logged (rule R9).
    ///
    /// # Errors
    ///
    /// [`Error::Serialize`](crate::Error::Serialize) when `data` does not serialize,
    /// [`Error::Backplane`](crate::Error::Backplane) when other nodes could not be notified,
    /// [`Error::Closed`](crate::Error::Closed) when the service has ended.
    pub async fn emit(&self, event: &str, data: impl Serialize) -> Result<Delivery> {
        let missed = self.namespace()?.emit(event, &data, &self.recipients).await?;
        Ok(count_missed(self.channel.path(), event, missed))
    }

    /// Sends an event to the selected clients and collects their acknowledgements, waiting up to 5 seconds: one entry
    /// per client, an error for each that did not answer in time or not with a `T`.
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit).
    pub async fn emit_with_ack<T: DeserializeOwned>(
        &self,
        event: &str,
        data: impl Serialize,
    ) -> Result<Vec<Result<T>>> {
        self.namespace()?.emit_with_ack(event, &data, &self.recipients).await
    }

    /// The rooms of the selected clients, on every node.
    async fn rooms(&self) -> Result<Vec<String>> {
        self.namespace()?.rooms(&self.recipients).await
    }

    /// Adds the selected clients to one room or several.
    ///
    /// # Errors
    ///
    /// [`Error::Backplane`](crate::Error::Backplane) when other nodes could not be notified.
    pub async fn join(&self, rooms: impl Rooms) -> Result {
        self.namespace()?.join(&self.recipients, rooms.into_rooms()).await
    }

    /// Removes the selected clients from one room or several.
    ///
    /// # Errors
    ///
    /// [`Error::Backplane`](crate::Error::Backplane) when other nodes could not be notified.
    pub async fn leave(&self, rooms: impl Rooms) -> Result {
        self.namespace()?.leave(&self.recipients, rooms.into_rooms()).await
    }

    /// Disconnects the selected clients from the channel.
    ///
    /// # Errors
    ///
    /// [`Error::Backplane`](crate::Error::Backplane) when other nodes could not be notified.
    pub async fn disconnect(&self) -> Result {
        let namespace = self.namespace()?;
        // Not through socketioxide's own method, which leaves clients connected whose buffers have no room for the
        // packet.
        for id in namespace.local_sockets(&self.recipients) {
            if let Some((socket, raw)) =
                self.channel.core.socket(id).and_then(|socket| Some((socket.clone(), socket.raw()?)))
            {
                end(&socket, &raw, DisconnectReason::ServerDisconnect);
            }
        }
        namespace.disconnect_others(&self.recipients).await
    }
}

impl fmt::Debug for Broadcast {
    /// Without the rooms of sessions, whose names are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (to, except) = self.recipients.rooms();
        f.debug_struct("Broadcast")
            .field("channel", &self.channel.path())
            .field("to", &to.map(mask_room).collect::<Vec<_>>())
            .field("except", &except.map(mask_room).collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// Counts and logs clients that missed a broadcast because their buffers were full (rule R9).
pub(crate) fn count_missed(path: &str, event: &str, missed: usize) -> Delivery {
    if missed > 0 {
        metric::missed(path, missed);
        let message = format!("`{event}` on `{path}` missed clients whose buffers are full ({missed} of them)");
        undelivered(Cause::Missed, &message);
    }
    Delivery { missed }
}
