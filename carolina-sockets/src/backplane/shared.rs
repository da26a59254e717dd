//! The logs that the server between the nodes keeps (rule R23): one for each channel that clients resume on, with one order for all nodes, and the sessions
//! of the clients that may come back to it.
//!
//! The server numbers what is appended, in one step with storing it and with telling all nodes. A log that the server has lost has another epoch when it is
//! there again.

use std::time::Duration;

use futures_core::stream::BoxStream;

#[cfg(any(feature = "redis", feature = "postgres"))]
use super::signature::Keys;
use super::{BackplaneError, Link};
#[cfg(any(feature = "redis", feature = "postgres"))]
use crate::telemetry::{Cause, refused};

/// How much a log keeps, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Retention {
    pub(crate) events: u64,
    pub(crate) bytes: u64,
    /// How long a client may be away, in milliseconds.
    pub(crate) window: u64,
}

impl Retention {
    /// How old an entry may be, in milliseconds: a client that was cut just now may know a number that is half a window old.
    pub(crate) fn max_age(self) -> u64 {
        self.window.saturating_add(self.window / 2)
    }

    /// How long a log is kept that nobody uses, in milliseconds.
    #[allow(dead_code, reason = "without features there is no server")]
    pub(super) fn ttl(self) -> u64 {
        self.window.saturating_mul(2).saturating_add(10_000)
    }
}

/// Where an entry is in a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) epoch: String,
    pub(crate) number: u64,
    /// In milliseconds since 1970, by the server's clock.
    pub(crate) time: u64,
}

/// What a node has appended, as the server tells all nodes.
#[derive(Debug)]
pub(crate) struct AppendNotification {
    pub(crate) path: String,
    /// The number is 0 when the log has a new epoch.
    pub(crate) position: Position,
    /// `None` where it has to be read from the log.
    pub(crate) entry: Option<String>,
}

/// An entry that was read.
#[derive(Debug)]
pub(crate) struct StoredEntry {
    pub(crate) number: u64,
    pub(crate) time: u64,
    pub(crate) entry: String,
}

/// Which part of a log is read: what is behind the entry with this epoch and number, or all of another epoch.
#[derive(Clone, Copy, Debug)]
#[allow(dead_code, reason = "without features there is no server")]
pub(crate) struct ReadRequest<'a> {
    pub(crate) path: &'a str,
    pub(crate) retention: Retention,
    pub(crate) epoch: &'a str,
    pub(crate) after: u64,
    /// Gives the log a new epoch, with nothing in it: since when this node has sent events that are in no log.
    pub(crate) renew: Option<u64>,
}

/// What was read of a log.
#[derive(Debug)]
pub(crate) struct ReadResponse {
    pub(crate) epoch: String,
    pub(crate) last: u64,
    /// Entries up to this number were trimmed: they are not kept any more.
    pub(crate) trimmed: u64,
    /// Whether the last of them was trimmed for want of room, and not for its age.
    pub(crate) overflowed: bool,
    /// Since when events may have been sent that are in no log, as the node says that has given it this epoch.
    pub(crate) since: Option<u64>,
    /// The server's time.
    pub(crate) now: u64,
    pub(crate) entries: Vec<StoredEntry>,
}

/// The session of a client, as the server stores it.
#[derive(Debug)]
pub(crate) struct StoredSession {
    /// The node that it is on or was on.
    pub(crate) node: u64,
    /// How often it has moved from one node to another.
    pub(crate) claim: u64,
    pub(crate) data: String,
}

/// What is to be written of a session.
#[derive(Debug)]
#[allow(dead_code, reason = "without features there is no server")]
pub(crate) struct SaveSession {
    pub(crate) path: String,
    pub(crate) pid: String,
    pub(crate) claim: u64,
    /// `None` when the session is over.
    pub(crate) data: Option<String>,
    pub(crate) ttl: Duration,
}

/// The logs of the server, and the sessions of the clients that resume on them.
#[derive(Clone)]
pub(crate) struct SharedLog {
    link: Link,
    /// This process.
    node: u64,
}

/// Calls a method of the server's client.
macro_rules! on_server {
    ($self:expr, $server:ident => $act:expr) => {
        match &$self.link {
            Link::None => Err(BackplaneError::new("there is no backplane")),
            #[cfg(feature = "redis")]
            Link::Redis($server) => $act,
            #[cfg(feature = "postgres")]
            Link::Postgres($server) => $act,
        }
    };
}

impl SharedLog {
    /// `None` where there is no server that keeps logs.
    pub(super) fn new(link: &Link, node: u64) -> Option<Self> {
        link.is_some().then(|| Self { link: link.clone(), node })
    }

    pub(crate) fn node(&self) -> u64 {
        self.node
    }

    /// Whether the server is reached.
    pub(crate) fn is_up(&self) -> bool {
        self.link.is_up()
    }

    /// How often the server was connected to: what it has told in between is lost.
    pub(crate) fn connects(&self) -> u64 {
        match &self.link {
            Link::None => 0,
            #[cfg(feature = "redis")]
            Link::Redis(redis) => redis.connects(),
            #[cfg(feature = "postgres")]
            Link::Postgres(postgres) => postgres.connects(),
        }
    }

