//! [`Socket`]: what a handler holds of the client it talks to.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use serde::{Serialize, de::DeserializeOwned};
use socketioxide::{AckError, SendError};

use crate::{
    DisconnectReason,
    backplane::{RawRef, RawSocket},
    channel::{Broadcast, ChannelHandle, Rooms},
    config::Transport,
    connection::Connection,
    error::{Error, Result},
    identity::Identity,
    payload::{Answer, Payload},
};

/// The id of a socket, the one its client knows too.
pub type SocketId = socketioxide::socket::Sid;

/// One client on one channel. Cheap to clone; it may be kept, and used, beyond the handler.
#[derive(Clone)]
pub struct Socket {
    connection: Arc<Connection>,
    raw: Arc<RawSocket>,
    /// The rooms it was in, once it has left them.
    rooms: Option<Arc<[String]>>,
}

impl Socket {
    pub(crate) fn new(connection: Arc<Connection>, raw: Arc<RawSocket>) -> Self {
        Self { connection, raw, rooms: None }
    }

    pub(crate) fn with_rooms(mut self, rooms: Arc<[String]>) -> Self {
        self.rooms = Some(rooms);
        self
    }

    /// The socket's id, as the client knows it.
    pub fn id(&self) -> SocketId {
        self.connection.sid
    }

    /// The path of the channel.
    pub fn channel(&self) -> &str {
        &self.connection.mount.path
    }

    /// The key of the user behind the socket, if there is one at this moment (rule R11).
    pub fn user_id(&self) -> Option<String> {
        self.connection.identity().user_id().map(str::to_owned)
    }

    /// The id of the session behind the socket, if there is one at this moment. Do not log it: whoever knows it can
    /// address that session.
    pub fn session_id(&self) -> Option<String> {
        self.connection.identity().session_id().map(str::to_owned)
    }

    /// Who the socket belongs to at this moment.
    pub fn identity(&self) -> Identity {
        self.connection.identity()
    }

    /// How the client talks to the server at this moment.
    pub fn transport(&self) -> Transport {
        self.raw.transport_type().into()
    }

    /// Whether the socket is on its channel.
    pub fn is_connected(&self) -> bool {
        !self.connection.mailbox.is_closed()
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
        if self.connection.mailbox.is_closed() {
            return Err(Error::Closed);
        }
        self.connection.emit(&self.raw, event, &data).await
    }

    /// Sends an event and waits for the client's acknowledgement, for 5 seconds. `T` is its first argument, a tuple
    /// several.
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit), and [`Error::Acknowledgement`] when none came in time or it does not read as `T`.
    pub async fn emit_with_ack<T: DeserializeOwned>(&self, event: &str, data: impl Serialize) -> Result<T> {
        if self.connection.mailbox.is_closed() {
            return Err(Error::Closed);
        }
        let mut answer = None;
        let attempt = || {
            let stream = self.raw.emit_with_ack::<_, Answer<T>>(event, &Payload(&data))?;
            answer = Some(stream);
            Ok::<(), SendError>(())
        };
        self.connection.send_when_room(&self.raw, attempt, event).await?;
        match answer {
            Some(answer) => answer.await.map(|answer| answer.0).map_err(|error| unanswered(&error)),
            None => Err(Error::Closed),
        }
    }

    /// Puts the socket into one room or several. `false` when it has left the channel, in which case it joins none.
    pub fn join(&self, rooms: impl Rooms) -> bool {
        let rooms = rooms.into_rooms();
        self.connection.mailbox.unless_closed(|| self.raw.join(rooms))
    }

    /// Takes the socket out of one room or several.
    pub fn leave(&self, rooms: impl Rooms) {
        self.raw.leave(rooms.into_rooms());
    }

    /// The rooms the socket is in, in alphabetical order; in `#[on(disconnect)]` those it was in.
    pub fn rooms(&self) -> Vec<String> {
        let mut rooms: Vec<String> = match &self.rooms {
            Some(rooms) => rooms.to_vec(),
            None => self.raw.rooms().into_iter().map(|room| room.into_owned()).collect(),
        };
        rooms.sort();
        rooms
    }

    /// Everybody on the channel but this socket.
    pub fn broadcast(&self) -> Broadcast {
        Broadcast::from_socket(ChannelHandle::new(self.connection.mount.clone()), self.id())
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
        leave_channel(&self.connection, &self.raw);
        let alive = self.connection.peer.is_alive();
        let after = self.connection.mount.limits.send_timeout;
        async move {
            match alive {
                true => Ok(()),
                false => Err(Error::SlowReader { after }),
            }
        }
    }

    /// The channel's handle, to emit to others on it.
    pub fn channel_handle(&self) -> ChannelHandle {
        ChannelHandle::new(self.connection.mount.clone())
    }

    /// The underlying socketioxide socket, for what this library does not wrap. Registering handlers on it is not
    /// supported: the channel's own would no longer see those events.
    pub fn raw(&self) -> RawRef {
        self.raw.clone()
    }
}

impl PartialEq for Socket {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.connection, &other.connection)
    }
}

impl Eq for Socket {}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket").field("channel", &self.channel()).field("id", &self.id()).finish_non_exhaustive()
    }
}

/// Ends a socket's time on its channel by the server's will, and tells its client.
pub(crate) fn leave_channel(connection: &Arc<Connection>, raw: &Arc<RawSocket>) {
    if connection.mailbox.is_closed() {
        return;
    }
    if raw.connected() && raw.clone().disconnect().is_err() {
        // There is no room for the goodbye, and without one the client would believe itself connected.
        connection.cut();
        tracing::warn!(
            channel = %connection.mount.path, socket = %connection.sid,
            "cut a connection: it had to leave its channel and had no room to be told",
        );
    }
    crate::dispatch::close(connection, raw, DisconnectReason::ServerDisconnect);
}

pub(crate) fn unanswered(error: &AckError) -> Error {
    match error {
        AckError::Timeout => Error::Acknowledgement(format!("none came within {ACK_TIMEOUT:?}")),
        error => Error::Acknowledgement(error.to_string()),
    }
}

/// How long an acknowledgement is waited for.
pub(crate) const ACK_TIMEOUT: Duration = Duration::from_secs(5);
