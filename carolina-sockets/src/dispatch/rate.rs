//! Refuses events that come too fast (rule R14): for their client, or for their handler.

use std::sync::Arc;

use super::table::Handler;
use crate::{
    core::SocketState,
    engine::EventPayload,
    error::{EventError, code},
    telemetry::{Cause, refused_with},
};

/// Counts an event against its client's rate, `limits.events_per_second`.
///
/// # Errors
///
/// `rate_limited`, with the time to wait.
pub(super) fn count(socket: &Arc<SocketState>, payload: &EventPayload) -> Result<(), EventError> {
    socket.client.count_event().map_err(|retry_after| {
        let limit = || format!("limits.events_per_second = {}", socket.channel.limits.events_per_second);
        rate_limited(socket, payload.event_name().unwrap_or_default(), retry_after, limit)
    })
}

/// Counts an event against its handler's rate, `#[on(…, rate = "…")]`.
///
/// # Errors
///
/// `rate_limited`, with the time to wait.
pub(super) fn count_for(socket: &Arc<SocketState>, handler: &Handler, event: &str) -> Result<(), EventError> {
    let Some(limiter) = handler.limiter else { return Ok(()) };
    let limit = || "the handler's `rate`".to_owned();
    socket.count_event(limiter).map_err(|retry_after| rate_limited(socket, event, retry_after, limit))
}

fn rate_limited(socket: &Arc<SocketState>, event: &str, retry_after: u64, limit: impl Fn() -> String) -> EventError {
    refused_with(Cause::RateLimited, || {
        let event: String = event.chars().take(64).collect();
        let (channel, address) = (&socket.channel.path, socket.client.address());
        format!("the event `{}` on `{channel}` from {address}: more than {}", event.escape_debug(), limit())
    });
    EventError::new(code::RATE_LIMITED, format!("too many events; try again in {retry_after} ms"))
        .details(serde_json::json!({ "retry_after_ms": retry_after }))
}
