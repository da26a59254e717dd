//! Spans: one per event and one per connection to a channel, with OpenTelemetry's messaging attributes (rule R26).
//!
//! They have the level `DEBUG`, so that a log at `info` does not pay for them. Without a subscriber that takes them, an event
//! costs one comparison.
//!
//! A client hands over its own span as a `traceparent` of W3C's Trace Context: in `auth` for the connection, and in a last
//! argument of its own for an event, which is taken off before anybody reads the arguments.

use std::fmt;

use parking_lot::Mutex;
use tracing::{Level, Span, field::Empty, level_filters::LevelFilter};

/// What stands in front of the value in the text of an event's last argument, and behind it.
const BEFORE: &[u8] = br#",{"carolina:traceparent":""#;
const AFTER: &[u8] = br#""}]"#;
/// The length of a `traceparent` of version 00.
const LENGTH: usize = 55;

/// A span of a client: `00-TRACE-SPAN-FLAGS`, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Traceparent(Box<[u8; LENGTH]>);

impl Traceparent {
    /// `None` for text that is not one of version 00.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let value: &[u8; LENGTH] = text.try_into().ok()?;
        let is_hex =
            |range: std::ops::Range<usize>| value[range].iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let is_zero = |range: std::ops::Range<usize>| value[range].iter().all(|byte| *byte == b'0');
        let is_shaped = value.starts_with(b"00-") && value[35] == b'-' && value[52] == b'-';
        let is_valid = is_shaped && is_hex(3..35) && is_hex(36..52) && is_hex(53..55);
        (is_valid && !is_zero(3..35) && !is_zero(36..52)).then(|| Self(Box::new(*value)))
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&*self.0).unwrap_or_default()
    }
}

/// Takes the client's span off the text of an event's arguments: where the argument begins that has it, and what it says.
/// `None` for an event without one, which is most of them.
pub(crate) fn split(text: &str) -> Option<(usize, Option<Traceparent>)> {
    let begin = text.len().checked_sub(BEFORE.len() + LENGTH + AFTER.len())?;
    let value = text.as_bytes()[begin..].strip_suffix(AFTER)?.strip_prefix(BEFORE)?;
    Some((begin, Traceparent::parse(value)))
}

/// Whether a subscriber may take spans.
pub(crate) fn is_on() -> bool {
    LevelFilter::current() >= Level::DEBUG
}

/// What is said of an event.
pub(crate) struct Event<'a> {
    /// The path as it is declared.
    pub(crate) label: &'a str,
    pub(crate) path: &'a str,
    pub(crate) socket: &'a dyn fmt::Display,
    pub(crate) event: &'a str,
    /// Whether the application declares the name; otherwise it is the client's, and names no span.
    pub(crate) is_declared: bool,
    pub(crate) bytes: usize,
    pub(crate) parent: Option<&'a Traceparent>,
    pub(crate) connection: &'a Connection,
}

impl Event<'_> {
    /// Begins the span, linked to the connection's.
    pub(crate) fn begin(self) -> Span {
        let name = if self.is_declared { self.event } else { "*" };
        // An event of `#[on(any)]` is called as the client likes.
        let event: String = self.event.chars().take(64).collect();
        let span = tracing::debug_span!(
            parent: None,
            "event",
            otel.name = format_args!("{} {name}", self.label),
            otel.kind = "consumer",
            otel.status_code = Empty,
            messaging.system = "socket.io",
            messaging.operation.name = "process",
            "messaging.operation.type" = "process",
            messaging.destination.name = self.path,
            messaging.destination.template = self.label,
            messaging.client.id = %self.socket,
            messaging.message.body.size = self.bytes,
            carolina.event = event,
            "error.type" = Empty,
            traceparent = Empty,
        );
        set_parent(&span, self.parent);
        if let Some(connection) = &*self.connection.0.lock() {
            span.follows_from(connection.id());
        }
        span
    }
}

/// The event whose span this is has failed with this code.
pub(crate) fn failed(code: &str) {
    if is_on() {
        let span = Span::current();
        span.record("error.type", code);
        span.record("otel.status_code", "ERROR");
    }
}

/// The span of a socket on a channel, from its admission until it leaves.
#[derive(Default)]
pub(crate) struct Connection(Mutex<Option<Box<Span>>>);

