//! One socket on one channel: what the library keeps of it beside socketioxide's own handle.

use std::{
    fmt,
    sync::{
        Arc, OnceLock, RwLock, Weak,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde::Serialize;
use socketioxide::{SendError, SocketError, TransportType};
use socketioxide_core::{Sid, Str};

use crate::{
    backplane::RawSocket,
    dispatch::Mailbox,
    error::{Error, Result},
    guard::{Peer, rate},
    identity::Identity,
    namespace::Mount,
    payload::Payload,
};

pub(crate) struct Connection {
    pub(crate) mount: Arc<Mount>,
    pub(crate) sid: Sid,
    pub(crate) peer: Arc<Peer>,
    /// The CONNECT packet's payload, as JSON text.
    pub(crate) auth: Option<Str>,
    pub(crate) mailbox: Mailbox,
    identity: RwLock<Identity>,
    /// One limiter per handler with a `rate`, made when the first of them is needed.
    rates: OnceLock<Box<[rate::Limiter]>>,
    /// Answers that found no room and wait for it outside the mailbox.
    waiting: AtomicUsize,
    raw: Weak<RawSocket>,
}

impl Connection {
    pub(crate) fn new(
        mount: Arc<Mount>,
        raw: &Arc<RawSocket>,
        peer: Arc<Peer>,
        auth: Option<Str>,
        identity: Identity,
    ) -> Self {
        Self {
            mount,
            sid: raw.id,
            peer,
            auth,
            mailbox: Mailbox::default(),
            identity: RwLock::new(identity),
            rates: OnceLock::new(),
            waiting: AtomicUsize::new(0),
            raw: Arc::downgrade(raw),
        }
    }

    pub(crate) fn raw(&self) -> Option<Arc<RawSocket>> {
        self.raw.upgrade()
    }

    pub(crate) fn identity(&self) -> Identity {
        self.identity.read().expect("no panic happens under this lock").clone()
    }

    /// Puts a new socket into the rooms of its session and user.
    pub(crate) fn join_identity_rooms(&self, raw: &RawSocket) {
        raw.join(self.identity().rooms());
    }

    /// Takes on another identity: the rooms named after session and user change with it (rule R11). Returns
    /// the identity it had.
    pub(crate) fn set_identity(&self, raw: &RawSocket, identity: Identity) -> Identity {
        let mut current = self.identity.write().expect("no panic happens under this lock");
        let before = std::mem::replace(&mut *current, identity);
        let (old, new) = (before.rooms(), current.rooms());
        self.mailbox.unless_closed(|| {
            for room in old.iter().filter(|room| !new.contains(room)) {
                raw.leave(room.clone());
            }
            for room in new.into_iter().filter(|room| !old.contains(room)) {
                raw.join(room);
            }
        });
        before
    }

    /// Whether the handler's own rate allows one more event; otherwise, after how many milliseconds it will.
    pub(crate) fn admit(&self, limiter: usize) -> std::result::Result<(), u64> {
        let rates = self.rates.get_or_init(|| self.mount.rates.iter().map(|rate| rate::limiter(*rate)).collect());
        self.peer.admit(&rates[limiter])
    }

    /// Repeats a send until the client's buffer has room for it, for up to `limits.send_timeout`; then closes
    /// the socket (rule R9).
    pub(crate) async fn send_when_room(
        self: &Arc<Self>,
        raw: &Arc<RawSocket>,
        mut attempt: impl FnMut() -> std::result::Result<(), SendError>,
        event: &str,
    ) -> Result {
        let mut tries = 0_u32;
        let mut since = None;
        loop {
            match attempt() {
                Ok(()) => return Ok(()),
                Err(SendError::Socket(SocketError::InternalChannelFull)) => {}
                Err(SendError::Socket(SocketError::Closed)) => return Err(Error::Closed),
                Err(SendError::Serialize(error)) => {
                    return Err(Error::Serialize { event: event.to_owned(), reason: error.to_string() });
                }
            }
            let timeout = self.mount.limits.send_timeout;
            let since = *since.get_or_insert_with(tokio::time::Instant::now);
            if since.elapsed() >= timeout || !self.peer.is_alive() {
                self.close_slow_reader(raw);
                return Err(Error::SlowReader { after: timeout });
            }
            // The writer needs a turn first; a client that is really slow is asked less and less often.
            match tries {
                0..4 => tokio::task::yield_now().await,
                _ => tokio::time::sleep(std::time::Duration::from_millis(1 << (tries - 4).min(4))).await,
            }
            tries += 1;
        }
    }

    /// Ends the client's connection, and with it all its sockets, without a goodbye. `false` when that was done before.
    pub(crate) fn cut(&self) -> bool {
        let first = self.peer.kill();
        if first
            && let (Some(raw), Some(sockets)) = (self.raw(), self.mount.sockets())
            && raw.transport_type() == TransportType::Polling
            && let Some(engine) = &sockets.inner().engine
        {
            engine.close_polling(&raw);
        }
        first
    }

    /// Ends a socket whose client does not take what it is sent. The transport is cut, since a full buffer has
    /// no room for a goodbye either.
    pub(crate) fn close_slow_reader(self: &Arc<Self>, raw: &Arc<RawSocket>) {
        if self.cut() {
            metrics::counter!("carolina_sockets_slow_readers_total", "channel" => self.mount.path.clone()).increment(1);
            tracing::warn!(
                channel = %self.mount.path, socket = %self.sid, timeout = ?self.mount.limits.send_timeout,
                "closed a socket: its client does not read what it is sent",
            );
        }
        crate::dispatch::close(self, raw, crate::DisconnectReason::SlowReader);
    }

    /// Ends a socket whose client sends so much that even the answers which refuse it cannot all wait.
    pub(crate) fn close_flooder(self: &Arc<Self>, raw: &Arc<RawSocket>) {
        if self.cut() {
            metrics::counter!("carolina_sockets_flooders_total", "channel" => self.mount.path.clone()).increment(1);
            tracing::warn!(
                channel = %self.mount.path, socket = %self.sid,
                "closed a socket: its client sends more than can be answered",
            );
        }
        crate::dispatch::close(self, raw, crate::DisconnectReason::Flooding);
    }

    /// Emits one event, waiting for room in the client's buffer.
    pub(crate) async fn emit<T: Serialize + ?Sized>(
        self: &Arc<Self>,
        raw: &Arc<RawSocket>,
        event: &str,
        data: &T,
    ) -> Result {
        self.send_when_room(raw, || raw.emit(event, &Payload(data)), event).await
    }

    /// Reserves a place among the answers that wait outside the mailbox; there are as many as the mailbox holds
    /// events.
    pub(crate) fn begin_waiting(&self) -> bool {
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        if before >= self.mount.limits.mailbox {
            self.end_waiting();
            return false;
        }
        true
    }

    pub(crate) fn end_waiting(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("channel", &self.mount.path)
            .field("socket", &self.sid)
            .finish_non_exhaustive()
    }
}
