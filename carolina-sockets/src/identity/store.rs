//! The session store, watched: whatever is saved in it or deleted from it reaches the sockets of that session before the
//! HTTP response that caused it is sent (rule R11).

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, OnceLock, Weak},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use time::OffsetDateTime;
use tower_sessions::{
    SessionStore,
    session::{Id, Record},
    session_store,
};

use super::live;
use crate::service::{Inner, Sockets};

/// A store of any kind.
#[derive(Clone, Debug)]
pub(crate) struct SharedStore(Arc<dyn SessionStore>);

impl SharedStore {
    pub(crate) fn new(store: impl SessionStore) -> Self {
        Self(Arc::new(store))
    }
}

/// What happened to a session.
#[derive(Debug)]
pub(crate) enum Change {
    /// It was saved.
    Saved(Record),
    /// It is no more.
    Ended(Id),
    /// It goes on under another id, as it does when a log-in changes it against fixation.
    Moved { from: Id, to: Record },
}

/// For how long an ended session cannot be saved again by a request that had loaded it before.
const GRAVE: Duration = Duration::from_secs(300);

/// The store as everybody uses it.
#[derive(Clone)]
pub(crate) struct WatchedStore {
    store: SharedStore,
    ttl: Duration,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    service: OnceLock<Weak<Inner>>,
    ended: Mutex<HashMap<Id, Instant>>,
}

/// What one HTTP request did, to be acted on as a whole.
#[derive(Default)]
struct Visit {
    /// A session that it ended. Should it create another, the one moved to the other.
    ended: Option<Id>,
    /// A session that it read and that will expire before long, unless it is saved.
    stale: bool,
}

tokio::task_local! {
    static VISIT: Mutex<Visit>;
}

fn visit<T>(act: impl FnOnce(&mut Visit) -> T) -> Option<T> {
    VISIT.try_with(|visit| act(&mut visit.lock().expect("no panic happens under this lock"))).ok()
}

impl WatchedStore {
    pub(crate) fn new(store: SharedStore, ttl: Duration) -> Self {
        Self { store, ttl, shared: Arc::default() }
    }

    /// From here on, changes reach this service's sockets.
    pub(crate) fn watch(&self, service: &Arc<Inner>) {
        let _ = self.shared.service.set(Arc::downgrade(service));
    }

    /// Runs a request, and acts on the session that it ended.
    pub(crate) async fn visited<T>(&self, request: impl Future<Output = T>) -> T {
        VISIT
            .scope(Mutex::default(), async {
                let response = request.await;
                if let Some(id) = visit(|visit| visit.ended.take()).flatten() {
                    self.tell(Change::Ended(id)).await;
                }
                response
            })
            .await
    }

    /// Whether the running request has read a session whose life is to be prolonged.
    pub(crate) fn is_stale() -> bool {
        visit(|visit| visit.stale).unwrap_or_default()
    }

    async fn tell(&self, change: Change) {
        if let Some(service) = self.shared.service.get().and_then(Weak::upgrade) {
            live::apply(&Sockets::from(service), change).await;
        }
    }

    fn bury(&self, id: Id) {
        let mut ended = self.shared.ended.lock().expect("no panic happens under this lock");
        ended.retain(|_, since| since.elapsed() < GRAVE);
        ended.insert(id, Instant::now());
    }

    fn is_buried(&self, id: Id) -> bool {
        let ended = self.shared.ended.lock().expect("no panic happens under this lock");
        ended.get(&id).is_some_and(|since| since.elapsed() < GRAVE)
    }
}

impl fmt::Debug for WatchedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WatchedStore")
    }
}

#[async_trait]
impl SessionStore for WatchedStore {
    async fn create(&self, record: &mut Record) -> session_store::Result<()> {
        self.store.0.create(record).await?;
        let change = match visit(|visit| visit.ended.take()).flatten() {
            Some(from) => Change::Moved { from, to: record.clone() },
            None => Change::Saved(record.clone()),
        };
        self.tell(change).await;
        Ok(())
    }

    async fn save(&self, record: &Record) -> session_store::Result<()> {
        // A request that began before a log-out must not bring the session back.
        if self.is_buried(record.id) {
            return Ok(());
        }
        self.store.0.save(record).await?;
        self.tell(Change::Saved(record.clone())).await;
        Ok(())
    }

    async fn load(&self, id: &Id) -> session_store::Result<Option<Record>> {
        let record = self.store.0.load(id).await?;
        if let Some(record) = &record {
            let left = record.expiry_date - OffsetDateTime::now_utc();
            if left < self.ttl / 2 {
                visit(|visit| visit.stale = true);
            }
        }
        Ok(record)
    }

    async fn delete(&self, id: &Id) -> session_store::Result<()> {
        self.store.0.delete(id).await?;
        self.bury(*id);
        if visit(|visit| visit.ended = Some(*id)).is_none() {
            self.tell(Change::Ended(*id)).await;
        }
        Ok(())
    }
}
