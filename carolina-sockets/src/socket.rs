//! [`Socket`]: a handler's handle of its client.

use std::{fmt, future::Future, panic::Location, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    channel::{Broadcast, ChannelHandle, Rooms, checked},
    config::Transport,
    core::{Left, SocketState, end},
    engine::{DisconnectReason, EngineSocket, SocketId, check_name},
    error::{Error, Result},
    identity::{Identity, is_reserved},
    telemetry::{Cause, refused},
};

/// One client on one channel: an extractor, and what applications emit to a single client with.
///
/// Cheap to clone. It may be kept and used beyond the handler; when the client has left, [`emit`](Self::emit) fails with
/// [`Error::Closed`]. A client that is on several channels has a `Socket` on each.
///
/// ```
/// use carolina_sockets::prelude::*;
///
/// #[channel("/rooms")]
/// #[derive(Default)]
/// struct RoomsChannel;
///
/// #[channel]
/// impl RoomsChannel {
///     #[on("enter")]
///     async fn enter(&self, socket: Socket, Data(room): Data<String>) -> Result<(), EventError> {
///         socket.join(&room);
///         socket.emit("welcome", &room).await?; // this client
///         socket.to(&room).emit("entered", (&room, socket.user_id())).await?; // the others in the room
///         Ok(())
///     }
/// }
/// ```
#[derive(Clone)]
pub struct Socket {
    state: Arc<SocketState>,
    raw: EngineSocket,
    /// In `#[on(disconnect)]`: the rooms and the identity that it had.
    left: Option<Arc<Left>>,
}

impl Socket {
    pub(crate) fn new(state: Arc<SocketState>, raw: EngineSocket) -> Self {
        Self { state, raw, left: None }
    }

    pub(crate) fn that_left(mut self, left: Arc<Left>) -> Self {
        self.left = Some(left);
        self
    }

    /// The socket's id: the client's `socket.id`. Other users may see it; nobody proves anything by it.
    pub fn id(&self) -> SocketId {
        self.state.id
    }

    /// The path at which the channel is mounted.
    pub fn channel(&self) -> &str {
        &self.state.channel.path
    }

    /// The key of the socket's current user, if there is one (rule R11); in `#[on(disconnect)]`, of the user at the time
    /// of leaving.
    pub fn user_id(&self) -> Option<String> {
        self.identity().user_id().map(str::to_owned)
    }

    /// The id of the socket's current session, if there is one. Do not log it: it can be used to address that session.
    pub fn session_id(&self) -> Option<String> {
        self.identity().session_id().map(str::to_owned)
    }

    /// Who the socket belongs to at this moment (rules R10 and R11); in `#[on(disconnect)]`, at the time of leaving, before a log-out that
    /// made it leave.
    pub fn identity(&self) -> Identity {
        match &self.left {
            Some(left) => left.identity.clone(),
            None => self.state.identity(),
        }
    }

    /// How the client talks to the server at this moment: a connection usually begins with polling and is then upgraded.
    pub fn transport(&self) -> Transport {
        self.state.client.transport()
    }

    /// Whether the socket is on its channel: `false` from the moment it has left or was disconnected.
    pub fn is_connected(&self) -> bool {
        !self.state.mailbox.is_closed()
    }

    /// Sends an event to this client. A tuple, an array or `Args(vec)` becomes several arguments, `()` none (the
    /// [table](crate::extract#from-rust-to-javascript) shows all). If the client's
    /// buffer is full, this waits for room up to `limits.send_timeout` (5 s by default); then the socket is closed, with a line in the
    /// log (rule R9). Events that one task emits arrive in their order.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] when the socket has left, [`Error::SlowReader`] when it was closed because of this event,
    /// [`Error::Serialize`] when `data` does not serialize, [`Error::ReservedEvent`] when Socket.IO reserves the event's
    /// name (rule R30).
    #[track_caller]
    pub fn emit(&self, event: &str, data: impl Serialize) -> impl Future<Output = Result> {
        let place = Location::caller();
        async move {
            check_name(event)?;
            if self.state.mailbox.is_closed() {
                return Err(Error::Closed);
            }
            self.state.channel.emits.check(self.state.channel.label(), event, place);
            self.state.emit(&self.raw, event, &data).await
        }
    }

