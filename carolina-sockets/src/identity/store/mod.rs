//! Where sessions are kept, and who is told when one changes.

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

use std::{fmt, net::IpAddr, sync::Arc};

use tower_sessions::{
    SessionStore,
    session::{Id, Record},
};

pub(crate) use lifetime::{LIFETIME_KEY, Lifetime};
pub(crate) use notifying::{NotifyingStore, Version};
pub(crate) use scope::RequestScope;

/// A session store of whatever kind: the one that `session.store` names, or the application's own.
#[derive(Clone)]
pub(crate) struct SharedStore(Arc<dyn SessionStore>);

impl SharedStore {
    /// A store that deletes expired sessions by itself, or leaves that to somebody else.
    pub(crate) fn new(store: impl SessionStore) -> Self {
        Self(Arc::new(store))
    }
}

impl fmt::Debug for SharedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedStore")
    }
}

/// What has happened to a session, once the store has it.
#[derive(Clone, PartialEq)]
pub(crate) enum Change {
    /// It is new, or holds something else, or lives longer.
    Saved(Record),
    /// It is no more.
    Ended(Id),
    /// It goes on under another id, as it does when a log-in renews the id against fixation.
    Moved {
        from: Id,
        to: Record,
        /// The address of the client that did it, if known. Whoever holds the old cookie is not for that the one who
        /// logged in: an attacker may have planted it in the victim's browser and keep a socket open with it.
        by: Option<IpAddr>,
    },
}

impl Change {
    /// The session that it happened to.
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
