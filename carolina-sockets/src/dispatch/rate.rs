//! Refuses events that come too fast (rule R14): for their client, or for their handler.

use std::sync::Arc;

use super::table::Handler;
use crate::{
    core::SocketState,
    error::{EventError, code},
    telemetry::{Cause, refused},
};

/// Counts an event against its client's rate, `limits.events_per_second`.
///
/// # Errors
///
/// `rate_limited`, with the time to wait.
pub(super) fn count(socket: &Arc<SocketState>) -> Result<(), EventError> {
    socket.client.count_event().map_err(rate_limited)
}

/// Counts an event against its handler's rate, `#[on(…, rate = "…")]`.
///
/// # Errors
///
/// `rate_limited`, with the time to wait.
pub(super) fn count_for(socket: &Arc<SocketState>, handler: &Handler) -> Result<(), EventError> {
    handler.limiter.map_or(Ok(()), |limiter| socket.count_event(limiter).map_err(rate_limited))
}

fn rate_limited(retry_after: u64) -> EventError {
    refused(Cause::RateLimited, "an event: its socket sends too many");
    EventError::new(code::RATE_LIMITED, format!("too many events; try again in {retry_after} ms"))
        .details(serde_json::json!({ "retry_after_ms": retry_after }))
}
