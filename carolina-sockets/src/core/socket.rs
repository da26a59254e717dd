use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use parking_lot::RwLock;
use serde::Serialize;

use super::{ChannelCore, Leaving, Mailbox, end, values::Values};
use crate::{
    engine::{
        Auth, ClientConnection, DisconnectReason, EncodedPayload, EngineSocket, SendError, SocketId, WeakEngineSocket,
        encode_event,
    },
    error::{Error, Result},
    guard::rate,
    identity::Identity,
    resume::{Owner, Subscriber},
    telemetry::trace,
};

/// How long a client that has left by itself stays listed at most. It may come back at once, as the front-end package does after a log-in.
const LEAVING: Duration = Duration::from_secs(1);

/// One socket on one channel: the library's own state, beside the engine's handle.
pub(crate) struct SocketState {
    pub(crate) channel: Arc<ChannelCore>,
    pub(crate) id: SocketId,
    pub(crate) client: Arc<ClientConnection>,
    /// The CONNECT packet's payload, as JSON text. Its bytes are counted for the client until the socket is dropped.
    pub(crate) auth: Option<Auth>,
    pub(crate) mailbox: Mailbox,
    identity: RwLock<Identity>,
    /// Set when the socket begins to leave.
    leaving: OnceLock<Box<Leaving>>,
    /// One limiter for each handler with a `rate`, created when first needed.
    rates: OnceLock<Box<[rate::Limiter]>>,
    /// Answers that wait for room in the client's buffer, outside the mailbox.
    waiting_answers: AtomicUsize,
    /// What the application has left on it.
    pub(crate) values: Values,
    pub(crate) since: SystemTime,
    pub(crate) trace: trace::Connection,
    /// Where the channel keeps what clients miss.
    pub(crate) resume: Option<Subscriber>,
    /// Whether its client has come back to another node.
    has_moved: AtomicBool,
    raw: WeakEngineSocket,
}

impl SocketState {
    pub(crate) fn new(
        channel: Arc<ChannelCore>,
        raw: &EngineSocket,
        client: Arc<ClientConnection>,
        auth: Option<Auth>,
        identity: Identity,
        trace: trace::Connection,
    ) -> Self {
        let resume = channel.resume.clone().map(|log| Subscriber::new(log, auth.as_deref()));
        Self {
            channel,
            id: raw.id(),
            client,
            auth,
            resume,
            mailbox: Mailbox::default(),
            identity: RwLock::new(identity),
            leaving: OnceLock::new(),
            rates: OnceLock::new(),
            waiting_answers: AtomicUsize::new(0),
            values: Values::default(),
            since: SystemTime::now(),
            trace,
            has_moved: AtomicBool::new(false),
            raw: raw.downgrade(),
        }
    }

    /// The engine's handle, while the engine keeps the socket.
    pub(crate) fn raw(&self) -> Option<EngineSocket> {
        self.raw.upgrade()
    }

    pub(crate) fn identity(&self) -> Identity {
        self.identity.read().clone()
    }

    /// Puts a new socket into the rooms of its session and user.
    pub(crate) fn join_identity_rooms(&self, raw: &EngineSocket) {
        raw.join(self.identity().rooms());
    }

    /// Replaces the socket's identity and its session and user rooms (rule R11). Returns the previous identity.
    pub(crate) fn set_identity(&self, raw: &EngineSocket, identity: Identity) -> Identity {
        let mut current = self.identity.write();
        let before = std::mem::replace(&mut *current, identity);
        if self.channel.linger.is_some()
            && let Some(user) = before.user_id().filter(|user| current.user_id() != Some(*user))
        {
            self.channel.services.presences.untrack_key(&self.channel.path, self.presence_id(), user);
        }
        let (old, new) = (before.rooms(), current.rooms());
        if let Some(subscriber) = &self.resume {
            subscriber.log.set_owner(subscriber, owner(&current));
        }
        self.mailbox.if_open(|| {
            raw.leave(old.iter().filter(|room| !new.contains(room)).cloned().collect());
            raw.join(new.into_iter().filter(|room| !old.contains(room)).collect());
        });
        before
    }

