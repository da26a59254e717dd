//! What one HTTP request has done to sessions, so that a renewed id is told from an end and a beginning.

use std::{
    future::Future,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use time::OffsetDateTime;
use tower_sessions::{Expiry, session::Id};

use super::{Change, NotifyingStore, Version};

tokio::task_local! {
    static REQUEST: Arc<RequestScope>;
}

/// One HTTP request. When it is over, what it ended and did not replace has ended.
pub(crate) struct RequestScope {
    store: Arc<NotifyingStore>,
    /// Where the request came from, if known.
    from: Option<IpAddr>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    ended: Vec<(Id, Version)>,
    loaded: Option<Loaded>,
}

/// A session that the request has read.
#[derive(Clone, Copy)]
pub(crate) struct Loaded {
    pub(crate) id: Id,
    pub(crate) expiry: Expiry,
    pub(crate) ends: OffsetDateTime,
}

impl RequestScope {
    pub(super) fn new(store: Arc<NotifyingStore>, from: Option<IpAddr>) -> Arc<Self> {
        Arc::new(Self { store, from, seen: Mutex::default() })
    }

    /// Handles the request within this scope. Tasks that it spawns stand outside.
    pub(crate) async fn run<F: Future>(self: Arc<Self>, request: F) -> F::Output {
        let output = REQUEST.scope(self.clone(), request).await;
        let ended = std::mem::take(&mut self.seen().ended);
        for (id, version) in ended {
            self.store.notify(Change::Ended(id), version).await;
        }
        output
    }

    /// The session of this id as the request has last read it.
    pub(crate) fn loaded(&self, id: Id) -> Option<Loaded> {
        self.seen().loaded.filter(|loaded| loaded.id == id)
    }

    /// The scope around the running code, if it is one of this store: another service's layer may lie between.
    pub(super) fn current(store: &NotifyingStore) -> Option<Arc<Self>> {
        REQUEST.try_with(Arc::clone).ok().filter(|scope| std::ptr::eq(&*scope.store, store))
    }

    pub(super) fn from(&self) -> Option<IpAddr> {
        self.from
    }

    pub(super) fn record_loaded(&self, loaded: Loaded) {
        self.seen().loaded = Some(loaded);
    }

    /// A session was deleted; another may yet take its place.
    pub(super) fn record_ended(&self, id: Id, version: Version) {
        let mut seen = self.seen();
        seen.ended.retain(|(known, _)| *known != id);
        seen.ended.push((id, version));
    }

    /// The session whose place one takes that is made now.
    pub(super) fn replaced(&self) -> Option<(Id, Version)> {
        self.seen().ended.pop()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        // Ids and dates are whole whatever happened to who held the lock.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for RequestScope {
    /// A client that hangs up has its request dropped halfway; a log-out by then counts.
    fn drop(&mut self) {
        let ended = std::mem::take(&mut self.seen().ended);
        if let (false, Ok(runtime)) = (ended.is_empty(), tokio::runtime::Handle::try_current()) {
            let store = self.store.clone();
            runtime.spawn(async move {
                for (id, version) in ended {
                    store.notify(Change::Ended(id), version).await;
                }
            });
        }
    }
}
