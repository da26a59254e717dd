//! [`Socket`]: what a handler holds of the client it talks to.

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

/// One client on one channel. Cheap to clone; it may be kept, and used, beyond the handler.
#[derive(Clone)]
pub struct Socket {
    state: Arc<SocketState>,
    raw: EngineSocket,
    /// The rooms it was in, once it has left them.
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

    /// The key of the user behind the socket, if there is one at this moment (rule R11).
    pub fn user_id(&self) -> Option<String> {
        self.state.identity().user_id().map(str::to_owned)
    }

    /// The id of the session behind the socket, if there is one at this moment. Do not log it: whoever knows it can
    /// address that session.
    pub fn session_id(&self) -> Option<String> {
        self.state.identity().session_id().map(str::to_owned)
    }

    /// Who the socket belongs to at this moment.
    pub fn identity(&self) -> Identity {
        self.state.identity()
    }

    /// How the client talks to the server at this moment.
    pub fn transport(&self) -> Transport {
        self.state.client.transport()
    }

    /// Whether the socket is on its channel.
    pub fn is_connected(&self) -> bool {
        !self.state.mailbox.is_closed()
    }

    /// Sends an event to this client. A tuple, an array or `Args(vec)` becomes several arguments. If the client's
    /// buffer is full, this waits for room up to `limits.send_timeout`; then the socket is closed, with a line in the
    /// log (rule R9).
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] when the socket has left, [`Error::SlowReader`] when it was closed over this event,
    /// [`Error::Serialize`] when `data` does not serialize.
    pub async fn emit(&self, event: &str, data: impl Serialize) -> Result {
        if self.state.mailbox.is_closed() {
            return Err(Error::Closed);
        }
        self.state.emit(&self.raw, event, &data).await
    }

    /// Sends an event and waits for the client's acknowledgement, for 5 seconds. `T` is its first argument, a tuple
    /// several.
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit), and [`Error::Acknowledgement`] when none came in time or it does not read as `T`.
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

    /// Puts the socket into one room or several. `false` when it has left the channel, in which case it joins none.
    pub fn join(&self, rooms: impl Rooms) -> bool {
        let rooms = rooms.into_rooms();
        self.state.mailbox.if_open(|| self.raw.join(rooms))
    }

    /// Takes the socket out of one room or several.
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

    /// Everybody on the channel but this socket.
    pub fn broadcast(&self) -> Broadcast {
        Broadcast::from_socket(ChannelHandle::new(self.state.channel.clone()), self.id())
    }

    /// Everybody in these rooms but this socket.
    pub fn to(&self, rooms: impl Rooms) -> Broadcast {
        self.broadcast().to(rooms)
    }

    /// Everybody on the channel who is in none of these rooms, but not this socket.
    pub fn except(&self, rooms: impl Rooms) -> Broadcast {
        self.broadcast().except(rooms)
    }

    /// Takes the client off the channel. It takes no further event at once; the future, which need not be awaited,
    /// ends when the client has been told.
    ///
    /// # Errors
    ///
    /// [`Error::SlowReader`] when the client's buffer had no room for the goodbye, so that its connection was cut.
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
