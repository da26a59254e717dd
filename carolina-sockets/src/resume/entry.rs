use std::{collections::HashSet, sync::Arc, time::SystemTime};

use tokio::time::Instant;

use crate::engine::{EncodedPayload, Recipients};

/// An event that was sent, and to whom.
pub(super) struct Entry {
    pub(super) number: u64,
    pub(super) at: Instant,
    pub(super) time: SystemTime,
    pub(super) audience: Audience,
    /// With the offset.
    pub(super) payload: EncodedPayload,
    pub(super) bytes: usize,
}

/// Whom an event was for.
pub(super) enum Audience {
    /// One client, by its `pid`.
    One(Arc<str>),
    Rooms {
        /// Everybody where none is named.
        to: Box<[String]>,
        except: Box<[String]>,
        /// The `pid` of the client that has caused it.
        but: Option<Arc<str>>,
    },
}

impl Audience {
    pub(super) fn of(recipients: &Recipients, but: Option<Arc<str>>) -> Self {
        let (to, except) = recipients.rooms();
        // Those of the engine say how sockets are served at this moment.
        let except = except.filter(|room| !room.starts_with('\0'));
        Self::Rooms { to: to.map(str::to_owned).collect(), except: except.map(str::to_owned).collect(), but }
    }

    /// Whether it is for the client with this `pid`, in these rooms.
    pub(super) fn has(&self, pid: &Arc<str>, rooms: &HashSet<String>) -> bool {
        match self {
            Self::One(one) => one == pid,
            Self::Rooms { to, except, but } => {
                but.as_ref() != Some(pid)
                    && (to.is_empty() || to.iter().any(|room| rooms.contains(room)))
                    && !except.iter().any(|room| rooms.contains(room))
            }
        }
    }

    /// The bytes that its names take.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::One(_) => 0,
            Self::Rooms { to, except, .. } => to.iter().chain(except).map(String::len).sum(),
        }
    }
}
