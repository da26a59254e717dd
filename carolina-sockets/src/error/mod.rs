//! The errors: [`Error`] for the application, [`EventError`] for the client.

pub mod code;
mod event;

use std::{error::Error as StdError, fmt};

pub use event::EventError;

/// The result of everything in this crate that is not an event handler.
pub type Result<T = (), E = Error> = std::result::Result<T, E>;

/// What an error was caused by.
pub(crate) type Source = Box<dyn StdError + Send + Sync>;

/// Why an operation of the library failed.
///
/// `Debug` prints the same text as `Display`, because `fn main() -> carolina_sockets::Result` prints an error
/// with `Debug`. That text names the causes as well; [`source`](StdError::source) has them as errors of their own types, for
/// example of the client library of a database, as far as they are known.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Start-up found mistakes in the channels or the configuration; every one of them is listed.
    #[error("{}", list(.0))]
    Startup(Vec<String>),
    /// The configuration could not be read.
    #[error("{}", list(.0))]
    Config(Vec<String>),
    /// The service could not listen, read a file or use the network.
    #[error("{what}: {source}")]
    Io {
        /// What was tried, with the address or path.
        what: String,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// No channel is mounted at this path.
    #[error("no channel is mounted at `{path}`{}", list_mounted(.mounted))]
    UnknownChannel {
        /// The requested path or driver.
        path: String,
        /// What is mounted.
        mounted: Vec<String>,
    },
    /// Web sockets are switched off (`use_sockets`).
    #[error("web sockets are off: declare a channel, add one under [channels], or set `use_sockets = true`")]
    SocketsOff,
    /// The global service was requested before `serve()` had started it.
    #[error("no service is running: `carolina_sockets::sockets()` works once `carolina_sockets::serve()` has started")]
    NotRunning,
    /// A service is running already in this process under `serve()`.
    #[error(
        "`carolina_sockets::serve()` is running already in this process; embed further services with `Sockets::builder()`"
    )]
    AlreadyRunning,
    /// The socket has been closed.
    #[error("the socket is closed")]
    Closed,
    /// A room is the library's own (rule R30): only the sockets of a session and of a user are in those rooms, which
    /// `user.…`, `session.…` and names that begin with a NUL character are.
    #[error("the room `{room}` is the library's own: {instead}")]
    ReservedRoom {
        /// The room's name; a session's id is left out of it.
        room: String,
        /// What to write instead.
        instead: &'static str,
    },
    /// [`ChannelHandle::at`](crate::ChannelHandle::at) was given values that do not fit the parameters of the channel's path.
    #[error("`{path}` has no such instance: {reason}")]
    #[non_exhaustive]
    Parameters {
        /// The channel's path.
        path: String,
        /// What does not fit.
        reason: String,
    },
    /// An event has a name that Socket.IO's clients use for themselves (rule R30). They would close the connection on
    /// receiving it.
    #[error("the event name `{event}` is reserved by Socket.IO: {instead}")]
    ReservedEvent {
        /// The event's name.
        event: String,
        /// What to write instead.
        instead: &'static str,
    },
    /// A client did not take its messages within `limits.send_timeout`; its socket has been closed.
    #[error("the client did not read its messages within {after:?}; its socket has been closed")]
    SlowReader {
        /// How long was waited.
        after: std::time::Duration,
    },
    /// An entry in a channel's presence was refused (rule R20).
    #[error("presence on `{path}`: {reason}")]
    Presence {
        /// The channel's path.
        path: String,
        /// What is wrong, and what to do instead.
        reason: String,
    },
    /// A value could not be written as a Socket.IO payload.
    #[error("the payload of `{event}` could not be serialized: {reason}")]
    Serialize {
        /// The event it was meant for.
        event: String,
        /// The serializer's error.
        #[source]
        reason: Source,
    },
    /// A client's acknowledgement did not come in time, or could not be read.
    #[error("no acknowledgement: {0}")]
    Acknowledgement(#[source] Source),
    /// A session store failed.
    #[error("session store: {0}")]
    Store(#[source] Source),
    /// The backplane failed; what was meant for this node's own clients has been delivered.
    #[error("backplane: {0}")]
    Backplane(#[source] Source),
    /// A command failed.
    #[error("{0}")]
    Command(String),
    /// A channel's `#[on(init)]` failed.
    #[error("{0}")]
    Init(#[source] Source),
}

impl Error {
    /// A session store failed.
    pub(crate) fn store(source: impl Into<Source>) -> Self {
        Self::Store(source.into())
    }

    /// The backplane failed.
    pub(crate) fn backplane(source: impl Into<Source>) -> Self {
        Self::Backplane(source.into())
    }

    /// A channel's constructor failed.
    pub(crate) fn init(error: EventError) -> Self {
        Self::Init(error.into_cause().into())
    }

    /// An input/output failure with what was being done. Without these features nothing touches files or listens.
    #[cfg(any(feature = "serve", feature = "cli"))]
    pub(crate) fn io(what: impl Into<String>, source: std::io::Error) -> Self {
        Self::Io { what: what.into(), source }
    }
}

/// What to do about a server that a setting names and that could not be reached, or refuses what the setting asks for, to be
/// appended to a message; nothing for other errors.
pub(crate) fn help_to_connect(error: &(dyn StdError + 'static), key: &str) -> String {
    let is_away = |cause: &(dyn StdError + 'static)| {
        cause.is::<std::io::Error>()
            // As the client library of Redis keeps it.
            || cause
                .downcast_ref::<std::sync::Arc<dyn StdError + Send + Sync>>()
                .is_some_and(|inner| inner.is::<std::io::Error>())
            || cause.is::<tokio::time::error::Elapsed>()
    };
    let mut causes = std::iter::successors(Some(error), |&error| error.source());
    let help = match (causes.clone().any(is_away), causes.any(is_refused)) {
        (true, _) => "start that server, or correct",
        (false, true) => "correct",
        (false, false) => return String::new(),
    };
    let variable = key.replace('.', "__").to_uppercase();
    format!("; {help} {key} (CAROLINA_{variable})")
}

/// Whether a server has refused what it was asked for, as for a wrong password or a database that does not exist.
fn is_refused(cause: &(dyn StdError + 'static)) -> bool {
    #[cfg(feature = "redis")]
    if cause.is::<redis::RedisError>() {
        return true;
    }
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    if cause.is::<sqlx::Error>() {
        return true;
    }
    let _ = cause;
    false
}

/// An error with a text of its own, which keeps what caused it.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub(crate) struct Caused {
    text: String,
    source: Source,
}

impl Caused {
    pub(crate) fn new(text: String, source: impl Into<Source>) -> Self {
        Self { text, source: source.into() }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn list(problems: &[String]) -> String {
    match problems {
        [one] => one.clone(),
        many => many.iter().fold(format!("{} problems:", many.len()), |text, problem| {
            format!("{text}\n  - {}", problem.replace('\n', "\n    "))
        }),
    }
}

fn list_mounted(paths: &[String]) -> String {
    match paths {
        [] => String::new(),
        paths => format!("; mounted are: {}", paths.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn refused() -> io::Error {
        io::Error::new(io::ErrorKind::ConnectionRefused, "nobody listens")
    }

    /// The first cause of this type.
    fn cause<T: StdError + 'static>(error: &Error) -> Option<&T> {
        std::iter::successors(error.source(), |&error| error.source()).find_map(|error| error.downcast_ref())
    }

    #[test]
    fn errors_keep_their_sources() {
        let caused = || Caused::new(format!("`redis://:***@host`: {}", refused()), refused());
        for (error, text) in [
            (Error::store(refused()), "session store: nobody listens"),
            (Error::backplane(refused()), "backplane: nobody listens"),
            (Error::store(caused()), "session store: `redis://:***@host`: nobody listens"),
            (Error::backplane(caused()), "backplane: `redis://:***@host`: nobody listens"),
            (Error::init(refused().into()), "nobody listens"),
            (Error::Acknowledgement(refused().into()), "no acknowledgement: nobody listens"),
            (
                Error::Serialize { event: "news".to_owned(), reason: refused().into() },
                "the payload of `news` could not be serialized: nobody listens",
            ),
        ] {
            assert_eq!(error.to_string(), text);
            assert_eq!(format!("{error:?}"), text, "what `main` prints");
            let source = cause::<io::Error>(&error).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(source.kind(), io::ErrorKind::ConnectionRefused);
        }
    }

    #[cfg(feature = "anyhow")]
    #[test]
    fn what_anyhow_adds_is_logged_and_the_source_is_kept() {
        let error = anyhow::Error::from(refused()).context("no list of books");
        assert_eq!(EventError::from(error).internal_text(), "no list of books: nobody listens");
        let init = Error::init(anyhow::Error::from(refused()).into());
        assert_eq!(cause::<io::Error>(&init).unwrap().kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn texts_are_sources_too() {
        let error = Error::backplane("Redis is away");
        assert_eq!(format!("{error:?}"), "backplane: Redis is away");
        assert_eq!(error.source().unwrap().to_string(), "Redis is away");
    }

    #[test]
    fn the_log_names_each_cause_once() {
        let error = Error::store(Caused::new(format!("`redis://host`: {}", refused()), refused()));
        assert_eq!(EventError::from(error).internal_text(), "session store: `redis://host`: nobody listens");
    }
}
