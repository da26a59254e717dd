use serde::Deserialize;
use serde_json::Value;

/// What a test client met instead of what it asked for.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The client was not let in.
    #[error("refused: {code}: {message}")]
    Refused {
        /// The code.
        code: String,
        /// The message; empty where there is none beside the code.
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
    /// Nothing came before the deadline.
    #[error("nothing came in time: {0}")]
    Timeout(String),
    /// Something came that should not have.
    #[error("unexpected: {0}")]
    Unexpected(String),
    /// The connection or the channel has ended.
    #[error("disconnected")]
    Disconnected,
    /// What came does not read as the type asked for.
    #[error("it does not read as asked: {0}")]
    Invalid(String),
}

impl ClientError {
    /// The code of a refusal or an error; empty for the test client's own.
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
        // Most answers are none, and to say so as an error takes longer than the rest of reading them.
        answer.get("error")?;
        let Failure { error } = Failure::deserialize(answer).ok()?;
        Some(Self::Rejected { code: error.code, message: error.message, details: error.details })
    }
}