impl Connection {
    /// Begins it, if a subscriber takes it.
    pub(crate) fn begin(
        label: &str,
        path: &str,
        socket: &dyn fmt::Display,
        parent: impl FnOnce() -> Option<Traceparent>,
    ) -> Self {
        if !is_on() {
            return Self::default();
        }
        let span = tracing::debug_span!(
            parent: None,
            "connection",
            otel.name = format_args!("{label} connection"),
            otel.kind = "server",
            messaging.system = "socket.io",
            messaging.destination.name = path,
            messaging.destination.template = label,
            messaging.client.id = %socket,
            carolina.reason = Empty,
            traceparent = Empty,
        );
        if span.is_disabled() {
            return Self::default();
        }
        set_parent(&span, parent().as_ref());
        Self(Mutex::new(Some(Box::new(span))))
    }

    /// The span, for what runs in it; one that is disabled if there is none.
    pub(crate) fn span(&self) -> Span {
        self.0.lock().as_deref().cloned().unwrap_or_else(Span::none)
    }

    /// The socket has left.
    pub(crate) fn end(&self, reason: &dyn fmt::Display) {
        if let Some(span) = self.0.lock().take() {
            span.record("carolina.reason", tracing::field::display(reason));
        }
    }
}

/// Makes the client's span the parent of one of ours, which has not been entered yet. Subscribers that know nothing of remote spans
/// have it as a field.
fn set_parent(span: &Span, parent: Option<&Traceparent>) {
    let Some(parent) = parent else { return };
    span.record("traceparent", parent.text());
    #[cfg(feature = "otlp")]
    remote::set_parent(span, parent);
}

#[cfg(feature = "otlp")]
mod remote {
    use opentelemetry::{
        Context, SpanId, TraceFlags, TraceId,
        trace::{SpanContext, TraceContextExt, TraceState},
    };
    use tracing::Span;
    use tracing_opentelemetry::OpenTelemetrySpanExt;

    use super::Traceparent;

    pub(super) fn set_parent(span: &Span, parent: &Traceparent) {
        let text = parent.text();
        let (Ok(trace), Ok(id), Ok(flags)) =
            (TraceId::from_hex(&text[3..35]), SpanId::from_hex(&text[36..52]), u8::from_str_radix(&text[53..], 16))
        else {
            return;
        };
        let flags = TraceFlags::new(flags) & TraceFlags::SAMPLED;
        let remote = SpanContext::new(trace, id, flags, true, TraceState::NONE);
        // It fails where the subscriber has no layer for OpenTelemetry, which then has the field.
        let _ = span.set_parent(Context::new().with_remote_span_context(remote));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn r26_the_argument_with_the_clients_span_is_found_at_the_end_alone() {
        let text = format!(r#"["say",{{"text":"hi"}},{{"carolina:traceparent":"{VALUE}"}}]"#);
        let (begin, parent) = split(&text).unwrap();
        assert_eq!(&text[..begin], r#"["say",{"text":"hi"}"#);
        assert_eq!(parent.unwrap().text(), VALUE);
        for other in [
            r#"["say"]"#.to_owned(),
            format!(r#"["say",{{"carolina:traceparent":"{VALUE}"}},1]"#),
            format!(r#"["say",{{"carolina:traceparent":"{VALUE}","more":1}}]"#),
            format!(r#"["say",{{"traceparent":"{VALUE}"}}]"#),
        ] {
            assert_eq!(split(&other), None, "{other}");
        }
    }

    #[test]
    fn r26_a_value_that_is_no_traceparent_is_no_parent() {
        for wrong in [
            VALUE.replace("00-4", "01-4"),
            VALUE.to_uppercase(),
            VALUE.replace("00f067aa0ba902b7", "0000000000000000"),
            VALUE.replace("4bf92f3577b34da6a3ce929d0e0e4736", "00000000000000000000000000000000"),
            VALUE.replace('-', "_"),
            VALUE[1..].to_owned(),
        ] {
            assert_eq!(Traceparent::parse(wrong.as_bytes()), None, "{wrong}");
        }
        let text = format!(r#"["say",{{"carolina:traceparent":"{}"}}]"#, VALUE.to_uppercase());
        assert_eq!(split(&text), Some((r#"["say""#.len(), None)), "it is taken off all the same");
    }
}
