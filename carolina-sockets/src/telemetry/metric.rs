//! Every counter and gauge of the library, with its name, labels and description. Names occur in this file only; those of
//! histograms in [`histogram`](super::histogram).
//!
//! They go through the facade `metrics`, whether or not a recorder is installed. The number of labels is bounded:
//! channels are labelled by their paths, and nothing that a client chooses is a label.

use metrics::{counter, gauge};

const CONNECTIONS: &str = "carolina_sockets_connections";
const SOCKETS: &str = "carolina_sockets_sockets";
const EVENTS: &str = "carolina_sockets_events_total";
const FAILURES: &str = "carolina_sockets_failures_total";
const REFUSED: &str = "carolina_sockets_refused_total";
const MISSED: &str = "carolina_sockets_missed_total";
const SLOW_READERS: &str = "carolina_sockets_slow_readers_total";
const FLOODERS: &str = "carolina_sockets_flooders_total";
const DISCONNECTS: &str = "carolina_sockets_disconnects_total";
const SESSION_STORE_ERRORS: &str = "carolina_sockets_session_store_errors_total";
const TOKENS_REFUSED: &str = "carolina_sockets_tokens_refused_total";
const RESUMES: &str = "carolina_sockets_resumes_total";
const NODES: &str = "carolina_sockets_nodes";
const BACKPLANE_UP: &str = "carolina_sockets_backplane_up";
const BACKPLANE_LOST: &str = "carolina_sockets_backplane_lost_total";

/// The kind of a metric.
#[derive(Clone, Copy)]
#[cfg_attr(not(feature = "prometheus"), allow(dead_code, reason = "only an exporter describes metrics"))]
pub(crate) enum Kind {
    Counter,
    Gauge,
}

/// Every metric with its kind and description, for an exporter.
#[cfg_attr(not(feature = "prometheus"), allow(dead_code, reason = "only an exporter describes metrics"))]
pub(crate) const ALL: [(Kind, &str, &str); 15] = [
    (Kind::Gauge, CONNECTIONS, "Connections that are open"),
    (Kind::Gauge, SOCKETS, "Sockets on a channel"),
    (Kind::Counter, EVENTS, "Events that clients have sent"),
    (Kind::Counter, FAILURES, "Events answered with an error, and clients a channel refused"),
    (Kind::Counter, REFUSED, "What was refused for a limit, an origin or bad input"),
    (Kind::Counter, MISSED, "Deliveries of broadcasts that met a full buffer"),
    (Kind::Counter, SLOW_READERS, "Sockets closed for not reading what they were sent"),
    (Kind::Counter, FLOODERS, "Sockets closed for sending more than could be answered"),
    (Kind::Counter, DISCONNECTS, "Sockets that have left their channel, by the reason"),
    (Kind::Counter, SESSION_STORE_ERRORS, "Failures of the session store"),
    (Kind::Counter, TOKENS_REFUSED, "JSON Web Tokens that were refused"),
    (Kind::Counter, RESUMES, "Clients that have come back to be given what they missed, by the result"),
    (Kind::Gauge, NODES, "Nodes on the backplane, this one included"),
    (Kind::Gauge, BACKPLANE_UP, "Whether the backplane is reached"),
    (Kind::Counter, BACKPLANE_LOST, "Messages that other nodes did not receive"),
];

pub(crate) fn connections(open: usize) {
    gauge!(CONNECTIONS).set(open as f64);
}

pub(crate) fn sockets(channel: &str, count: usize) {
    gauge!(SOCKETS, "channel" => channel.to_owned()).set(count as f64);
}

pub(crate) fn event() {
    counter!(EVENTS).increment(1);
}

pub(crate) fn failure(channel: &str, code: &'static str) {
    counter!(FAILURES, "channel" => channel.to_owned(), "code" => code).increment(1);
}

pub(super) fn refused(cause: &'static str) {
    counter!(REFUSED, "cause" => cause).increment(1);
}

pub(crate) fn missed(channel: &str, clients: usize) {
    counter!(MISSED, "channel" => channel.to_owned()).increment(clients as u64);
}

pub(crate) fn slow_reader(channel: &str) {
    counter!(SLOW_READERS, "channel" => channel.to_owned()).increment(1);
}

pub(crate) fn flooder(channel: &str) {
    counter!(FLOODERS, "channel" => channel.to_owned()).increment(1);
}

pub(crate) fn disconnect(channel: &str, reason: &'static str) {
    counter!(DISCONNECTS, "channel" => channel.to_owned(), "reason" => reason).increment(1);
}

pub(crate) fn session_store_error() {
    counter!(SESSION_STORE_ERRORS).increment(1);
}

#[cfg_attr(not(feature = "jwt"), allow(dead_code, reason = "without tokens none is refused"))]
pub(crate) fn token_refused(reason: &'static str) {
    counter!(TOKENS_REFUSED, "reason" => reason).increment(1);
}

pub(crate) fn resumed(result: &'static str) {
    counter!(RESUMES, "result" => result).increment(1);
}

pub(crate) fn nodes(count: u16) {
    gauge!(NODES).set(f64::from(count));
}

#[allow(dead_code, reason = "without a backplane there is none to reach")]
pub(crate) fn backplane_up(up: bool) {
    gauge!(BACKPLANE_UP).set(f64::from(u8::from(up)));
}

#[allow(dead_code, reason = "without a backplane nothing is lost on it")]
pub(crate) fn backplane_lost(messages: u64) {
    counter!(BACKPLANE_LOST).increment(messages);
}
