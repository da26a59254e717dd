//! Sockets that the server has disconnected from their channel, but whose clients may not have noticed yet.
//!
//! An event that such a client sends meanwhile would make socketioxide close the whole connection, including its other
//! channels. So the socket stays registered in its namespace for a while, in no rooms and without handlers, so that
//! late events are dropped instead of closing the connection. When the client rejoins the channel, the old socket has
//! to be removed first, as socketioxide ignores a second CONNECT. The CONNECT packet is detected as it arrives, by
//! [`super::stream::ClientStream`].

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::{Mutex, MutexGuard, RwLock};

use super::id::SocketId;
use crate::{background::Background, backplane::RawSocket};

/// The room of disconnected sockets, which is excluded from every broadcast.
pub(super) const LEFT_ROOM: &str = "\0left";

/// How long a disconnected client's events may still be in flight.
const GRACE_PERIOD: Duration = Duration::from_secs(10);

/// The sockets that are kept for late events.
pub(crate) struct Rejoin {
    background: Background,
    count: AtomicUsize,
    by_sid: Mutex<HashMap<SocketId, Vec<KeptSocket>>>,
    /// The paths of all namespaces.
    paths: RwLock<HashSet<String>>,
}

struct KeptSocket {
    raw: Arc<RawSocket>,
    /// Removes it from its namespace.
    remove: fn(Arc<RawSocket>),
}

impl Rejoin {
    pub(super) fn new(background: Background) -> Self {
        Self { background, count: AtomicUsize::new(0), by_sid: Mutex::default(), paths: RwLock::default() }
    }

    pub(super) fn add_path(&self, path: &str) {
        self.paths.write().insert(path.to_owned());
    }

    /// Whether there is such a namespace.
    pub(super) fn has_path(&self, path: &[u8]) -> bool {
        std::str::from_utf8(path).is_ok_and(|path| self.paths.read().contains(path))
    }

    /// Whether there are any. Called for every packet.
    pub(super) fn has_any(&self) -> bool {
        self.count.load(Ordering::Acquire) > 0
    }

    /// Keeps a socket in its namespace until its client joins again, or for the grace period.
    pub(crate) fn keep(self: &Arc<Self>, raw: Arc<RawSocket>, remove: fn(Arc<RawSocket>)) {
        let sid = SocketId::new(raw.id);
        raw.join(LEFT_ROOM);
        self.count.fetch_add(1, Ordering::AcqRel);
        self.lock().entry(sid).or_default().push(KeptSocket { raw: raw.clone(), remove });
        let (this, raw) = (Arc::downgrade(self), Arc::downgrade(&raw));
        self.background.spawn(async move {
            tokio::time::sleep(GRACE_PERIOD).await;
            if let (Some(this), Some(raw)) = (this.upgrade(), raw.upgrade()) {
                this.remove(sid, |left| Arc::ptr_eq(&left.raw, &raw));
            }
        });
    }

    /// Called with a client's packet, or its first bytes, before the engine gets it.
    pub(super) fn packet_received(&self, sid: SocketId, packet: &[u8]) {
        if let Some(path) = joined(packet) {
            self.remove(sid, |left| left.raw.ns().as_bytes() == path);
        }
    }

    fn remove(&self, sid: SocketId, which: impl Fn(&KeptSocket) -> bool) {
        let mut gone = Vec::new();
        {
            let mut by_sid = self.lock();
            let Some(left) = by_sid.get_mut(&sid) else { return };
            while let Some(position) = left.iter().position(&which) {
                gone.push(left.swap_remove(position));
            }
            if left.is_empty() {
                by_sid.remove(&sid);
            }
        }
        for left in gone {
            self.count.fetch_sub(1, Ordering::AcqRel);
            (left.remove)(left.raw);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SocketId, Vec<KeptSocket>>> {
        self.by_sid.lock()
    }
}

impl fmt::Debug for Rejoin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rejoin({})", self.count.load(Ordering::Relaxed))
    }
}

/// The namespace that a CONNECT packet joins: `40/path,…`, or `40` followed by the payload for `/`.
pub(super) fn joined(packet: &[u8]) -> Option<&[u8]> {
    let rest = packet.strip_prefix(b"40")?;
    match rest.first() {
        Some(b'/') => {
            let end = rest.iter().position(|byte| matches!(byte, b',' | b'?')).unwrap_or(rest.len());
            Some(&rest[..end])
        }
        Some(b'{') | None => Some(b"/"),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_packets_that_join_are_seen_as_such() {
        for (packet, path) in [
            ("40", Some("/")),
            ("40{\"a\":1}", Some("/")),
            ("40/chat", Some("/chat")),
            ("40/chat,", Some("/chat")),
            ("40/chat,{\"a\":1}", Some("/chat")),
            ("40/chat?x=1,", Some("/chat")),
            ("42[\"40\"]", None),
            ("41/chat,", None),
            ("4", None),
            ("", None),
        ] {
            assert_eq!(joined(packet.as_bytes()), path.map(str::as_bytes), "{packet}");
        }
    }
}
