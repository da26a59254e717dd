use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use time::OffsetDateTime;
use tokio::sync::{Mutex, MutexGuard};
use tower_sessions::{
    Expiry, Session, SessionStore,
    session::{Id, Record},
    session_store::{Error, Result},
};

use super::{Change, Lifetime, RequestScope, SharedStore, scope::Loaded};
use futures_core::future::BoxFuture;

/// Called for each change of a session. The operation that caused the change waits for the future, so that an HTTP
/// response is sent only after the sockets are up to date.
pub(crate) type ChangeListener = Arc<dyn Fn(Change, Version) -> BoxFuture<'static, ()> + Send + Sync>;

/// Counts the changes of a session: of two changes, the later one has the greater version. Sessions in the same shard
/// share versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Version(u64);

const SHARDS: usize = 64;

/// The service's session store: it reports changes, prevents a log-out from being undone, and keeps session ids out of
/// errors.
///
/// Operations on one session are serialized. A session that has ended is not saved again, as a request in progress
/// during a log-out would otherwise restore it.
pub(crate) struct NotifyingStore {
    store: SharedStore,
    lifetime: Lifetime,
    listener: OnceLock<ChangeListener>,
    shards: [Shard; SHARDS],
    /// Counts the changes of all sessions.
    generation: AtomicU64,
}

/// The lock that serializes a session's operations; several sessions share one.
#[derive(Default)]
struct Shard {
    lock: Mutex<()>,
    version: AtomicU64,
}

impl NotifyingStore {
    /// Wraps a store. `ttl` is the lifetime of an unused session.
    pub(crate) fn new(store: SharedStore, ttl: std::time::Duration) -> Self {
        Self {
            store,
            lifetime: Lifetime::new(ttl),
            listener: OnceLock::new(),
            shards: std::array::from_fn(|_| Shard::default()),
            generation: AtomicU64::new(0),
        }
    }

    /// Sets the listener for changes. Only the first call has an effect.
    pub(crate) fn set_listener(&self, listener: ChangeListener) {
        let _ = self.listener.set(listener);
    }

    pub(crate) fn lifetime(&self) -> Lifetime {
        self.lifetime
    }

    /// A scope for one HTTP request.
    pub(crate) fn request(self: &Arc<Self>) -> Arc<RequestScope> {
        RequestScope::new(self.clone())
    }

    /// The session with an id, read from the store on first use.
    pub(crate) fn session(self: &Arc<Self>, id: Option<Id>) -> Session {
        Session::new(id, self.clone(), Some(self.lifetime.default_expiry()))
    }

    /// The version of a session's last change, to be taken before the session is read.
    pub(crate) fn version(&self, id: &Id) -> Version {
        Version(self.shard(id).version.load(Ordering::SeqCst))
    }

    /// How many changes there have been, to be taken before sessions are read.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    /// Counts a change made outside of this store, to a known session or, without an id, to an unknown one.
    pub(crate) fn record_change(&self, id: Option<&Id>) {
        if let Some(id) = id {
            self.shard(id).version.fetch_add(1, Ordering::SeqCst);
        }
        self.generation.fetch_add(1, Ordering::SeqCst);
    }

