//! Histograms: their names and buckets, and the handles that the event path records through.
//!
//! Nothing is measured until a recorder is installed, so that without one an event costs no look at the clock. Handles are
//! kept where they are used: to look one up by its labels costs more than the rest of what is recorded for an event.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use metrics::histogram;

const HANDLER: &str = "carolina_sockets_handler_seconds";
const MAILBOX: &str = "carolina_sockets_mailbox_seconds";
const RECEIVED: &str = "carolina_sockets_received_bytes";
const SENT: &str = "carolina_sockets_sent_bytes";
const PING: &str = "carolina_sockets_ping_seconds";
const BACKPLANE_LAG: &str = "carolina_sockets_backplane_lag_seconds";

/// From what is handled in place to the default timeout of a handler.
const HANDLING: &[f64] =
    &[0.000_01, 0.000_1, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// From a network of one's own to the default timeout of a ping.
const NETWORK: &[f64] = &[0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0];
/// From a ping to the default of `limits.max_payload`.
const BYTES: &[f64] = &[16.0, 64.0, 256.0, 1024.0, 4096.0, 16_384.0, 65_536.0, 262_144.0, 1_048_576.0];

/// Every histogram with its description and the upper bounds of its buckets, for an exporter.
#[cfg_attr(not(feature = "prometheus"), allow(dead_code, reason = "only an exporter describes metrics"))]
pub(crate) const HISTOGRAMS: [(&str, &str, &[f64]); 6] = [
    (HANDLER, "How long handlers of events run", HANDLING),
    (MAILBOX, "How long events wait for their turn", HANDLING),
    (RECEIVED, "Bytes of each read from a client", BYTES),
    (SENT, "Bytes of each write to a client", BYTES),
    (PING, "How long clients take to answer a ping", NETWORK),
    (BACKPLANE_LAG, "How long a message of this node takes over the backplane and back", NETWORK),
];

static RECORDED: AtomicBool = AtomicBool::new(false);

/// Whether there is a recorder to measure for.
pub(crate) fn is_recorded() -> bool {
    RECORDED.load(Ordering::Relaxed)
}

/// Begins to measure if a recorder is installed. Called when a service is built, and when a recorder was installed.
pub(crate) fn measure_if_recorded() {
    // Without a recorder, the facade passes one that has no fields.
    if metrics::with_recorder(|recorder| size_of_val(recorder) > 0) {
        RECORDED.store(true, Ordering::Relaxed);
    }
}

/// The time, if it is to be measured.
pub(crate) fn now() -> Option<Instant> {
    is_recorded().then(Instant::now)
}

/// The handle of one histogram with its labels, made when first recorded to.
#[derive(Default)]
pub(crate) struct Histogram(OnceLock<metrics::Histogram>);

impl Histogram {
    const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// Records how long a handler has run since `began`, if that was measured. Labelled by the method's name, since an
    /// `#[on(any)]` gets events whose names are the client's.
    pub(crate) fn handled(&self, began: Option<Instant>, channel: &str, handler: &'static str) {
        let Some(began) = began else { return };
        let time = began.elapsed();
        let label = || histogram!(HANDLER, "channel" => channel.to_owned(), "handler" => handler);
        self.0.get_or_init(label).record(time.as_secs_f64());
    }

    /// Records how long an event has waited for its turn.
    pub(crate) fn waited(&self, time: Duration, channel: &str) {
        let label = || histogram!(MAILBOX, "channel" => channel.to_owned());
        self.0.get_or_init(label).record(time.as_secs_f64());
    }
}

/// What a client has sent, as read at once.
pub(crate) fn received(bytes: usize) {
    static HANDLE: Histogram = Histogram::new();
    if is_recorded() {
        HANDLE.0.get_or_init(|| histogram!(RECEIVED)).record(bytes as f64);
    }
}

/// What a client was sent, as written at once.
pub(crate) fn sent(bytes: usize) {
    static HANDLE: Histogram = Histogram::new();
    if is_recorded() {
        HANDLE.0.get_or_init(|| histogram!(SENT)).record(bytes as f64);
    }
}

/// A client has answered the ping that was written then.
pub(crate) fn ping(written: Instant) {
    histogram!(PING).record(written.elapsed().as_secs_f64());
}

/// A message has come back that was published then.
pub(crate) fn backplane_lag(published: Instant) {
    histogram!(BACKPLANE_LAG).record(published.elapsed().as_secs_f64());
}
