use std::{
    any::Any,
    fmt,
    net::IpAddr,
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
    },
    task::Context,
    time::Duration,
};

use futures_util::task::AtomicWaker;
use http::request::Parts;
use parking_lot::Mutex;

use super::{
    id::SocketId, incoming::MessageLimits, instances::Opened, joins::Joins, reason::DisconnectReason, rejoin::joined,
};
use crate::{
    config::{Limits, Transport},
    guard::{ByteBudget, Rate, rate},
};

/// After this many refused events, reading from the connection pauses for [`BACKOFF`].
const REFUSED: u32 = 32;

/// Chosen so that refusing a client's events takes less than 1 % of a core, however fast it sends.
const BACKOFF: Duration = Duration::from_millis(10);

/// How many packets that are no events a client may send for each event that it may.
const PACKETS_PER_EVENT: u32 = 10;

/// How many clients have stopped reading.
static BLOCKED: AtomicUsize = AtomicUsize::new(0);

/// A packet that is no event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum PacketKind {
    /// CONNECT or DISCONNECT.
    Membership,
    /// A ping, a pong or an acknowledgement.
    Other,
}

/// The bytes of a request's head that are kept.
pub(super) fn head_bytes(request: &Parts) -> usize {
    let uri = request.uri.path_and_query().map_or(0, |path| path.as_str().len());
    let headers = request.headers.iter().map(|(name, value)| name.as_str().len() + value.len());
    uri + headers.sum::<usize>()
}

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
    message_limits: MessageLimits,
    events: rate::Limiter,
    /// Refused events since the last backoff.
    refused: AtomicU32,
    closed: AtomicBool,
    /// It is about to be closed, as the service ends.
    leaving: AtomicBool,
    /// Packets other than events, which a client has less reason to send.
    packets: rate::Limiter,
    /// Joins and leaves, of which there may be as many as events.
    memberships: rate::Limiter,
    /// Bytes of events that wait or are being handled, on all channels.
    pub(crate) handling: ByteBudget,
    /// Bytes that the client brought: the request's head, and the `auth` payloads.
    pub(crate) brought: ByteBudget,
    /// Bytes that were sent since the client stopped reading.
    sending: ByteBudget,
    /// The client has stopped reading, and not all has been written that was sent since.
    is_blocked: AtomicBool,
    /// It is in the rooms that no broadcast reaches, as it has all the bytes waiting that it may.
    is_full: AtomicBool,
    /// What the layers above keep with the connection.
    kept: OnceLock<Box<dyn Any + Send + Sync>>,
    /// What it has joined, as far as the engine may have ignored it.
    pub(super) joins: Joins,
    /// The instances of channels with parameters that it has opened; without any, it has no memory of its own.
    pub(super) opened: OnceLock<Box<Opened>>,
    /// The namespaces whose answers to CONNECT are not the engine's.
    withheld: Withheld,
    /// Whether it has been let in on any channel.
    has_joined: AtomicBool,
    /// Wakes whoever reads the stream, so that a connection that is cut ends at once.
    reader: AtomicWaker,
    /// Wakes the task that waits to write.
    writer: AtomicWaker,
}

