//! The codes of the library's own errors, to match on (rule R8). All others are the application's.

/// The payload does not fit. Details: `path`, the JSON path of the fault, and `expected`.
pub const INVALID_PAYLOAD: &str = "invalid_payload";
/// The channel has no handler for the event.
pub const UNKNOWN_EVENT: &str = "unknown_event";
/// There is no user, and the event or the channel asks for one.
pub const UNAUTHENTICATED: &str = "unauthenticated";
/// The client may not do this.
pub const FORBIDDEN: &str = "forbidden";
/// More events than the limit allows. Details: `retry_after_ms`.
pub const RATE_LIMITED: &str = "rate_limited";
/// The server, or the socket's queue, is full.
pub const OVERLOADED: &str = "overloaded";
/// The handler, or a kept acknowledgement, was not done in time.
pub const TIMEOUT: &str = "timeout";
/// Something that is for the log alone. Details: `reference`, under which the log has it.
pub const INTERNAL: &str = "internal";

/// All of them.
const ALL: [&str; 8] =
    [INVALID_PAYLOAD, UNKNOWN_EVENT, UNAUTHENTICATED, FORBIDDEN, RATE_LIMITED, OVERLOADED, TIMEOUT, INTERNAL];

/// The code as metrics have it: the application's own are counted as one, so that their number does not matter there.
pub(crate) fn for_metrics(code: &str) -> &'static str {
    ALL.into_iter().find(|known| *known == code).unwrap_or("application")
}
