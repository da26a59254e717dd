//! The sessions of clients, by which they resume: whom they belong to, and what is kept of one while its client is disconnected. As in Socket.IO's Connection
//! State Recovery, a session lasts over several connections and is known by its `pid`. It is not the session of [`identity`](crate::identity).

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::SystemTime,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::gap::Gap;
use crate::engine::{SocketId, WeakEngineSocket};

/// Whom a `pid` belongs to: the session of a log-in and a user, where there are any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) session: Option<String>,
    pub(crate) user: Option<String>,
}

impl Owner {
    /// Identifies it without the id of its session, which is a secret.
    pub(super) fn digest(&self) -> String {
        let mut digest = Sha256::new();
        for part in [&self.session, &self.user] {
            digest.update([u8::from(part.is_some())]);
            digest.update((part.as_ref().map_or(0, String::len) as u64).to_be_bytes());
            digest.update(part.as_deref().unwrap_or_default());
        }
        URL_SAFE_NO_PAD.encode(digest.finalize())
    }
}

/// The session of a client on a channel.
pub(super) struct Session {
    pub(super) owner: Owner,
    /// The number of the last event when it began: nothing before is for it.
    pub(super) start: u64,
    /// The gap that its client was to be told when it began. It may not have received that until it knows a number from then.
    pub(super) gap: Option<Gap>,
    pub(super) connection: ConnectionState,
    /// The index of the epoch that `start` is in.
    pub(super) epoch_index: u64,
    /// How often it has moved from one node to another. The server refuses what a node writes with a smaller number.
    pub(super) claim: u64,
    /// The node that it was on when it was last there.
    pub(super) node: u64,
}

/// A session as the server between the nodes stores it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SessionRecord {
    /// The digest of its owner.
    pub(super) owner: String,
    pub(super) epoch: String,
    pub(super) start: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) gap: Option<Gap>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) rooms: Vec<String>,
    /// When its client was disconnected, if it is.
    #[serde(rename = "away", default, skip_serializing_if = "Option::is_none")]
    pub(super) disconnected_at: Option<u64>,
    #[serde(rename = "at")]
    pub(super) written_at: u64,
    /// It may no longer be on the channel.
    #[serde(rename = "refused", default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) revoked: bool,
}

/// Whether a client is connected to this node.
pub(super) enum ConnectionState {
    Connected {
        id: SocketId,
        raw: WeakEngineSocket,
        /// What it resumes, until it has all that it missed: its connection may be lost before.
        resuming: Option<Disconnected>,
    },
    Disconnected(Disconnected),
    /// It may no longer be on the channel, and cannot resume.
    Revoked {
        since: Instant,
        time: SystemTime,
        _slot: Slot,
    },
}

/// A client whose connection was lost, and that may come back.
pub(super) struct Disconnected {
    pub(super) since: Instant,
    pub(super) time: SystemTime,
    pub(super) rooms: HashSet<String>,
    pub(super) on_expiry: Option<ExpiryCallback>,
    /// `None` until its former socket has left.
    pub(super) slot: Option<Slot>,
}

/// What is called when a client has not come back in time.
pub(super) type ExpiryCallback = Box<dyn FnOnce() + Send>;

/// Limits how many disconnected clients are kept, on all channels together.
#[derive(Clone)]
pub(super) struct Slots {
    taken: Arc<AtomicUsize>,
    most: usize,
}

/// Counts one of them until it is dropped.
pub(super) struct Slot(Arc<AtomicUsize>);

impl Slots {
    pub(super) fn new(most: usize) -> Self {
        Self { taken: Arc::default(), most }
    }

    /// `None` when there are as many as may be.
    pub(super) fn take(&self) -> Option<Slot> {
        let one_more = |taken| (taken < self.most).then_some(taken + 1);
        self.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more).ok()?;
        Some(Slot(self.taken.clone()))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Why a socket has left, which decides whether its client may resume.
pub(crate) enum LeaveCause {
    /// It may.
    ConnectionLost { rooms: Vec<String>, on_expiry: Option<ExpiryCallback> },
    /// It has left by itself, or was made to.
    Left,
    /// It may no longer be on the channel.
    Revoked,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nodes of two versions run side by side while a service is rolled out.
    #[test]
    fn r23_the_names_in_stored_sessions_stay() {
        let text = r#"{"owner":"o","epoch":"e","start":1,"gap":{"reason":"node","since":2},"rooms":["r"],"away":3,"at":4,"refused":true}"#;
        let record: SessionRecord = serde_json::from_str(text).unwrap();
        assert_eq!((record.disconnected_at, record.written_at, record.revoked), (Some(3), 4, true));
        assert_eq!(serde_json::to_string(&record).unwrap(), text);
    }
}
