//! Counts and logs what is refused or not delivered: at most one line per second and cause, so that an attack does not
//! flood the log.

use std::{
    fmt,
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

/// Why something was refused or not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Cause {
    Origin,
    /// A requested host that is not the server's.
    Host,
    /// A forwarded address that cannot be read.
    Forwarded,
    Connections,
    ConnectionsPerAddress,
    RateLimited,
    Overloaded,
    Shutdown,
    InvalidSession,
    /// One of the library's own rooms.
    ReservedRoom,
    /// A request whose body did not arrive.
    SlowBody,
    /// A handshake that is too large.
    HeaderBytes,
    /// Events whose bytes found no room.
    MailboxBytes,
    /// A message with more bytes than a client's may have.
    PayloadTooLarge,
    /// A message with more attachments than a client's may have.
    Attachments,
    /// A packet that is not one that a client may send.
    InvalidPacket,
    /// A request to the endpoint for other programs.
    Publish,
    /// A broadcast that did not reach all its clients.
    Missed,
    /// A message that did not reach the other nodes.
    #[allow(dead_code, reason = "a process that is alone has no backplane")]
    Lost,
    /// A message on the backplane that is not from a node.
    #[allow(dead_code, reason = "a process that is alone has no backplane")]
    Backplane,
    /// A message on the backplane that is not signed, or not with our secret, or not for the first time.
    #[allow(dead_code, reason = "a process that is alone has no backplane")]
    BackplaneSignature,
    /// Something on the backplane that must not reach clients.
    BackplanePacket,
}

const CAUSES: usize = 22;

impl Cause {
    fn name(self) -> &'static str {
        match self {
            Self::Origin => "origin",
            Self::Host => "host",
            Self::Forwarded => "forwarded",
            Self::Connections => "connections",
            Self::ConnectionsPerAddress => "connections_per_address",
            Self::RateLimited => "rate_limited",
            Self::Overloaded => "overloaded",
            Self::Shutdown => "shutdown",
            Self::InvalidSession => "invalid_session",
            Self::ReservedRoom => "reserved_room",
            Self::SlowBody => "slow_body",
            Self::HeaderBytes => "header_bytes",
            Self::MailboxBytes => "mailbox_bytes",
            Self::PayloadTooLarge => "payload_too_large",
            Self::Attachments => "attachments",
            Self::InvalidPacket => "invalid_packet",
            Self::Publish => "publish",
            Self::Missed => "missed",
            Self::Lost => "lost",
            Self::Backplane => "backplane",
            Self::BackplaneSignature => "backplane_signature",
            Self::BackplanePacket => "backplane_packet",
        }
    }
}

/// When a cause was last logged, and how many of its messages were suppressed since.
struct Throttle {
    /// Milliseconds since the start, plus one; zero before the first.
    last: AtomicU64,
    suppressed: AtomicU64,
}

static THROTTLES: [Throttle; CAUSES] =
    [const { Throttle { last: AtomicU64::new(0), suppressed: AtomicU64::new(0) } }; CAUSES];
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Counts a refusal, and logs it at most once per second.
pub(crate) fn refused(cause: Cause, message: &str) {
    super::metric::refused(cause.name());
    log(cause, format_args!("refused: {message}"));
}

/// The same for a message that takes time to write: only for the log.
pub(crate) fn refused_with(cause: Cause, message: impl Fn() -> String) {
    super::metric::refused(cause.name());
    log(cause, format_args!("refused: {}", fmt::from_fn(|f| f.write_str(&message()))));
}

/// Logs an undelivered message at most once per second. It is counted by a metric of its own.
pub(crate) fn undelivered(cause: Cause, message: &str) {
    log(cause, format_args!("{message}"));
}

fn log(cause: Cause, message: fmt::Arguments<'_>) {
    let throttle = &THROTTLES[cause as usize];
    let now = u64::try_from(START.elapsed().as_millis()).unwrap_or(u64::MAX - 1) + 1;
    let last = throttle.last.load(Ordering::Relaxed);
    let due = last == 0 || now - last.min(now) >= 1000;
    if due && throttle.last.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
        let more = throttle.suppressed.swap(0, Ordering::Relaxed);
        tracing::warn!(cause = cause.name(), unlogged = more, "{message}");
    } else {
        throttle.suppressed.fetch_add(1, Ordering::Relaxed);
    }
}
