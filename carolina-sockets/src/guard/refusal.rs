//! Counts what is turned away, and logs it: at most once per second and cause, so that an attack does not become
//! an attack on the log.

use std::{
    fmt,
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

/// Why something was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Cause {
    Origin,
    Connections,
    ConnectionsPerAddress,
    RateLimited,
    Overloaded,
    Shutdown,
    InvalidSession,
    /// A broadcast that did not reach all its clients.
    Missed,
    /// A message that did not reach the other nodes.
    #[allow(dead_code, reason = "a process that is alone has no backplane")]
    Lost,
    /// A message of other nodes that is none.
    #[allow(dead_code, reason = "a process that is alone has no backplane")]
    Backplane,
}

const CAUSES: usize = 10;

impl Cause {
    fn name(self) -> &'static str {
        match self {
            Self::Origin => "origin",
            Self::Connections => "connections",
            Self::ConnectionsPerAddress => "connections_per_address",
            Self::RateLimited => "rate_limited",
            Self::Overloaded => "overloaded",
            Self::Shutdown => "shutdown",
            Self::InvalidSession => "invalid_session",
            Self::Missed => "missed",
            Self::Lost => "lost",
            Self::Backplane => "backplane",
        }
    }
}

struct Line {
    /// Milliseconds since the start, plus one; zero before the first.
    last: AtomicU64,
    suppressed: AtomicU64,
}

static LINES: [Line; CAUSES] = [const { Line { last: AtomicU64::new(0), suppressed: AtomicU64::new(0) } }; CAUSES];
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Counts a refusal, and logs it if the last such line is a second old.
pub(crate) fn refused(cause: Cause, message: &str) {
    metrics::counter!("carolina_sockets_refused_total", "cause" => cause.name()).increment(1);
    log(cause, format_args!("refused: {message}"));
}

/// Logs what was not delivered, if the last such line is a second old. It has a counter of its own.
pub(crate) fn undelivered(cause: Cause, message: &str) {
    log(cause, format_args!("{message}"));
}

fn log(cause: Cause, message: fmt::Arguments<'_>) {
    let line = &LINES[cause as usize];
    let now = u64::try_from(START.elapsed().as_millis()).unwrap_or(u64::MAX - 1) + 1;
    let last = line.last.load(Ordering::Relaxed);
    let due = last == 0 || now - last.min(now) >= 1000;
    if due && line.last.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
        let more = line.suppressed.swap(0, Ordering::Relaxed);
        tracing::warn!(cause = cause.name(), unlogged = more, "{message}");
    } else {
        line.suppressed.fetch_add(1, Ordering::Relaxed);
    }
}
