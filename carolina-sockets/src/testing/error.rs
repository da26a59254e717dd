use serde::Deserialize;
use serde_json::Value;

/// Why a test client did not get what it asked for.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The client was not let in (rules R12 and R14).
    #[error("refused: {code}: {message}")]
    Refused {
        /// The code; see [`error::code`](crate::error::code).
        code: String,
        /// The message; empty if there is only a code.
        message: String,
    },
    /// The event was answered with an error (rule R7).
    #[error("{code}: {message}")]
    Rejected {
        /// The code.
        code: String,
        /// The message.
        message: String,
        /// The details, if there are any.
        details: Option<Value>,
    },
    /// Nothing arrived before the deadline.
    #[error("nothing came in time: {0}")]
    Timeout(String),
    /// Something arrived that should not have.
    #[error("unexpected: {0}")]
    Unexpected(String),
    /// The connection or the channel has ended.
    #[error("disconnected")]
    Disconnected,
    /// The data does not deserialize into the requested type.
    #[error("it does not read as asked: {0}")]
    Invalid(String),
}

impl ClientError {
    /// The code of a refusal or an error; empty for errors of the test client itself.
    pub fn code(&self) -> &str {
        match self {
            Self::Refused { code, .. } | Self::Rejected { code, .. } => code,
            _ => "",
        }
    }

    /// The details of an error.
    pub fn details(&self) -> Option<&Value> {
        match self {
            Self::Rejected { details, .. } => details.as_ref(),
            _ => None,
        }
    }

    /// A `connect_error`'s text: a code, or `code: message`.
    pub(super) fn refused(text: &str) -> Self {
        let (code, message) = text.split_once(": ").unwrap_or((text, ""));
        Self::Refused { code: code.to_owned(), message: message.to_owned() }
    }

    /// The error in an acknowledgement's first argument, if it is one.
    pub(super) fn in_answer(answer: &Value) -> Option<Self> {
        #[derive(Deserialize)]
        struct Failure {
            error: Body,
        }
        #[derive(Deserialize)]
        struct Body {
            code: String,
            message: String,
            details: Option<Value>,
        }
        // Most answers are not errors, and failing to deserialize them would dominate the time to read them.
        answer.get("error")?;
        let Failure { error } = Failure::deserialize(answer).ok()?;
        Some(Self::Rejected { code: error.code, message: error.message, details: error.details })
    }
}
