use std::{borrow::Cow, error::Error as StdError, fmt};

use serde::{Serialize, Serializer, ser::SerializeStruct};
use serde_json::Value;

use super::{Caused, Source, code};

/// The error that a client receives when its event fails or it is not allowed to join a channel (rules R7 and R8).
///
/// A handler fails on purpose with [`EventError::new`]; the client receives code, message and details as they are. Any
/// [`std::error::Error`] converts into an `EventError` by `?` with the code `internal`: its text goes to the log, the
/// client receives a reference only. So does `anyhow::Error` with the feature `anyhow`; [`EventError::internal`] converts
/// boxed errors and others that do not implement that trait.
///
/// ```
/// use carolina_sockets::EventError;
///
/// let error = EventError::new("sold_out", "no seats are left").details(serde_json::json!({ "waiting": 12 }));
/// assert_eq!(error.code(), "sold_out");
///
/// // What the client receives:
/// let body = serde_json::json!({ "code": "sold_out", "message": "no seats are left", "details": { "waiting": 12 } });
/// assert_eq!(serde_json::to_value(&error).unwrap(), body);
/// ```
///
#[cfg_attr(feature = "anyhow", doc = include_str!("anyhow.md"))]
/// It does not implement [`std::error::Error`] itself, since every type that does converts into it.
pub struct EventError {
    code: Cow<'static, str>,
    message: Cow<'static, str>,
    details: Option<Value>,
    source: Option<Source>,
    /// The message adds nothing to the code.
    plain: bool,
}

impl EventError {
    /// An error with a code for programs and a message for people. The library's own codes are those
    /// of [`code`]; all others are the application's.
    pub fn new(code: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code: code.into(), message: message.into(), details: None, source: None, plain: false }
    }

    /// Adds details for the client: anything that serializes. A value that does not serialize is left out and
    /// logged.
    #[must_use]
    pub fn details(mut self, details: impl Serialize) -> Self {
        match serde_json::to_value(details) {
            Ok(value) => self.details = Some(value),
            Err(error) => tracing::error!(code = %self.code, %error, "the details of an event error do not serialize"),
        }
        self
    }

    /// The code, for programs: one of [`code`], or the application's.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The message, for people.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The details, if there are any.
    pub fn details_value(&self) -> Option<&Value> {
        self.details.as_ref()
    }

    /// `forbidden`.
    pub(crate) fn forbidden() -> Self {
        Self { plain: true, ..Self::new(code::FORBIDDEN, "you may not do this") }
    }

    /// `unauthenticated`.
    pub(crate) fn unauthenticated() -> Self {
        Self { plain: true, ..Self::new(code::UNAUTHENTICATED, "log in first") }
    }

    /// `invalid_payload`, with the JSON path of the fault and what was expected there.
    pub(crate) fn invalid_payload(path: &str, expected: &str) -> Self {
        Self::new(code::INVALID_PAYLOAD, format!("invalid payload at `{path}`: {expected}"))
            .details(serde_json::json!({ "path": path, "expected": expected }))
    }

    /// `internal`, from a cause that is only logged: a text, or an error that does not implement [`std::error::Error`]
    /// and so does not convert by `?`, such as boxed errors, and `anyhow::Error` without the feature `anyhow`.
    ///
    /// ```
    /// use carolina_sockets::EventError;
    ///
    /// fn books() -> Result<u32, Box<dyn std::error::Error + Send + Sync>> {
    ///     Ok("12".parse()?)
    /// }
    ///
    /// fn handler() -> Result<u32, EventError> {
    ///     Ok(books().map_err(EventError::internal)?)
    /// }
    /// # assert_eq!(handler().unwrap(), 12);
    /// ```
    pub fn internal(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { source: Some(cause.into()), ..Self::new(code::INTERNAL, MESSAGE) }
    }

    /// The text for the log: the hidden cause, if there is one.
    pub(crate) fn internal_text(&self) -> String {
        match &self.source {
            None => format!("{}: {}", self.code, self.message),
            Some(source) => {
                let mut text = source.to_string();
                let mut cause = source.source();
                while let Some(next) = cause {
                    let reason = next.to_string();
                    // Many an error's text ends with that of its cause.
                    if !text.ends_with(&reason) {
                        text = format!("{text}: {reason}");
                    }
                    cause = next.source();
                }
                text
            }
        }
    }

    /// The same as an error that keeps the hidden cause.
    pub(crate) fn into_cause(self) -> Caused {
        let text = self.internal_text();
        let source = self.source.unwrap_or_else(|| self.message.into_owned().into());
        Caused::new(text, source)
    }

    /// Whether the message adds nothing to the code.
    pub(crate) fn is_plain(&self) -> bool {
        self.plain
    }

    /// Whether the cause must not reach the client.
    pub(crate) fn is_hidden(&self) -> bool {
        self.source.is_some()
    }

    /// Adds the reference of the log entry to a hidden error.
    pub(crate) fn with_reference(mut self, reference: &str) -> Self {
        self.details = Some(serde_json::json!({ "reference": reference }));
        self
    }
}

/// The message that replaces a hidden error's.
const MESSAGE: &str = "something went wrong on the server";

#[cfg(not(feature = "anyhow"))]
impl<E: StdError + Send + Sync + 'static> From<E> for EventError {
    fn from(error: E) -> Self {
        Self::internal(error)
    }
}

/// `anyhow::Error` itself, and all that converts into it, as every [`std::error::Error`] does. A second impl for
/// `anyhow::Error` alone is not possible, since `anyhow` might make it such an error one day.
#[cfg(feature = "anyhow")]
impl<E: Into<anyhow::Error>> From<E> for EventError {
    fn from(error: E) -> Self {
        // So that the log and `source()` find the original error.
        Self::internal(error.into().reallocate_into_boxed_dyn_error_without_backtrace())
    }
}

impl Serialize for EventError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut body = serializer.serialize_struct("EventError", 2 + usize::from(self.details.is_some()))?;
        body.serialize_field("code", &self.code)?;
        body.serialize_field("message", &self.message)?;
        if let Some(details) = &self.details {
            body.serialize_field("details", details)?;
        }
        body.end()
    }
}

impl fmt::Display for EventError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl fmt::Debug for EventError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventError")
            .field("code", &self.code)
            .field("message", &self.message)
            .field("details", &self.details)
            .field("source", &self.source)
            .finish()
    }
}
