use std::{
    fmt,
    net::IpAddr,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    task::Context,
    time::Duration,
};

use futures_util::task::AtomicWaker;
use governor::DefaultDirectRateLimiter;
use socketioxide_core::Sid;

use super::{limits::Permit, rate};
use crate::registry::row::Rate;

/// One client connection: what its sockets on all channels share.
pub(crate) struct Peer {
    address: IpAddr,
    /// The Engine.IO session, known once the client joins its first channel.
    sid: OnceLock<Sid>,
    events: DefaultDirectRateLimiter,
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
        rate::check(&self.events)
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