    /// Prolongs a session in use, as it is in the store now. Returns its new expiry date, or `None` if it no longer
    /// exists.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub(crate) async fn prolong(&self, id: &Id) -> Result<Option<OffsetDateTime>> {
        let shard = self.shard(id);
        let guard = shard.lock.lock().await;
        let Some(mut record) = self.read(id).await? else { return Ok(None) };
        record.expiry_date = self.lifetime.end(self.lifetime.of(&record));
        let ends = record.expiry_date;
        self.write(shard, guard, record).await?;
        Ok(Some(ends))
    }

    /// Calls the listener. No shard lock may be held, since the listener may read or change sessions.
    pub(super) async fn notify(&self, change: Change, version: Version) {
        if let Some(listener) = self.listener.get() {
            listener(change, version).await;
        }
    }

    /// Stores a record as it is, as if time had passed.
    #[cfg(test)]
    pub(crate) async fn backdate(&self, record: &Record) {
        self.store.0.save(record).await.expect("a store that works");
    }

    async fn read(&self, id: &Id) -> Result<Option<Record>> {
        let record = self.store.0.load(id).await.map_err(|error| mask_session_id(error, id))?;
        // Not every store checks the expiry date, or does so exactly.
        Ok(record.filter(|record| record.expiry_date > OffsetDateTime::now_utc()))
    }

    async fn write(&self, shard: &Shard, guard: MutexGuard<'_, ()>, record: Record) -> Result<()> {
        self.store.0.save(&record).await.map_err(|error| mask_session_id(error, &record.id))?;
        let version = self.next_version(shard);
        drop(guard);
        self.notify(Change::Saved(record), version).await;
        Ok(())
    }

    fn shard(&self, id: &Id) -> &Shard {
        // Ids are random, so any of their bits distribute them evenly.
        &self.shards[(id.0.unsigned_abs() % SHARDS as u128) as usize]
    }

    fn next_version(&self, shard: &Shard) -> Version {
        // The version first: whoever has seen the new generation must not take what it read at the old version.
        let version = Version(shard.version.fetch_add(1, Ordering::SeqCst) + 1);
        self.generation.fetch_add(1, Ordering::SeqCst);
        version
    }

    /// Sets a record's expiry date: `Session` uses `session.ttl` for all, but a session with its own lifetime keeps
    /// that.
    fn date(&self, record: &mut Record) {
        let expiry = self.lifetime.of(record);
        if expiry != self.lifetime.default_expiry() && expiry != Expiry::OnSessionEnd {
            record.expiry_date = self.lifetime.end(expiry);
        }
    }
}

#[async_trait]
impl SessionStore for NotifyingStore {
    async fn create(&self, record: &mut Record) -> Result<()> {
        self.date(record);
        let id = record.id;
        self.store.0.create(record).await.map_err(|error| mask_session_id(error, &id))?;
        let version = self.next_version(self.shard(&record.id));
        match RequestScope::current(self).and_then(|scope| scope.replaced()) {
            Some((from, version)) => self.notify(Change::Moved { from, to: record.id }, version).await,
            None => self.notify(Change::Saved(record.clone()), version).await,
        }
        Ok(())
    }

    async fn save(&self, record: &Record) -> Result<()> {
        let mut record = record.clone();
        self.date(&mut record);
        let shard = self.shard(&record.id);
        let guard = shard.lock.lock().await;
        if self.read(&record.id).await?.is_none() {
            tracing::debug!("a session that has ended meanwhile was not saved");
            return Ok(());
        }
        self.write(shard, guard, record).await
    }

    async fn load(&self, id: &Id) -> Result<Option<Record>> {
        let record = self.read(id).await?;
        if let (Some(record), Some(scope)) = (&record, RequestScope::current(self)) {
            scope.record_loaded(Loaded { id: *id, expiry: self.lifetime.of(record), ends: record.expiry_date });
        }
        Ok(record)
    }

    async fn delete(&self, id: &Id) -> Result<()> {
        let shard = self.shard(id);
        let guard = shard.lock.lock().await;
        self.store.0.delete(id).await.map_err(|error| mask_session_id(error, id))?;
        let version = self.next_version(shard);
        drop(guard);
        match RequestScope::current(self) {
            Some(scope) => scope.record_ended(*id, version),
            None => self.notify(Change::Ended(*id), version).await,
        }
        Ok(())
    }
}

impl fmt::Debug for NotifyingStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotifyingStore").field("lifetime", &self.lifetime).finish_non_exhaustive()
    }
}

/// A store's error without the session id, which some stores include.
fn mask_session_id(error: Error, id: &Id) -> Error {
    let mask = |text: String| text.replace(&id.to_string(), "***").replace(&id.0.to_string(), "***");
    match error {
        Error::Encode(text) => Error::Encode(mask(text)),
        Error::Decode(text) => Error::Decode(mask(text)),
        Error::Backend(text) => Error::Backend(mask(text)),
    }
}
