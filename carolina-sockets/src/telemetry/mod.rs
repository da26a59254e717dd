//! What the service tells those who run it: its metrics, and log lines that an attack cannot multiply.

pub(crate) mod metric;
mod throttled;

pub(crate) use throttled::{Cause, refused, undelivered};
