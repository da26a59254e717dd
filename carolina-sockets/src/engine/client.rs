use std::{
    fmt,
    net::IpAddr,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    task::Context,
    time::Duration,
};

use futures_util::task::AtomicWaker;

use super::{sessions::Sessions, socket::SocketId};
#[cfg(test)]
use crate::guard::Connections;
use crate::guard::{Permit, Rate, rate};

/// After so many refused events the connection is not read from for [`BACKOFF`].
const REFUSED: u32 = 32;

/// With this, refusing a client's events takes less than a hundredth of a core, however fast it sends.
const BACKOFF: Duration = Duration::from_millis(10);

/// One client's connection: what its sockets on all channels share.
pub(crate) struct ClientConnection {
    address: IpAddr,
    /// The id of the Engine.IO session, once it is known.
    id: OnceLock<SocketId>,
    events: rate::Limiter,
    /// Refused events since the last backoff.
    refused: AtomicU32,
    cut: AtomicBool,
    /// Wakes whoever reads the stream, so that a connection that is cut ends at once.
    reader: AtomicWaker,
    /// Wakes whoever waits to write to it.
    writer: AtomicWaker,
    /// Where it is found by its id, if it began with polling.
    sessions: OnceLock<Weak<Sessions>>,
    /// Counts the connection while it lives.
    _permit: Permit,
}

impl ClientConnection {
    pub(super) fn new(address: IpAddr, events_per_second: u32, permit: Permit) -> Self {
        Self {
            address,
            id: OnceLock::new(),
            events: rate::limiter(Rate { count: events_per_second, per: Duration::from_secs(1) }),
            refused: AtomicU32::new(0),
            cut: AtomicBool::new(false),
            reader: AtomicWaker::new(),
            writer: AtomicWaker::new(),
            sessions: OnceLock::new(),
            _permit: permit,
        }
    }

    pub(crate) fn address(&self) -> IpAddr {
        self.address
    }

    /// The id of its Engine.IO session, which its sockets on all channels share.
    pub(super) fn id(&self) -> Option<SocketId> {
        self.id.get().copied()
    }

    pub(super) fn set_id(&self, id: SocketId) {
        // Every channel that the client joins tells it again.
        let _ = self.id.set(id);
    }

    pub(super) fn set_sessions(&self, sessions: &Arc<Sessions>) {
        let _ = self.sessions.set(Arc::downgrade(sessions));
    }

    /// One more event, or after how many milliseconds there may be one.
    pub(crate) fn admit_event(&self) -> Result<(), u64> {
        self.admit(&self.events)
    }

    /// One more event as this limiter has it, or after how many milliseconds there may be one.
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

    /// Ends the stream below the connection, if there is one. `false` when that was done before.
    pub(super) fn cut(&self) -> bool {
        let first = !self.cut.swap(true, Ordering::AcqRel);
        self.reader.wake();
        self.writer.wake();
        first
    }

    pub(crate) fn is_alive(&self) -> bool {
        !self.cut.load(Ordering::Acquire)
    }

    /// Whether to go on waiting for room to write; if so, the writer is woken when the connection is cut.
    pub(super) fn poll_writable(&self, context: &mut Context<'_>) -> bool {
        self.writer.register(context.waker());
        self.is_alive()
    }

    /// Whether to go on; if so, the reader is woken when the connection is cut.
    pub(super) fn poll_alive(&self, context: &mut Context<'_>) -> bool {
        self.reader.register(context.waker());
        self.is_alive()
    }
}

impl Drop for ClientConnection {
    fn drop(&mut self) {
        if let (Some(id), Some(sessions)) = (self.id(), self.sessions.get().and_then(Weak::upgrade)) {
            sessions.remove(id);
        }
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
    pub(crate) fn slow() -> Arc<Self> {
        let address = IpAddr::from([127, 0, 0, 1]);
        let Ok(permit) = Connections::new(1, 1).admit(address) else { unreachable!("the first of one") };
        Arc::new(Self::new(address, 1, permit))
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
