use std::{
    collections::HashSet,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::Log;
use crate::engine::{SocketId, WeakEngineSocket};

/// Whom a `pid` belongs to: a session and a user, where there are any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) session: Option<String>,
    pub(crate) user: Option<String>,
}

impl Owner {
    /// What tells it from others, without the id of its session, which is a secret.
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

/// What the numbers of a log are counted in: what the service has drawn at its start, and which of its logs it is; or what the server between the nodes has
/// called it.
pub(super) struct Epoch(String);

impl Epoch {
    /// How many digits the first part has.
    const START: usize = 16;

    pub(super) fn new(start: u64, log: u64) -> Self {
        Self(format!("{start:016x}{log:x}"))
    }

    /// That of a log of the server.
    pub(super) fn of_server(name: String) -> Self {
        Self(name)
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether another one is of this start of the service.
    pub(super) fn is_of_this_start(&self, other: &str) -> bool {
        other.get(..Self::START) == self.0.get(..Self::START)
    }
}

/// What a client resumed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resumption {
    /// When its connection was lost, as far as the server noticed.
    pub since: SystemTime,
    /// How many events it has missed and was given.
    pub events: usize,
}

/// Why a client could not resume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Reason {
    /// It came too late, or had left by itself.
    Expired,
    /// It has missed more than is kept.
    Overflow,
    /// The server has been started again.
    Epoch,
    /// It is not who it was.
    Identity,
    /// It was on another node.
    Node,
}

impl Reason {
    /// Its name in the metrics.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Overflow => "overflow",
            Self::Epoch => "epoch",
            Self::Identity => "identity",
            Self::Node => "node",
        }
    }
}

/// The argument of the event that tells a client of a gap.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Gap {
    pub(super) reason: Reason,
    /// In milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) since: Option<u64>,
}

impl Gap {
    pub(super) fn new(reason: Reason, since: Option<SystemTime>) -> Self {
        Self { reason, since: since.map(millis) }
    }
}

/// A time in milliseconds since 1970.
pub(super) fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The time that [`millis`] has written.
pub(super) fn time(millis: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(millis)).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// One client's, over all its connections.
pub(super) struct Session {
    pub(super) owner: Owner,
    /// The number of the last event when it was made.
    pub(super) start: u64,
    /// What its client was to be told when it was made. It has not heard it for sure until it knows a number from then.
    pub(super) gap: Option<Gap>,
    pub(super) place: Place,
    /// Which of the log's epochs `start` is a number of.
    pub(super) turn: u64,
    /// How often it has come from one node to another.
    pub(super) claim: u64,
    /// The node that it was on when it was last there.
    pub(super) node: u64,
}

/// One client's, as the server between the nodes keeps it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Record {
    /// The digest of its owner.
    pub(super) owner: String,
    pub(super) epoch: String,
    pub(super) start: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) gap: Option<Gap>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) rooms: Vec<String>,
    /// Since when it is away, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) away: Option<u64>,
    /// When it was written.
    pub(super) at: u64,
    /// It may no longer be on the channel.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) refused: bool,
}

pub(super) enum Place {
    On {
        id: SocketId,
        raw: WeakEngineSocket,
        /// What it comes back to, until it has all that it missed: it may be cut before.
        back: Option<Away>,
    },
    Away(Away),
    /// It may no longer be on the channel, and cannot be resumed.
    Refused {
        since: Instant,
        time: SystemTime,
        _slot: Slot,
    },
}

/// A client that is waited for.
pub(super) struct Away {
    pub(super) since: Instant,
    pub(super) time: SystemTime,
    pub(super) rooms: HashSet<String>,
    /// What is to be done when it does not come back.
    pub(super) late: Option<Late>,
    /// `None` while its former socket has not left.
    pub(super) slot: Option<Slot>,
}

/// What is done for a client that has not come back.
pub(super) type Late = Box<dyn FnOnce() + Send>;

/// How many clients are waited for, on all channels together.
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

/// How a socket has left, for whoever comes back.
pub(crate) enum Cut {
    /// Its connection was lost.
    Lost { rooms: Vec<String>, late: Option<Late> },
    /// It has left by itself, or was made to.
    Left,
    /// It may no longer be on the channel.
    Refused,
}

/// A socket on a channel with a log, whether its client has asked for offsets or not. Counted until it is dropped.
pub(crate) struct Asking {
    pub(crate) log: Arc<Log>,
    pub(super) asks: Option<Asks>,
    /// Set when it has entered.
    pub(super) pid: OnceLock<Arc<str>>,
    pub(super) resumed: OnceLock<Option<Resumption>>,
}

/// What a client has asked for.
pub(super) struct Asks {
    /// Of the connection before.
    pub(super) pid: Option<String>,
    pub(super) offset: Option<String>,
}

impl Asking {
    /// `auth` is the payload of its CONNECT.
    pub(crate) fn new(log: Arc<Log>, auth: Option<&str>) -> Self {
        let asks = auth.and_then(Asks::read);
        log.counter(asks.is_some()).fetch_add(1, Ordering::AcqRel);
        Self { log, asks, pid: OnceLock::new(), resumed: OnceLock::new() }
    }

    /// Whether its client is sent offsets.
    pub(crate) fn asks(&self) -> bool {
        self.asks.is_some()
    }

    /// What its client has resumed with, if it has.
    pub(crate) fn resumed(&self) -> Option<Resumption> {
        self.resumed.get().copied().flatten()
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        let counter: &AtomicUsize = self.log.counter(self.asks.is_some());
        counter.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Asks {
    /// `None` for a client that knows nothing of it.
    fn read(auth: &str) -> Option<Self> {
        if !auth.contains("\"resume\"") && !auth.contains("\"pid\"") {
            return None;
        }
        let auth: serde_json::Value = serde_json::from_str(auth).ok()?;
        let text = |key: &str| auth.get(key).and_then(|value| value.as_str()).map(str::to_owned);
        let pid = text("pid");
        let asks = pid.is_some() || auth.get("resume").is_some_and(|resume| resume == true);
        asks.then(|| Self { pid, offset: text("offset") })
    }
}
