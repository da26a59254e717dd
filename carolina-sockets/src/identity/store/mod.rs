//! Where sessions are kept, and who is told when one changes.

mod lifetime;
mod memory;
mod open;
mod scope;
mod watched;

use std::{fmt, sync::Arc};

use tower_sessions::{SessionStore, session::Id};

pub(crate) use lifetime::{LIFETIME_KEY, Lifetime};
pub(crate) use scope::RequestScope;
pub(crate) use watched::WatchedStore;

use open::Sweeper;

/// A session store of whatever kind: the one that `session.store` names, or the application's own.
#[derive(Clone)]
pub(crate) struct SharedStore {
    store: Arc<dyn SessionStore>,
    /// Deletes what has expired, where the store does not do so by itself.
    _sweeper: Option<Arc<Sweeper>>,
}

impl SharedStore {
    /// The application's own store. Expired sessions are its own business.
    pub(crate) fn new(store: impl SessionStore) -> Self {
        Self { store: Arc::new(store), _sweeper: None }
    }
}

impl fmt::Debug for SharedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedStore")
    }
}

/// What has happened to a session, after the store has it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum SessionEvent {
    /// It is new, or holds something else, or lives longer.
    Changed(Id),
    /// It is no more.
    Ended(Id),
    /// One request ended the first and began the second in its place, as `cycle_id` does.
    ///
    /// The one who holds the old cookie is not for that the owner of the new session: an attacker may have planted it
    /// in the victim's browser and keep a socket open with it (session fixation). Only what the browser brings next,
    /// the new cookie, tells them apart.
    Moved {
        /// The session that is no more.
        from: Id,
        /// The session in its place.
        to: Id,
    },
}

impl fmt::Debug for SessionEvent {
    /// Without the ids, which are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Changed(_) => "Changed(***)",
            Self::Ended(_) => "Ended(***)",
            Self::Moved { .. } => "Moved { from: ***, to: *** }",
        })
    }
}

/// Whoever wants to know what happens to sessions. It is called from within the store's operations and must not
/// wait.
pub(crate) type EventSink = Arc<dyn Fn(SessionEvent) + Send + Sync>;
