//! [`Socket`]: a handler's handle of its client.

use std::{fmt, future::Future, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    channel::{Broadcast, ChannelHandle, Rooms},
    config::Transport,
    core::{SocketState, end},
    engine::{DisconnectReason, EngineSocket, SocketId},
    error::{Error, Result},
    identity::Identity,
};

/// One client on one channel. Cheap to clone; it may be kept and used after the handler has returned.
#[derive(Clone)]
pub struct Socket {
    state: Arc<SocketState>,
    raw: EngineSocket,
    /// In `#[on(disconnect)]`: the rooms that it was in.
    rooms: Option<Arc<[String]>>,
}

impl Socket {
    pub(crate) fn new(state: Arc<SocketState>, raw: EngineSocket) -> Self {
        Self { state, raw, rooms: None }
    }

    pub(crate) fn with_rooms(mut self, rooms: Arc<[String]>) -> Self {
        self.rooms = Some(rooms);
        self
    }

    /// The socket's id, as the client knows it.
    pub fn id(&self) -> SocketId {
        self.state.id
    }

    /// The path of the channel.
    pub fn channel(&self) -> &str {
        &self.state.channel.path
    }

    /// The key of the socket's current user, if there is one (rule R11).
    pub fn user_id(&self) -> Option<String> {
        self.state.identity().user_id().map(str::to_owned)
    }

    /// The id of the socket's current session, if there is one. Do not log it: it can be used to address that session.
    pub fn session_id(&self) -> Option<String> {
        self.state.identity().session_id().map(str::to_owned)
    }

    /// The socket's current identity.
    pub fn identity(&self) -> Identity {
        self.state.identity()
    }

    /// The client's current transport.
    pub fn transport(&self) -> Transport {
        self.state.client.transport()
    }

    /// Whether the socket is on its channel.
    pub fn is_connected(&self) -> bool {
        !self.state.mailbox.is_closed()
    }

    /// Sends an event to this client. A tuple, an array or `Args(vec)` becomes several arguments. If the client's
    /// buffer is full, this waits for room up to `limits.send_timeout`; then the socket is closed, which is logged
    /// (rule R9).
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] when the socket has left, [`Error::SlowReader`] when it was closed because of this event,
    /// [`Error::Serialize`] when `data` does not serialize.
    pub async fn emit(&self, event: &str, data: impl Serialize) -> Result {
        if self.state.mailbox.is_closed() {
            return Err(Error::Closed);
        }
        self.state.emit(&self.raw, event, &data).await
    }

    /// Sends an event and waits up to 5 seconds for the client's acknowledgement. `T` is its first argument; a tuple
    /// takes several.
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit), and [`Error::Acknowledgement`] when none arrived in time or it does not deserialize
    /// into `T`.
    pub async fn emit_with_ack<T: DeserializeOwned>(&self, event: &str, data: impl Serialize) -> Result<T> {
        if self.state.mailbox.is_closed() {
            return Err(Error::Closed);
        }
        let mut answer = None;
        let attempt = || {
            answer = Some(self.raw.emit_with_ack::<T, _>(event, &data)?);
            Ok(())
        };
        self.state.send_when_room(&self.raw, attempt, event).await?;
        match answer {
            Some(answer) => answer.await,
            None => Err(Error::Closed),
        }
    }

    /// Adds the socket to one room or several. `false` if it has left the channel, in which case it joins none.
    pub fn join(&self, rooms: impl Rooms) -> bool {
        let rooms = rooms.into_rooms();
        self.state.mailbox.if_open(|| self.raw.join(rooms))
    }

    /// Removes the socket from one room or several.
    pub fn leave(&self, rooms: impl Rooms) {
        self.raw.leave(rooms.into_rooms());
    }

    /// The rooms the socket is in, in alphabetical order; in `#[on(disconnect)]` those it was in.
    pub fn rooms(&self) -> Vec<String> {
        let mut rooms: Vec<String> = match &self.rooms {
            Some(rooms) => rooms.to_vec(),
            None => self.raw.rooms(),
        };
        rooms.sort();
        rooms
    }

    /// Selects all clients on the channel except this socket.
    pub fn broadcast(&self) -> Broadcast {
        Broadcast::from_socket(ChannelHandle::new(self.state.channel.clone()), self.id())
    }

    /// Selects all clients in these rooms except this socket.
    pub fn to(&self, rooms: impl Rooms) -> Broadcast {
        self.broadcast().to(rooms)
    }

    /// Selects all clients on the channel that are in none of these rooms, except this socket.
    pub fn except(&self, rooms: impl Rooms) -> Broadcast {
        self.broadcast().except(rooms)
    }

    /// Disconnects the client from the channel. Further events are dropped at once; the future, which need not be
    /// awaited, resolves when the disconnect packet has been sent.
    ///
    /// # Errors
    ///
    /// [`Error::SlowReader`] when the client's buffer had no room for the disconnect packet, so that its connection was
    /// closed.
    pub fn disconnect(&self) -> impl Future<Output = Result> + Send + use<> {
        end(&self.state, &self.raw, DisconnectReason::ServerDisconnect);
        let alive = self.state.client.is_alive();
        let after = self.state.channel.limits.send_timeout;
        async move { if alive { Ok(()) } else { Err(Error::SlowReader { after }) } }
    }

    /// The channel's handle, to emit to others on it.
    pub fn channel_handle(&self) -> ChannelHandle {
        ChannelHandle::new(self.state.channel.clone())
    }
}

impl PartialEq for Socket {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.state, &other.state)
    }
}

impl Eq for Socket {}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket").field("channel", &self.channel()).field("id", &self.id()).finish_non_exhaustive()
    }
}
