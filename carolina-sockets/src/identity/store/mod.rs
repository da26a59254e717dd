//! The session stores, and notifications about changed sessions.

mod connect;
mod lifetime;
mod memory;
mod notifying;
#[cfg(feature = "redis")]
mod redis;
mod scope;
#[cfg(all(test, any(feature = "sqlite", feature = "redis", feature = "postgres")))]
mod server_tests;
#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc};

use tower_sessions::{
    SessionStore,
    session::{Id, Record},
};

pub(crate) use lifetime::{LIFETIME_KEY, Lifetime};
pub(crate) use notifying::{NotifyingStore, Version};
pub(crate) use scope::RequestScope;

/// A session store of any kind: the one that `session.store` names, or the application's own.
#[derive(Clone)]
pub(crate) struct SharedStore(Arc<dyn SessionStore>);

impl SharedStore {
    /// A store whose expired sessions are not deleted by this library.
    pub(crate) fn new(store: impl SessionStore) -> Self {
        Self(Arc::new(store))
    }
}

impl fmt::Debug for SharedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedStore")
    }
}

/// A change of a session that the store has accepted.
#[derive(Clone, PartialEq)]
pub(crate) enum Change {
    /// It was created, modified or prolonged.
    Saved(Record),
    /// It has ended.
    Ended(Id),
    /// It got a new id, as after a log-in that renews the id against session fixation.
    Moved { from: Id, to: Id },
}

impl Change {
    /// The changed session.
    pub(crate) fn id(&self) -> Id {
        match self {
            Self::Saved(record) => record.id,
            Self::Ended(id) | Self::Moved { from: id, .. } => *id,
        }
    }
}

impl fmt::Debug for Change {
    /// Without ids and data, which are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Saved(_) => "Saved(***)",
            Self::Ended(_) => "Ended(***)",
            Self::Moved { .. } => "Moved(***)",
        })
    }
}