    /// Sends an event and waits up to 5 seconds for the client's acknowledgement. `T` is its first argument; a tuple
    /// takes several.
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit), and [`Error::Acknowledgement`] when none arrived in time or it does not deserialize
    /// into `T`.
    #[track_caller]
    pub fn emit_with_ack<T: DeserializeOwned>(
        &self,
        event: &str,
        data: impl Serialize,
    ) -> impl Future<Output = Result<T>> {
        let place = Location::caller();
        async move {
            check_name(event)?;
            if self.state.mailbox.is_closed() {
                return Err(Error::Closed);
            }
            self.state.channel.emits.check(self.state.channel.label(), event, place);
            let mut answer = None;
            let attempt = || {
                answer = Some(self.raw.emit_with_ack::<T, _>(event, &data)?);
                Ok(())
            };
            self.state.send_when_room(&self.raw, attempt, event).await?;
            self.state.tell_sent(event, &data);
            match answer {
                Some(answer) => answer.await,
                None => Err(Error::Closed),
            }
        }
    }

    /// Puts the socket into one room or several, on this channel. `false` when it has left the channel, or when one of the rooms is the
    /// library's own, which the log then tells with what to write instead; in either case it joins none.
    /// [`try_join`](Self::try_join) tells which. The socket leaves all rooms by itself when it leaves the channel.
    pub fn join(&self, rooms: impl Rooms) -> bool {
        self.try_join(rooms).inspect_err(|error| self.log_reserved(error)).is_ok()
    }

    /// Puts the socket into one room or several, where their names come from a client, say.
    ///
    /// ```
    /// use carolina_sockets::prelude::*;
    ///
    /// #[channel("/rooms")]
    /// #[derive(Default)]
    /// struct Rooms;
    ///
    /// #[channel]
    /// impl Rooms {
    ///     #[on("enter")]
    ///     fn enter(&self, socket: Socket, Data(room): Data<String>) -> Result<(), EventError> {
    ///         socket.try_join(room).map_err(|error| EventError::new("no_room", error.to_string()))
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::ReservedRoom`] when one of the rooms is the library's own, [`Error::Closed`] when the socket has left
    /// the channel; in either case it joins none.
    pub fn try_join(&self, rooms: impl Rooms) -> Result {
        let rooms = checked(rooms)?;
        self.state.mailbox.if_open(|| self.raw.join(rooms)).then_some(()).ok_or(Error::Closed)?;
        self.rooms_changed();
        Ok(())
    }

    /// Takes the socket out of one room or several. Rooms that it is not in are ignored. If one of them is the library's own, it leaves none,
    /// which the log tells.
    pub fn leave(&self, rooms: impl Rooms) {
        match checked(rooms) {
            Ok(rooms) => {
                self.raw.leave(rooms);
                self.rooms_changed();
            }
            Err(error) => self.log_reserved(&error),
        }
    }

    /// Other nodes have to know, should the client come back there.
    fn rooms_changed(&self) {
        if let Some(asking) = &self.state.resume {
            asking.log.rooms_changed(asking);
        }
    }

    fn log_reserved(&self, error: &Error) {
        if matches!(error, Error::ReservedRoom { .. }) {
            refused(Cause::ReservedRoom, &format!("a socket on `{}`: {error}", self.channel()));
        }
    }

    /// The rooms that the application has put the socket into, in alphabetical order; in `#[on(disconnect)]` those it
    /// was in. The rooms of its session and its user are not among them.
    pub fn rooms(&self) -> Vec<String> {
        let mut rooms = match &self.left {
            Some(left) => left.rooms.clone(),
            None => self.raw.rooms(),
        };
        rooms.retain(|room| !is_reserved(room));
        rooms.sort();
        rooms
    }

    /// Leaves a value on the socket, in place of the one of the same type. [`get`](Self::get) and the extractor
    /// [`SocketData`](crate::SocketData) read it, in all handlers of this channel. It is gone when the socket has left and `#[on(disconnect)]`
    /// has run.
    ///
    /// The value is cloned for each reader; what several handlers change goes into an `Arc` with a `Mutex` or an atomic in it.
    ///
    /// ```
    /// use carolina_sockets::prelude::*;
    ///
    /// #[derive(Clone)]
    /// struct Seat(u32);
    ///
    /// #[channel("/seats")]
    /// #[derive(Default)]
    /// struct Seats {
    ///     taken: AtomicU32,
    /// }
    ///
    /// #[channel]
    /// impl Seats {
    ///     #[on(connect)]
    ///     async fn connect(&self, socket: Socket) {
    ///         socket.set(Seat(self.taken.fetch_add(1, Relaxed)));
    ///     }
    ///
    ///     #[on("seat")]
    ///     async fn seat(&self, SocketData(seat): SocketData<Seat>) -> u32 {
    ///         seat.0
    ///     }
    /// }
    /// ```
    pub fn set<T: Clone + Send + Sync + 'static>(&self, value: T) {
        self.state.values.set(value);
    }

    /// A clone of the value of this type that [`set`](Self::set) has left on the socket.
    pub fn get<T: Clone + Send + Sync + 'static>(&self) -> Option<T> {
        self.state.values.get()
    }

    /// Takes the value of this type off the socket.
    pub fn remove<T: Clone + Send + Sync + 'static>(&self) -> Option<T> {
        self.state.values.remove()
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
