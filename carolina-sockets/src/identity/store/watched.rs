use std::{fmt, sync::Arc};

use async_trait::async_trait;
use time::OffsetDateTime;
use tokio::sync::{Mutex, MutexGuard};
use tower_sessions::{
    Expiry, Session, SessionStore,
    session::{Id, Record},
    session_store::{Error, Result},
};

use super::{EventSink, Lifetime, RequestScope, SessionEvent, SharedStore, scope};

const TURNS: usize = 64;

/// The service's session store: tells what happens to sessions, keeps a log-out from being undone, and keeps session
/// ids out of errors.
///
/// What is done to one session through it is done one after the other. A session that has ended is not saved again:
/// a request that was under way during a log-out would otherwise bring it back.
pub(crate) struct WatchedStore {
    inner: SharedStore,
    lifetime: Lifetime,
    sink: EventSink,
    /// One session's operations wait for each other here; some sessions share a place.
    turns: [Mutex<()>; TURNS],
}

impl WatchedStore {
    /// Watches a store. `ttl` is for how long a session lives that nobody uses.
    pub(crate) fn new(inner: SharedStore, ttl: std::time::Duration, sink: EventSink) -> Self {
        Self { inner, lifetime: Lifetime::new(ttl), sink, turns: [const { Mutex::const_new(()) }; TURNS] }
    }

    pub(crate) fn lifetime(&self) -> Lifetime {
        self.lifetime
    }

    /// The scope for one HTTP request.
    pub(crate) fn request(&self) -> Arc<RequestScope> {
        RequestScope::new(self.sink.clone())
    }

    /// The session of an id, which is read from the store when it is first asked.
    pub(crate) fn session(self: &Arc<Self>, id: Option<Id>) -> Session {
        Session::new(id, self.clone(), Some(self.lifetime.default_expiry()))
    }

    /// Prolongs a session that is in use, as it is now in the store. Returns its new end, or `None` when it is no
    /// more.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub(crate) async fn prolong(&self, id: &Id) -> Result<Option<OffsetDateTime>> {
        let _turn = self.turn(id).await;
        let Some(mut record) = self.read(id).await? else { return Ok(None) };
        record.expiry_date = self.lifetime.end(self.lifetime.of(&record));
        self.inner.store.save(&record).await.map_err(|error| masked(error, id))?;
        (self.sink)(SessionEvent::Changed(*id));
        Ok(Some(record.expiry_date))
    }

    async fn read(&self, id: &Id) -> Result<Option<Record>> {
        let record = self.inner.store.load(id).await.map_err(|error| masked(error, id))?;
        // Not every store looks at the date, or as closely.
        Ok(record.filter(|record| record.expiry_date > OffsetDateTime::now_utc()))
    }

    async fn turn(&self, id: &Id) -> MutexGuard<'_, ()> {
        // Ids are random, so any of their bits spread them.
        self.turns[(id.0 as usize) % TURNS].lock().await
    }

    /// `Session` dates every record by `session.ttl`; one with a lifetime of its own keeps that.
    fn dated(&self, record: &Record) -> Option<Record> {
        let expiry = self.lifetime.of(record);
        let own = expiry != self.lifetime.default_expiry() && !matches!(expiry, Expiry::OnSessionEnd);
        own.then(|| Record { expiry_date: self.lifetime.end(expiry), ..record.clone() })
    }
}

#[async_trait]
impl SessionStore for WatchedStore {
    async fn create(&self, record: &mut Record) -> Result<()> {
        if let Some(dated) = self.dated(record) {
            *record = dated;
        }
        let id = record.id;
        self.inner.store.create(record).await.map_err(|error| masked(error, &id))?;
        scope::created(&self.sink, record.id);
        Ok(())
    }

    async fn save(&self, record: &Record) -> Result<()> {
        let id = record.id;
        let _turn = self.turn(&id).await;
        if self.read(&id).await?.is_none() {
            tracing::debug!("a session that has ended meanwhile was not saved");
            return Ok(());
        }
        let dated = self.dated(record);
        self.inner.store.save(dated.as_ref().unwrap_or(record)).await.map_err(|error| masked(error, &id))?;
        (self.sink)(SessionEvent::Changed(id));
        Ok(())
    }

    async fn load(&self, id: &Id) -> Result<Option<Record>> {
        let record = self.read(id).await?;
        if let Some(record) = &record {
            let expiry = self.lifetime.of(record);
            scope::loaded(&self.sink, scope::Loaded { id: *id, expiry, ends: record.expiry_date });
        }
        Ok(record)
    }

    async fn delete(&self, id: &Id) -> Result<()> {
        let _turn = self.turn(id).await;
        self.inner.store.delete(id).await.map_err(|error| masked(error, id))?;
        scope::ended(&self.sink, *id);
        Ok(())
    }
}

impl fmt::Debug for WatchedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchedStore").field("lifetime", &self.lifetime).finish_non_exhaustive()
    }
}

/// A store's error without the session's id, which many a store would tell.
fn masked(error: Error, id: &Id) -> Error {
    let mask = |text: String| text.replace(&id.to_string(), "***").replace(&id.0.to_string(), "***");
    match error {
        Error::Encode(text) => Error::Encode(mask(text)),
        Error::Decode(text) => Error::Decode(mask(text)),
        Error::Backend(text) => Error::Backend(mask(text)),
    }
}
