//! The logs that the server between the nodes keeps (rule R23): one for each channel that clients resume on, with one order for all nodes, and the clients
//! that may come back to it.
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

/// How much a log keeps.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Bounds {
    pub(crate) events: u64,
    pub(crate) bytes: u64,
    /// How long a client may be away, in milliseconds.
    pub(crate) window: u64,
}

impl Bounds {
    /// How old an entry may be, in milliseconds: who was cut just now may know a number that is half a window old.
    pub(crate) fn age(self) -> u64 {
        self.window.saturating_add(self.window / 2)
    }

    /// How long a log is kept that nobody uses, in milliseconds.
    #[allow(dead_code, reason = "without features there is no server")]
    pub(super) fn keep(self) -> u64 {
        self.window.saturating_mul(2).saturating_add(10_000)
    }
}

/// Where an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct At {
    pub(crate) epoch: String,
    pub(crate) number: u64,
    /// In milliseconds since 1970, by the server's clock.
    pub(crate) time: u64,
}

/// What one node has appended, as all nodes are told.
#[derive(Debug)]
pub(crate) struct News {
    pub(crate) path: String,
    /// The number is 0 when the log has a new epoch.
    pub(crate) at: At,
    /// `None` where it has to be read.
    pub(crate) entry: Option<String>,
}

/// An entry that was read.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) number: u64,
    pub(crate) time: u64,
    pub(crate) entry: String,
}

/// Which part of a log is read: what is behind the entry with this epoch and number, or all of another epoch.
#[derive(Clone, Copy, Debug)]
#[allow(dead_code, reason = "without features there is no server")]
pub(crate) struct ReadRequest<'a> {
    pub(crate) path: &'a str,
    pub(crate) bounds: Bounds,
    pub(crate) epoch: &'a str,
    pub(crate) after: u64,
    /// Gives the log a new epoch, with nothing in it: since when this node has sent events that are in no log.
    pub(crate) renew: Option<u64>,
}

/// A log that was read.
#[derive(Debug)]
pub(crate) struct Copied {
    pub(crate) epoch: String,
    pub(crate) last: u64,
    /// Entries up to this number are not kept any more.
    pub(crate) removed: u64,
    /// Whether the last of them was removed for want of room, and not for its age.
    pub(crate) overflowed: bool,
    /// Since when events may have been sent that are in no log, as the node says that has given it this epoch.
    pub(crate) since: Option<u64>,
    /// The server's time.
    pub(crate) now: u64,
    pub(crate) entries: Vec<Stored>,
}

/// A client, as the server keeps it.
#[derive(Debug)]
pub(crate) struct Kept {
    /// The node that it is on or was on.
    pub(crate) node: u64,
    /// How often it has come from one node to another.
    pub(crate) claim: u64,
    pub(crate) data: String,
}

/// What is to be written of a client.
#[derive(Debug)]
#[allow(dead_code, reason = "without features there is no server")]
pub(crate) struct Save {
    pub(crate) path: String,
    pub(crate) pid: String,
    pub(crate) claim: u64,
    /// `None` when nobody may come back.
    pub(crate) data: Option<String>,
    pub(crate) keep: Duration,
}

