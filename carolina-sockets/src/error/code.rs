//! The codes of the library's own errors, to match on (rule R8). All others are the application's.

/// The payload does not match the handler's type. Details: `path`, the JSON path of the error, and `expected`.
pub const INVALID_PAYLOAD: &str = "invalid_payload";
/// The channel has no handler for the event.
pub const UNKNOWN_EVENT: &str = "unknown_event";
/// The event or the channel requires a user, and there is none.
pub const UNAUTHENTICATED: &str = "unauthenticated";
/// The client may not do this.
pub const FORBIDDEN: &str = "forbidden";
/// The client exceeded its rate limit. Details: `retry_after_ms`.
pub const RATE_LIMITED: &str = "rate_limited";
/// The server, or the socket's queue, is full.
pub const OVERLOADED: &str = "overloaded";
/// The handler, or a kept acknowledgement, exceeded its timeout.
pub const TIMEOUT: &str = "timeout";
/// An error whose cause is only logged. Details: `reference`, which the log entry has as well.
pub const INTERNAL: &str = "internal";

/// All of them.
const ALL: [&str; 8] =
    [INVALID_PAYLOAD, UNKNOWN_EVENT, UNAUTHENTICATED, FORBIDDEN, RATE_LIMITED, OVERLOADED, TIMEOUT, INTERNAL];

/// The code as a metrics label: all of the application's own codes share one, to bound the number of labels.
pub(crate) fn for_metrics(code: &str) -> &'static str {
    ALL.into_iter().find(|known| *known == code).unwrap_or("application")
}
