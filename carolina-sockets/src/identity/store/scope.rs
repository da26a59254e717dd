//! What one HTTP request has done to sessions, so that a renewed id is told from an end and a beginning.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
};

use time::OffsetDateTime;
use tower_sessions::{Expiry, session::Id};

use super::{EventSink, SessionEvent};

tokio::task_local! {
    static REQUEST: Arc<RequestScope>;
}

/// One HTTP request. When it is over, what it ended and did not replace has ended.
pub(crate) struct RequestScope {
    sink: EventSink,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    ended: Vec<Id>,
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
    pub(super) fn new(sink: EventSink) -> Arc<Self> {
        Arc::new(Self { sink, seen: Mutex::default() })
    }

    /// Handles the request within this scope. Tasks that it spawns stand outside.
    pub(crate) async fn run<F: Future>(self: Arc<Self>, request: F) -> F::Output {
        REQUEST.scope(self, request).await
    }

    /// The session of this id as the request has last read it.
    pub(crate) fn loaded(&self, id: Id) -> Option<Loaded> {
        self.seen().loaded.filter(|loaded| loaded.id == id)
    }

    /// The scope around the running code, if it is one of this sink's store: another service's layer may lie between.
    fn current(sink: &EventSink) -> Option<Arc<Self>> {
        REQUEST.try_with(Arc::clone).ok().filter(|scope| Arc::ptr_eq(&scope.sink, sink))
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        // Ids and dates are whole whatever happened to who held the lock.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for RequestScope {
    fn drop(&mut self) {
        for id in std::mem::take(&mut self.seen().ended) {
            (self.sink)(SessionEvent::Ended(id));
        }
    }
}

/// A session was read.
pub(super) fn loaded(sink: &EventSink, loaded: Loaded) {
    if let Some(scope) = RequestScope::current(sink) {
        scope.seen().loaded = Some(loaded);
    }
}

/// A session was made. It takes the place of the one that this request has ended before, if any.
pub(super) fn created(sink: &EventSink, id: Id) {
    let from = RequestScope::current(sink).and_then(|scope| scope.seen().ended.pop());
    sink(match from {
        Some(from) => SessionEvent::Moved { from, to: id },
        None => SessionEvent::Changed(id),
    });
}

/// A session was deleted. Within a request another may yet take its place.
pub(super) fn ended(sink: &EventSink, id: Id) {
    match RequestScope::current(sink) {
        Some(scope) => {
            let mut seen = scope.seen();
            if !seen.ended.contains(&id) {
                seen.ended.push(id);
            }
        }
        None => sink(SessionEvent::Ended(id)),
    }
}
