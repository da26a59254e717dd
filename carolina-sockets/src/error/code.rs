//! The codes of the library's own errors, to match on (rule R8).
//!
//! A client reads a code in the error that an event is answered with, in the events `exception` and `carolina:closed`, in
//! `connect_error`, and, where a request is refused before there is a connection, in the JSON of the HTTP response. All other codes are the application's,
//! by [`EventError::new`](super::EventError::new), which takes these constants too:
//!
//! ```
//! use carolina_sockets::{EventError, error::code};
//!
//! fn check(age: u8) -> Result<(), EventError> {
//!     if age < 18 {
//!         return Err(EventError::new(code::FORBIDDEN, "for adults only"));
//!     }
//!     Ok(())
//! }
//!
//! assert_eq!(check(7).unwrap_err().code(), code::FORBIDDEN);
//! ```

/// The payload is malformed or not what the handler takes. Details: `path`, the JSON path of the error within the event's
/// arguments, and `expected`, what should have been there.
pub const INVALID_PAYLOAD: &str = "invalid_payload";
/// The channel has no handler for the event.
pub const UNKNOWN_EVENT: &str = "unknown_event";
/// The event or the channel needs a user, and the socket has none; or the client's token or session is not valid.
/// Details, for tokens: `reason`.
pub const UNAUTHENTICATED: &str = "unauthenticated";
/// The client may not do this, or its page is of an origin that may not connect.
pub const FORBIDDEN: &str = "forbidden";
/// More events than `limits.events_per_second` or the handler's `rate` allows. Details: `retry_after_ms`, in milliseconds.
pub const RATE_LIMITED: &str = "rate_limited";
/// The server has as many connections, or the client as many waiting events or bytes of them, as the limits allow.
pub const OVERLOADED: &str = "overloaded";
/// The server is shutting down: it takes no more clients and events. Handlers that run already still answer. In an HTTP response with
/// status 503, and in the event `carolina:closed` before the connection is closed.
pub const SHUTTING_DOWN: &str = "shutting_down";
/// The handler, or an acknowledgement that it has kept, took longer than its `timeout` or `limits.handler_timeout`.
/// As the body of an HTTP response with status 408: a polling request's body took longer than `limits.body_timeout`.
pub const TIMEOUT: &str = "timeout";
/// The server failed: an error that was not meant for clients, or a panic. Details: `reference`, by which the log line with the
/// cause can be found.
pub const INTERNAL: &str = "internal";
/// An event has more bytes than `limits.max_payload` or more attachments than `limits.max_attachments`, or a handshake has more than
/// `limits.header_bytes`. Details, for events: `setting`, the limit's key, `actual` and `allowed`, in bytes or attachments.
///
/// Also in `connect_error`, in an HTTP response (status 413 or 431), and in the reason of a WebSocket that is closed with status 1009, as
/// `payload_too_large: …`: for a message that is no event, or exceeds the limit by more than 64 MiB.
pub const PAYLOAD_TOO_LARGE: &str = "payload_too_large";
/// A request that cannot be read, as one for which a trusted proxy forwards no readable address. In an HTTP response with status 400.
pub const BAD_REQUEST: &str = "bad_request";
/// The application has removed the client from the channel: the event `carolina:closed` before a disconnect.
pub const REMOVED: &str = "removed";
/// A parameter of the channel's path is not what its handlers take. In `connect_error`, with the parameter's name, its value and what was
/// expected, which are also its details.
pub const INVALID_PATH: &str = "invalid_path";
/// The connection has as many channels with parameters open as `limits.channels_per_connection` allows. In `connect_error`.
pub const TOO_MANY_CHANNELS: &str = "too_many_channels";

/// The server cannot do it at present: another node or a server that it needs is out of reach. In an HTTP response with status 503.
pub const UNAVAILABLE: &str = "unavailable";

/// All of them.
const ALL: [&str; 15] = [
    INVALID_PAYLOAD,
    UNKNOWN_EVENT,
    UNAUTHENTICATED,
    FORBIDDEN,
    RATE_LIMITED,
    OVERLOADED,
    SHUTTING_DOWN,
    TIMEOUT,
    INTERNAL,
    PAYLOAD_TOO_LARGE,
    BAD_REQUEST,
    REMOVED,
    UNAVAILABLE,
    INVALID_PATH,
    TOO_MANY_CHANNELS,
];

/// The code as a metrics label: all of the application's own codes share one, to bound the number of labels.
pub(crate) fn for_metrics(code: &str) -> &'static str {
    ALL.into_iter().find(|known| *known == code).unwrap_or("application")
}
