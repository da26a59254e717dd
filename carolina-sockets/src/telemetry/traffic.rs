//! What goes over all connections of this process, summed up for the Admin UI: unlike a metric, it is read here.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Sums since they were last taken.
#[cfg(feature = "admin")]
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    pub(crate) packets_in: u64,
    pub(crate) packets_out: u64,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) opened: u64,
    pub(crate) closed: u64,
}

static ON: AtomicBool = AtomicBool::new(false);
static PACKETS_IN: AtomicU64 = AtomicU64::new(0);
static PACKETS_OUT: AtomicU64 = AtomicU64::new(0);
static BYTES_IN: AtomicU64 = AtomicU64::new(0);
static BYTES_OUT: AtomicU64 = AtomicU64::new(0);
static OPENED: AtomicU64 = AtomicU64::new(0);
static CLOSED: AtomicU64 = AtomicU64::new(0);

/// Whether anything is summed up.
pub(crate) fn is_on() -> bool {
    ON.load(Ordering::Relaxed)
}

/// Begins to sum up.
#[cfg(feature = "admin")]
pub(crate) fn start() {
    ON.store(true, Ordering::Relaxed);
}

/// The sums, which begin anew.
#[cfg(feature = "admin")]
pub(crate) fn take() -> Traffic {
    let take = |sum: &AtomicU64| sum.swap(0, Ordering::Relaxed);
    Traffic {
        packets_in: take(&PACKETS_IN),
        packets_out: take(&PACKETS_OUT),
        bytes_in: take(&BYTES_IN),
        bytes_out: take(&BYTES_OUT),
        opened: take(&OPENED),
        closed: take(&CLOSED),
    }
}

fn add(sum: &AtomicU64, count: usize) {
    sum.fetch_add(count as u64, Ordering::Relaxed);
}

/// A client has sent so much.
pub(crate) fn received(packets: usize, bytes: usize) {
    if is_on() {
        add(&PACKETS_IN, packets);
        add(&BYTES_IN, bytes);
    }
}

/// A client was sent so much.
pub(crate) fn sent(packets: impl FnOnce() -> usize, bytes: usize) {
    if is_on() {
        add(&PACKETS_OUT, packets());
        add(&BYTES_OUT, bytes);
    }
}

/// A connection has been opened.
pub(crate) fn opened() {
    if is_on() {
        add(&OPENED, 1);
    }
}

/// A connection has been closed.
pub(crate) fn closed() {
    if is_on() {
        add(&CLOSED, 1);
    }
}
