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
use socketioxide_core::Sid;

#[cfg(test)]
use super::limits::Connections;
use super::{limits::Permit, rate};
use crate::registry::row::Rate;

/// So many events over a limit are refused at once; then the connection is not read from for [`REST`].
const REFUSED: u32 = 32;

/// How long: however fast a client sends, refusing it takes less than a hundredth of a core.
const REST: Duration = Duration::from_millis(10);

/// One client connection: what its sockets on all channels share.
pub(crate) struct Peer {
    address: IpAddr,
    /// The Engine.IO session, known once the client joins its first channel.
    sid: OnceLock<Sid>,
    events: rate::Limiter,
    /// Events over a limit since the connection last rested.
    refused: AtomicU32,
    killed: AtomicBool,
    /// Wakes whoever reads the stream, so that a killed connection ends at once.
    reader: AtomicWaker,
    /// Wakes whoever waits to write to it.
    writer: AtomicWaker,
    /// Counts the connection while it lives.
    _permit: Permit,
}

impl Peer {
    pub(super) fn new(address: IpAddr, events_per_second: u32, permit: Permit) -> Self {
        Self {
            address,
            sid: OnceLock::new(),
            events: rate::limiter(Rate { count: events_per_second, per: Duration::from_secs(1) }),
            refused: AtomicU32::new(0),
            killed: AtomicBool::new(false),
            reader: AtomicWaker::new(),
            writer: AtomicWaker::new(),
            _permit: permit,
        }
    }

    pub(crate) fn address(&self) -> IpAddr {
        self.address
    }

    pub(crate) fn sid(&self) -> Option<Sid> {
        self.sid.get().copied()
    }

    pub(crate) fn set_sid(&self, sid: Sid) {
        // All channels of a connection share one.
        let _ = self.sid.set(sid);
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

    /// For how long the connection is not to be read from, if its client goes on in spite of refusals. To refuse is
    /// work as well, and who does nothing but that leaves the others waiting.
    pub(crate) fn rest(&self) -> Option<Duration> {
        let refused = self.refused.load(Ordering::Relaxed);
        (refused >= REFUSED).then(|| {
            self.refused.store(0, Ordering::Relaxed);
            REST * (refused / REFUSED).min(100)
        })
    }

    /// Cuts the transport. `false` when it was cut before.
    pub(crate) fn kill(&self) -> bool {
        let first = !self.killed.swap(true, Ordering::AcqRel);
        self.reader.wake();
        self.writer.wake();
        first
    }

    pub(crate) fn is_alive(&self) -> bool {
        !self.killed.load(Ordering::Acquire)
    }

    /// Whether to go on waiting for room to write; if so, the writer is woken when the connection is killed.
    pub(crate) fn poll_writable(&self, context: &mut Context<'_>) -> bool {
        self.writer.register(context.waker());
        self.is_alive()
    }

    /// Whether to go on; if so, the reader is woken when the connection is killed.
    pub(crate) fn poll_alive(&self, context: &mut Context<'_>) -> bool {
        self.reader.register(context.waker());
        self.is_alive()
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer").field("address", &self.address).field("alive", &self.is_alive()).finish_non_exhaustive()
    }
}

#[cfg(test)]
impl Peer {
    /// A peer that may send one event per second.
    pub(crate) fn slow() -> std::sync::Arc<Self> {
        let address = IpAddr::from([127, 0, 0, 1]);
        let Ok(permit) = Connections::new(1, 1).admit(address) else { unreachable!("the first of one") };
        std::sync::Arc::new(Self::new(address, 1, permit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r14_who_goes_on_in_spite_of_refusals_is_not_read_for_a_while() {
        let peer = Peer::slow();
        assert_eq!(peer.admit_event(), Ok(()));
        for _ in 1..REFUSED {
            assert!(peer.admit_event().is_err());
        }
        assert_eq!(peer.rest(), None);
        assert!(peer.admit_event().is_err());
        assert_eq!(peer.rest(), Some(REST));
        assert_eq!(peer.rest(), None, "it rests once");
        for _ in 0..5 * REFUSED {
            assert!(peer.admit_event().is_err());
        }
        assert_eq!(peer.rest(), Some(5 * REST), "as long as it sent");
    }
}