    /// What tells it apart from every other socket at the same time, for presence: its place in memory, which it keeps.
    pub(crate) fn presence_id(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Its client has come back to another node, which lists it from now on.
    pub(crate) fn set_moved(&self) {
        self.has_moved.store(true, Ordering::Release);
    }

    /// Whom its `pid` belongs to.
    pub(crate) fn owner(&self) -> Owner {
        owner(&self.identity.read())
    }

    /// Tells the client who is on the channel, and from now on what changes, if the channel has presence and the socket has not left.
    pub(crate) fn enter_presence(&self, raw: &EngineSocket) {
        if self.channel.linger.is_some()
            && let Ok(namespace) = self.channel.namespace()
        {
            let presences = &self.channel.services.presences;
            self.mailbox.if_open(|| {
                let enrich = self.channel.enrich.as_ref();
                presences.enter(&self.channel.path, self.presence_id(), raw, namespace, enrich);
            });
        }
    }

    /// Takes the socket off the list of who is on the channel: at once if it was made to leave, otherwise after the time in which its client
    /// may come back.
    pub(crate) fn leave_presence(&self, reason: DisconnectReason) {
        if let Some(linger) = self.channel.linger {
            // Who may resume has not left.
            let window = self
                .resume
                .as_ref()
                .filter(|subscriber| subscriber.wants_offsets())
                .map(|subscriber| subscriber.log.window());
            let linger = linger.max(window.unwrap_or_default());
            let linger = match reason {
                DisconnectReason::ServerDisconnect | DisconnectReason::LoggedOut | DisconnectReason::NotAuthorized => {
                    None
                }
                DisconnectReason::ClientLeft => Some(linger.min(LEAVING)),
                _ if self.has_moved.load(Ordering::Acquire) => Some(linger.min(LEAVING)),
                _ => Some(linger),
            };
            self.channel.services.presences.leave(&self.channel.path, self.presence_id(), linger);
        }
    }

    /// Records why the socket leaves, and its identity at that time. The first call counts: the engine reports the end as
    /// well, as soon as the client is notified or its connection closed, and knows less of it.
    pub(crate) fn leaves(&self, reason: DisconnectReason, identity: Identity) -> &Leaving {
        self.leaving.get_or_init(|| Box::new(Leaving { reason, identity }))
    }

    /// Counts an event against the handler's own rate; the error is the number of milliseconds until the next one is
    /// allowed.
    pub(crate) fn count_event(&self, limiter: usize) -> std::result::Result<(), u64> {
        let rates = self.rates.get_or_init(|| self.channel.rates.iter().map(|rate| rate::limiter(*rate)).collect());
        self.client.count_against(&rates[limiter])
    }

    /// Repeats a send until the client's buffer has room for it, for up to `limits.send_timeout`; then ends the socket
    /// (rule R9).
    pub(crate) async fn send_when_room(
        self: &Arc<Self>,
        raw: &EngineSocket,
        mut attempt: impl FnMut() -> std::result::Result<(), SendError>,
        event: &str,
    ) -> Result {
        let mut tries = 0_u32;
        let mut since = None;
        loop {
            match attempt() {
                Ok(()) => return Ok(()),
                Err(SendError::Full) => {}
                Err(SendError::Closed) => return Err(Error::Closed),
                Err(SendError::Serialize(reason)) => {
                    return Err(Error::Serialize { event: event.to_owned(), reason });
                }
            }
            let timeout = self.channel.limits.send_timeout;
            let since = *since.get_or_insert_with(tokio::time::Instant::now);
            if since.elapsed() >= timeout || !self.client.is_alive() {
                end(self, raw, DisconnectReason::SlowReader);
                return Err(Error::SlowReader { after: timeout });
            }
            // Yield to the writer first; after some attempts, poll a slow client with growing delays.
            if tries < 4 {
                tokio::task::yield_now().await;
            } else {
                tokio::time::sleep(std::time::Duration::from_millis(1 << (tries - 4).min(4))).await;
            }
            tries += 1;
        }
    }

    /// Emits one event, waiting for room in the client's buffer.
    pub(crate) async fn emit<T: Serialize + ?Sized>(
        self: &Arc<Self>,
        raw: &EngineSocket,
        event: &str,
        data: &T,
    ) -> Result {
        match self.resume.as_ref().filter(|subscriber| subscriber.wants_offsets()) {
            None => self.send_when_room(raw, || raw.emit(event, data), event).await?,
            Some(subscriber) => {
                let (payload, namespace) = (EncodedPayload::event(event, data)?, self.channel.namespace()?);
                if subscriber.log.is_shared() {
                    // What is in the log is sent, so there has to be room before.
                    self.send_when_room(raw, || subscriber.log.check_room(subscriber, raw), event).await?;
                    if subscriber.log.emit_to_one_by_server(subscriber, &payload).await {
                        self.tell_sent(event, data);
                        return Ok(());
                    }
                }
                let send = || subscriber.log.emit_to_one(namespace, subscriber, raw, &payload);
                self.send_when_room(raw, send, event).await?;
            }
        }
        self.tell_sent(event, data);
        Ok(())
    }

    /// Tells the observer, if there is one, that an event was sent.
    pub(crate) fn tell_sent<T: Serialize + ?Sized>(&self, event: &str, data: &T) {
        self.channel.services.observed.tell(|observer| {
            if let Ok((packet, _)) = encode_event(event, data) {
                observer.sent(self, &packet);
            }
        });
    }

    /// Whether no event of the socket is being handled or answered.
    pub(crate) fn is_idle(&self) -> bool {
        self.mailbox.is_idle() && self.waiting_answers.load(Ordering::Acquire) == 0
    }

    /// Whether its events are refused, since the service or its connection is about to end.
    pub(crate) fn is_draining(&self) -> bool {
        self.channel.is_draining() || self.client.is_leaving()
    }

    /// Reserves a place among the answers that wait outside the mailbox; the limit is the capacity of the mailbox.
    pub(super) fn begin_waiting(&self) -> bool {
        let before = self.waiting_answers.fetch_add(1, Ordering::Relaxed);
        if before >= self.channel.limits.mailbox {
            self.end_waiting();
            return false;
        }
        true
    }

    pub(super) fn end_waiting(&self) {
        self.waiting_answers.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whom a socket's `pid` belongs to.
fn owner(identity: &Identity) -> Owner {
    Owner { session: identity.session_id().map(str::to_owned), user: identity.user_id().map(str::to_owned) }
}

impl Drop for SocketState {
    fn drop(&mut self) {
        self.client.brought.subtract(self.auth.as_ref().map_or(0, |auth| auth.len()));
    }
}

impl fmt::Debug for SocketState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketState")
            .field("channel", &self.channel.path)
            .field("socket", &self.id)
            .finish_non_exhaustive()
    }
}
