//! What the service reports to its operators: metrics and histograms, spans, and rate-limited log lines.

pub(crate) mod histogram;
pub(crate) mod metric;
mod throttled;
pub(crate) mod trace;
pub(crate) mod traffic;

pub(crate) use throttled::{Cause, refused, refused_with, undelivered};