    /// Numbers an entry, keeps it and tells all nodes. What one task appends is numbered in its order.
    pub(crate) async fn append(
        &self,
        path: &str,
        retention: Retention,
        entry: &str,
    ) -> Result<Position, BackplaneError> {
        let _ = (path, retention, entry);
        on_server!(self, server => server.append(path, retention, entry).await)
    }

    /// Reads a log, or a part of it.
    pub(crate) async fn read(&self, request: ReadRequest<'_>) -> Result<ReadResponse, BackplaneError> {
        let _ = request;
        on_server!(self, server => server.read(request).await)
    }

    /// The epochs and last numbers of logs. It renews their time to live.
    pub(crate) async fn heads(
        &self,
        paths: &[String],
        retention: Retention,
    ) -> Result<Vec<Option<(String, u64)>>, BackplaneError> {
        let _ = (paths, retention);
        on_server!(self, server => server.heads(paths, retention).await)
    }

    /// Notifications of what any node appends, this one included. The stream continues after outages.
    pub(crate) async fn notifications(&self) -> Result<BoxStream<'static, AppendNotification>, BackplaneError> {
        on_server!(self, server => server.notifications().await)
    }

    /// The session with this `pid`.
    pub(crate) async fn load_session(&self, path: &str, pid: &str) -> Result<Option<StoredSession>, BackplaneError> {
        let _ = (path, pid);
        on_server!(self, server => server.load_session(path, pid).await)
    }

    /// Makes a session this node's, if no other node has since it was read.
    pub(crate) async fn claim_session(
        &self,
        path: &str,
        pid: &str,
        former: &StoredSession,
    ) -> Result<bool, BackplaneError> {
        let _ = (path, pid, former);
        on_server!(self, server => server.claim_session(path, pid, former, self.node).await)
    }

    /// Writes a session. `false` if it is another node's by now.
    pub(crate) async fn save_session(&self, save: &SaveSession) -> Result<bool, BackplaneError> {
        let _ = save;
        on_server!(self, server => server.save_session(save, self.node).await)
    }

    /// Adds names to a list, or keeps them there, for some time.
    pub(crate) async fn register(&self, list: &str, names: &[String], ttl: Duration) -> Result<(), BackplaneError> {
        let _ = (list, names, ttl);
        on_server!(self, server => server.register(list, names, ttl).await)
    }

    /// The names that are in a list.
    pub(crate) async fn registered(&self, list: &str) -> Result<Vec<String>, BackplaneError> {
        let _ = list;
        on_server!(self, server => server.registered(list).await)
    }
}

/// What the server keeps is signed, so that access to it is not enough to send events or to resume. What has a wrong signature is refused and left out.
#[cfg(any(feature = "redis", feature = "postgres"))]
impl Keys {
    pub(super) fn sign_entry(&self, path: &str, entry: &str) -> String {
        self.sign_kept(&["entry", path], entry)
    }

    pub(super) fn open_entry(&self, path: &str, number: u64, time: u64, signed: &str) -> Option<StoredEntry> {
        let entry = self.open_kept(&["entry", path], signed);
        if entry.is_none() {
            refused(Cause::BackplaneSignature, &format!("an entry of the log of `{path}` with a wrong signature"));
        }
        Some(StoredEntry { number, time, entry: entry?.to_owned() })
    }

    pub(super) fn sign_session(&self, path: &str, pid: &str, data: &str) -> String {
        self.sign_kept(&["client", path, pid], data)
    }

    pub(super) fn open_session(
        &self,
        path: &str,
        pid: &str,
        node: u64,
        claim: u64,
        signed: &str,
    ) -> Option<StoredSession> {
        let data = self.open_kept(&["client", path, pid], signed);
        if data.is_none() {
            refused(Cause::BackplaneSignature, &format!("a client of `{path}` that was kept with a wrong signature"));
        }
        Some(StoredSession { node, claim, data: data?.to_owned() })
    }

    /// Reads a notification of a channel of the server: `epoch number time path`, a line break and the entry, if that is not to be read from the log.
    pub(super) fn open_notification(&self, channel: &str, message: &[u8]) -> Option<AppendNotification> {
        let read = || {
            let text = std::str::from_utf8(message).map_err(|_| Cause::Backplane)?;
            let (head, entry) = text.split_once('\n').ok_or(Cause::Backplane)?;
            let (position, path) = read_head(head).ok_or(Cause::Backplane)?;
            let entry = match entry {
                "" => None,
                _ => Some(self.open_kept(&["entry", &path], entry).ok_or(Cause::BackplaneSignature)?.to_owned()),
            };
            Ok(AppendNotification { path, position, entry })
        };
        let refuse =
            |cause| refused(cause, &format!("a message on `{channel}` of the backplane that comes from no node"));
        read().map_err(refuse).ok()
    }
}

#[cfg(any(feature = "redis", feature = "postgres"))]
fn read_head(head: &str) -> Option<(Position, String)> {
    let mut words = head.splitn(4, ' ');
    let (epoch, number, time) = (words.next()?.to_owned(), words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    Some((Position { epoch, number, time }, words.next()?.to_owned()))
}

/// The name of a new epoch.
#[cfg(any(feature = "redis", feature = "postgres"))]
pub(super) fn fresh_epoch() -> String {
    format!("{:024x}", rand::random::<u128>() >> 32)
}