impl ClientConnection {
    pub(super) fn new(address: IpAddr, request: Parts, transport: Transport, limits: &Limits) -> Self {
        let per = Duration::from_secs(1);
        let packets = limits.events_per_second.saturating_mul(PACKETS_PER_EVENT);
        let brought = ByteBudget::new(limits.header_bytes);
        brought.add(head_bytes(&request));
        Self {
            address,
            request,
            id: OnceLock::new(),
            is_websocket: AtomicBool::new(transport == Transport::Websocket),
            reason: OnceLock::new(),
            message_limits: MessageLimits { bytes: limits.max_payload, attachments: limits.max_attachments },
            events: rate::limiter(Rate { count: limits.events_per_second, per }),
            packets: rate::limiter(Rate { count: packets, per }),
            memberships: rate::limiter(Rate { count: limits.events_per_second, per }),
            handling: ByteBudget::new(limits.mailbox_bytes),
            brought,
            sending: ByteBudget::new(limits.send_buffer),
            is_blocked: AtomicBool::new(false),
            is_full: AtomicBool::new(false),
            refused: AtomicU32::new(0),
            kept: OnceLock::new(),
            joins: Joins::default(),
            opened: OnceLock::new(),
            withheld: Withheld::default(),
            has_joined: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            leaving: AtomicBool::new(false),
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

    /// What its messages may have.
    pub(super) fn message_limits(&self) -> MessageLimits {
        self.message_limits
    }

    /// A value kept with the connection, created when first asked for. There is room for one type.
    pub(crate) fn kept<T: Default + Send + Sync + 'static>(&self) -> Option<&T> {
        self.kept.get_or_init(|| Box::<T>::default()).downcast_ref()
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

    /// Whether the client has been let in on any channel.
    pub(super) fn has_joined(&self) -> bool {
        self.has_joined.load(Ordering::Relaxed)
    }

    pub(super) fn set_joined(&self) {
        self.has_joined.store(true, Ordering::Relaxed);
    }

    pub(super) fn set_id(&self, id: SocketId) {
        // Every channel that the client joins sets it again; the first value stays.
        let _ = self.id.set(id);
    }

    /// The engine's answers to CONNECT that the client does not get.
    pub(super) fn withheld(&self) -> &Withheld {
        &self.withheld
    }

    /// Counts an event; the error is the number of milliseconds until the next one is allowed.
    pub(crate) fn count_event(&self) -> Result<(), u64> {
        self.count_against(&self.events)
    }

    /// As [`count_event`](Self::count_event), with the given limiter.
    pub(crate) fn count_against(&self, limiter: &rate::Limiter) -> Result<(), u64> {
        rate::check(limiter).inspect_err(|_| {
            self.refused.fetch_add(1, Ordering::Relaxed);
        })
    }

    /// Counts a packet that is not an event. Joins and leaves have a limit of their own, as high as that of events, since each
    /// costs as much; of the others there may be more. Returns how long to pause reading.
    pub(super) fn count_packet(&self, kind: PacketKind) -> Option<Duration> {
        match kind {
            PacketKind::Membership => rate::check(&self.memberships).err().map(Duration::from_millis),
            PacketKind::Other => {
                let _ = self.count_against(&self.packets);
                None
            }
        }
    }

    /// Bytes that were sent since the client stopped reading. Meaningful while it [is blocked](Self::is_blocked).
    pub(super) fn sending(&self) -> &ByteBudget {
        &self.sending
    }

    /// Whether the client has stopped reading.
    pub(super) fn is_blocked(&self) -> bool {
        self.is_blocked.load(Ordering::Acquire)
    }

    /// Whether broadcasts are kept from the client.
    pub(super) fn is_full(&self) -> bool {
        self.is_full.load(Ordering::Acquire)
    }

    /// Broadcasts are kept from the client.
    pub(super) fn set_full(&self) {
        self.is_full.store(true, Ordering::Release);
    }

    /// Whether broadcasts were kept from the client, which from here on they are not.
    pub(super) fn take_full(&self) -> bool {
        self.is_full.swap(false, Ordering::AcqRel)
    }

    /// A write finds no room. `true` when that is new.
    pub(super) fn block(&self) -> bool {
        let is_new = !self.is_blocked.swap(true, Ordering::AcqRel);
        if is_new {
            BLOCKED.fetch_add(1, Ordering::AcqRel);
        }
        is_new
    }

    /// All has been written. `true` when the client had stopped reading.
    pub(super) fn unblock(&self) -> bool {
        let was = self.is_blocked.swap(false, Ordering::AcqRel);
        if was {
            BLOCKED.fetch_sub(1, Ordering::AcqRel);
            self.sending.clear();
            self.reader.wake();
        }
        was
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
        self.set_close_reason(reason);
        self.close_transport()
    }

    /// The connection is about to be closed for a reason that the engine does not know.
    pub(super) fn set_close_reason(&self, reason: DisconnectReason) {
        // The first reason counts.
        let _ = self.reason.set(reason);
    }

    /// Refuses further events and joins, as the connection is about to be closed.
    pub(crate) fn leave(&self) {
        self.leaving.store(true, Ordering::Release);
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Acquire)
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

/// The namespaces for whose CONNECT the engine's answer is dropped on its way out, since another takes its place.
#[derive(Default)]
pub(super) struct Withheld {
    count: AtomicU32,
    paths: Mutex<Vec<Box<str>>>,
}

impl Withheld {
    pub(super) fn add(&self, path: &str) {
        let mut paths = self.paths.lock();
        paths.push(path.into());
        self.count.fetch_add(1, Ordering::AcqRel);
    }

    /// Whether there are any. Called for every write.
    pub(super) fn has_any(&self) -> bool {
        self.count.load(Ordering::Acquire) > 0
    }

    /// Whether this packet is one of them, which it then is no more.
    pub(super) fn take(&self, packet: &[u8]) -> bool {
        let Some(path) = joined(packet) else { return false };
        let mut paths = self.paths.lock();
        let Some(position) = paths.iter().position(|withheld| withheld.as_bytes() == path) else { return false };
        paths.swap_remove(position);
        if paths.is_empty() {
            *paths = Vec::new();
        }
        self.count.fetch_sub(1, Ordering::AcqRel);
        true
    }
}

/// Whether any client of this process has stopped reading. Usually none has, so that nothing has to be looked up to send.
pub(super) fn is_any_blocked() -> bool {
    BLOCKED.load(Ordering::Acquire) > 0
}

impl Drop for ClientConnection {
    fn drop(&mut self) {
        self.unblock();
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
        let limits = Limits { events_per_second: 1, ..crate::config::Config::default().limits };
        std::sync::Arc::new(Self::new(address, request, Transport::Websocket, &limits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r14_a_client_with_many_refused_events_is_not_read_for_a_while() {
        let client = ClientConnection::slow();
        assert_eq!(client.count_event(), Ok(()));
        for _ in 1..REFUSED {
            assert!(client.count_event().is_err());
        }
        assert_eq!(client.backoff(), None);
        assert!(client.count_event().is_err());
        assert_eq!(client.backoff(), Some(BACKOFF));
        assert_eq!(client.backoff(), None, "it backs off once");
        for _ in 0..5 * REFUSED {
            assert!(client.count_event().is_err());
        }
        assert_eq!(client.backoff(), Some(5 * BACKOFF), "in proportion to what was refused");
    }
}
