//! What the service reports to its operators: metrics, and rate-limited log lines.

pub(crate) mod metric;
mod throttled;

pub(crate) use throttled::{Cause, refused, refused_with, undelivered};
