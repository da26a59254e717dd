use std::{
    fmt,
    net::IpAddr,
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    task::Context,
    time::Duration,
};

use futures_util::task::AtomicWaker;
use http::request::Parts;

use super::{reason::DisconnectReason, socket::SocketId};
use crate::{
    config::Transport,
    guard::{Rate, rate},
};

/// After this many refused events, reading from the connection pauses for [`BACKOFF`].
const REFUSED: u32 = 32;

/// Chosen so that refusing a client's events takes less than 1 % of a core, however fast it sends.
const BACKOFF: Duration = Duration::from_millis(10);

/// One client's connection: what its sockets on all channels share.
pub(crate) struct ClientConnection {
    address: IpAddr,
    /// The request that opened it, its head copied out of the buffer it was read into.
    request: Parts,
    /// The id of the engine's session, once it is known.
    id: OnceLock<SocketId>,
    /// Whether it has upgraded to a WebSocket, or began as one.
    is_websocket: AtomicBool,
    /// Why it was closed, if the engine does not know the reason.
    reason: OnceLock<DisconnectReason>,
    events: rate::Limiter,
    /// Refused events since the last backoff.
    refused: AtomicU32,
    closed: AtomicBool,
    /// Wakes the reader of the stream, so that a closed connection ends at once.
    reader: AtomicWaker,
    /// Wakes the task that waits to write.
    writer: AtomicWaker,
}

impl ClientConnection {
    pub(super) fn new(address: IpAddr, request: Parts, transport: Transport, events_per_second: u32) -> Self {
        Self {
            address,
            request,
            id: OnceLock::new(),
            is_websocket: AtomicBool::new(transport == Transport::Websocket),
            reason: OnceLock::new(),
            events: rate::limiter(Rate { count: events_per_second, per: Duration::from_secs(1) }),
            refused: AtomicU32::new(0),
            closed: AtomicBool::new(false),
            reader: AtomicWaker::new(),
            writer: AtomicWaker::new(),
        }
    }

    pub(crate) fn address(&self) -> IpAddr {
        self.address
    }

    /// The request that opened the connection, without the headers that open a WebSocket.
    pub(crate) fn request(&self) -> &Parts {
        &self.request
    }

    /// The client's current transport.
    pub(crate) fn transport(&self) -> Transport {
        if self.is_websocket.load(Ordering::Relaxed) { Transport::Websocket } else { Transport::Polling }
    }

    /// The client has upgraded.
    pub(super) fn set_websocket(&self) {
        self.is_websocket.store(true, Ordering::Relaxed);
    }

    /// The id of the engine's session, which its sockets on all channels share.
    pub(super) fn id(&self) -> Option<SocketId> {
        self.id.get().copied()
    }

    pub(super) fn set_id(&self, id: SocketId) {
        // Every channel that the client joins sets it again; the first value stays.
        let _ = self.id.set(id);
    }

    /// Counts an event; the error is the number of milliseconds until the next one is allowed.
    pub(crate) fn admit_event(&self) -> Result<(), u64> {
        self.admit(&self.events)
    }

    /// As [`admit_event`](Self::admit_event), with the given limiter.
    pub(crate) fn admit(&self, limiter: &rate::Limiter) -> Result<(), u64> {
        rate::check(limiter).inspect_err(|_| {
            self.refused.fetch_add(1, Ordering::Relaxed);
        })
    }

    /// How long to wait before reading from the connection again, if many of its events were refused: rejecting costs CPU
    /// too.
    pub(super) fn backoff(&self) -> Option<Duration> {
        let refused = self.refused.load(Ordering::Relaxed);
        (refused >= REFUSED).then(|| {
            self.refused.store(0, Ordering::Relaxed);
            BACKOFF * (refused / REFUSED).min(100)
        })
    }

    /// Why the connection was closed, if not by the engine.
    pub(super) fn close_reason(&self) -> Option<DisconnectReason> {
        self.reason.get().copied()
    }

    /// Closes the connection for a reason that the engine does not know.
    pub(super) fn close_with(&self, reason: DisconnectReason) -> bool {
        let _ = self.reason.set(reason);
        self.close_transport()
    }

    /// Wakes the reader, to check for incoming data.
    pub(super) fn wake_reader(&self) {
        self.reader.wake();
    }

    /// Wakes the writer, to check for room.
    pub(super) fn wake_writer(&self) {
        self.writer.wake();
    }

    /// Ends the stream below the connection. `false` if it was already closed.
    pub(super) fn close_transport(&self) -> bool {
        let first = !self.closed.swap(true, Ordering::AcqRel);
        self.reader.wake();
        self.writer.wake();
        first
    }

    pub(crate) fn is_alive(&self) -> bool {
        !self.closed.load(Ordering::Acquire)
    }

    /// Whether to go on waiting for room to write; if so, the writer is woken when the connection is closed.
    pub(super) fn poll_writable(&self, context: &mut Context<'_>) -> bool {
        self.writer.register(context.waker());
        self.is_alive()
    }

    /// Whether to go on; if so, the reader is woken when the connection is closed.
    pub(super) fn poll_alive(&self, context: &mut Context<'_>) -> bool {
        self.reader.register(context.waker());
        self.is_alive()
    }
}

impl fmt::Debug for ClientConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientConnection")
            .field("address", &self.address)
            .field("alive", &self.is_alive())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
impl ClientConnection {
    /// A connection that may send one event per second.
    pub(crate) fn slow() -> std::sync::Arc<Self> {
        let address = IpAddr::from([127, 0, 0, 1]);
        let (request, ()) = http::Request::new(()).into_parts();
        std::sync::Arc::new(Self::new(address, request, Transport::Websocket, 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r14_a_client_with_many_refused_events_is_not_read_for_a_while() {
        let client = ClientConnection::slow();
        assert_eq!(client.admit_event(), Ok(()));
        for _ in 1..REFUSED {
            assert!(client.admit_event().is_err());
        }
        assert_eq!(client.backoff(), None);
        assert!(client.admit_event().is_err());
        assert_eq!(client.backoff(), Some(BACKOFF));
        assert_eq!(client.backoff(), None, "it backs off once");
        for _ in 0..5 * REFUSED {
            assert!(client.admit_event().is_err());
        }
        assert_eq!(client.backoff(), Some(5 * BACKOFF), "in proportion to what was refused");
    }
}
