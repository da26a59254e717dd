//! What one HTTP request has done to sessions, to distinguish a renewed id from an ended and a new session.

use std::{future::Future, sync::Arc};

use parking_lot::{Mutex, MutexGuard};
use time::OffsetDateTime;
use tower_sessions::{Expiry, session::Id};

use super::{Change, NotifyingStore, Version};

tokio::task_local! {
    static REQUEST: Arc<RequestScope>;
}

/// One HTTP request. When it is over, the sessions that it deleted and did not replace are reported as ended.
pub(crate) struct RequestScope {
    store: Arc<NotifyingStore>,
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
    pub(super) fn new(store: Arc<NotifyingStore>) -> Arc<Self> {
        Arc::new(Self { store, seen: Mutex::default() })
    }

    /// Runs the request within this scope. Tasks that it spawns are outside.
    pub(crate) async fn run<F: Future>(self: Arc<Self>, request: F) -> F::Output {
        let output = REQUEST.scope(self.clone(), request).await;
        let ended = std::mem::take(&mut self.seen().ended);
        for (id, version) in ended {
            self.store.notify(Change::Ended(id), version).await;
        }
        output
    }

    /// The session with this id as last read by the request.
    pub(crate) fn loaded(&self, id: Id) -> Option<Loaded> {
        self.seen().loaded.filter(|loaded| loaded.id == id)
    }

    /// The current scope, if it belongs to this store: another service's layer may be in between.
    pub(super) fn current(store: &NotifyingStore) -> Option<Arc<Self>> {
        REQUEST.try_with(Arc::clone).ok().filter(|scope| std::ptr::eq(&*scope.store, store))
    }

    pub(super) fn record_loaded(&self, loaded: Loaded) {
        self.seen().loaded = Some(loaded);
    }

    /// Records a deleted session, which another may replace later in the request.
    pub(super) fn record_ended(&self, id: Id, version: Version) {
        let mut seen = self.seen();
        seen.ended.retain(|(known, _)| *known != id);
        seen.ended.push((id, version));
    }

    /// The deleted session that a session created now replaces.
    pub(super) fn replaced(&self) -> Option<(Id, Version)> {
        self.seen().ended.pop()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock()
    }
}

impl Drop for RequestScope {
    /// If the client hangs up, the request is dropped halfway; a log-out before that still counts.
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