/// The logs of the server.
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
    pub(crate) async fn append(&self, path: &str, bounds: Bounds, entry: &str) -> Result<At, BackplaneError> {
        let _ = (path, bounds, entry);
        on_server!(self, server => server.append(path, bounds, entry).await)
    }

    /// Reads a log, or a part of it.
    pub(crate) async fn copy(&self, request: ReadRequest<'_>) -> Result<Copied, BackplaneError> {
        let _ = request;
        on_server!(self, server => server.copy(request).await)
    }

    /// The epochs and last numbers of logs, which are kept for longer by that.
    pub(crate) async fn heads(
        &self,
        paths: &[String],
        bounds: Bounds,
    ) -> Result<Vec<Option<(String, u64)>>, BackplaneError> {
        let _ = (paths, bounds);
        on_server!(self, server => server.heads(paths, bounds).await)
    }

    /// What any node appends, this one included. The stream continues after outages.
    pub(crate) async fn feed(&self) -> Result<BoxStream<'static, News>, BackplaneError> {
        on_server!(self, server => server.feed().await)
    }

    /// A client, by its `pid`.
    pub(crate) async fn load(&self, path: &str, pid: &str) -> Result<Option<Kept>, BackplaneError> {
        let _ = (path, pid);
        on_server!(self, server => server.load(path, pid).await)
    }

    /// Makes a client this node's, if nobody else has since it was read.
    pub(crate) async fn claim(&self, path: &str, pid: &str, was: &Kept) -> Result<bool, BackplaneError> {
        let _ = (path, pid, was);
        on_server!(self, server => server.claim(path, pid, was, self.node).await)
    }

    /// Writes a client. `false` if it is another node's by now.
    pub(crate) async fn save(&self, save: &Save) -> Result<bool, BackplaneError> {
        let _ = save;
        on_server!(self, server => server.save(save, self.node).await)
    }

    /// Notes names in a list for some time.
    pub(crate) async fn note(&self, list: &str, names: &[String], keep: Duration) -> Result<(), BackplaneError> {
        let _ = (list, names, keep);
        on_server!(self, server => server.note(list, names, keep).await)
    }

    /// The names in a list.
    pub(crate) async fn noted(&self, list: &str) -> Result<Vec<String>, BackplaneError> {
        let _ = list;
        on_server!(self, server => server.noted(list).await)
    }
}

/// What the server keeps is signed, so that access to it is not enough to send events or to resume. What has a wrong signature is refused and left out.
#[cfg(any(feature = "redis", feature = "postgres"))]
impl Keys {
    pub(super) fn sign_entry(&self, path: &str, entry: &str) -> String {
        self.sign_kept(&["entry", path], entry)
    }

    pub(super) fn open_entry(&self, path: &str, number: u64, time: u64, signed: &str) -> Option<Stored> {
        let entry = self.open_kept(&["entry", path], signed);
        if entry.is_none() {
            refused(Cause::BackplaneSignature, &format!("an entry of the log of `{path}` with a wrong signature"));
        }
        Some(Stored { number, time, entry: entry?.to_owned() })
    }

    pub(super) fn sign_client(&self, path: &str, pid: &str, data: &str) -> String {
        self.sign_kept(&["client", path, pid], data)
    }

    pub(super) fn open_client(&self, path: &str, pid: &str, node: u64, claim: u64, signed: &str) -> Option<Kept> {
        let data = self.open_kept(&["client", path, pid], signed);
        if data.is_none() {
            refused(Cause::BackplaneSignature, &format!("a client of `{path}` that was kept with a wrong signature"));
        }
        Some(Kept { node, claim, data: data?.to_owned() })
    }

    /// Reads what nodes are told on a channel of the server: `epoch number time path`, a line break and the entry, if that is not to be read from the log.
    pub(super) fn open_news(&self, channel: &str, message: &[u8]) -> Option<News> {
        let read = || {
            let text = std::str::from_utf8(message).map_err(|_| Cause::Backplane)?;
            let (head, entry) = text.split_once('\n').ok_or(Cause::Backplane)?;
            let (at, path) = read_head(head).ok_or(Cause::Backplane)?;
            let entry = match entry {
                "" => None,
                _ => Some(self.open_kept(&["entry", &path], entry).ok_or(Cause::BackplaneSignature)?.to_owned()),
            };
            Ok(News { path, at, entry })
        };
        let refuse =
            |cause| refused(cause, &format!("a message on `{channel}` of the backplane that comes from no node"));
        read().map_err(refuse).ok()
    }
}

#[cfg(any(feature = "redis", feature = "postgres"))]
fn read_head(head: &str) -> Option<(At, String)> {
    let mut words = head.splitn(4, ' ');
    let (epoch, number, time) = (words.next()?.to_owned(), words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    Some((At { epoch, number, time }, words.next()?.to_owned()))
}

/// The name of a new epoch.
#[cfg(any(feature = "redis", feature = "postgres"))]
pub(super) fn fresh_epoch() -> String {
    format!("{:024x}", rand::random::<u128>() >> 32)
}
