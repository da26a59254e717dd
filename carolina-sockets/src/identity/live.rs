//! Identity that stays true while sockets live (rule R11): whatever happens to a session reaches its sockets, which
//! change rooms and leave channels they may no longer be on.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use serde_json::Value as Json;
use socketioxide_core::Value;
use tokio_util::sync::CancellationToken;
use tower_sessions::{
    SessionStore,
    session::{Id, Record},
};

use super::{Change, CookieKeys, Identify, Identity, SharedStore, WatchedStore};
use crate::{
    backplane::RawSocket,
    config::Config,
    connection::Connection,
    error::{Error, EventError, Result},
    extract::{Handshake, from_text},
    guard::{Cause, refused},
    http::{Session, SessionLayer},
    service::Sockets,
};

/// How often identities that end by themselves are looked through.
const TICK: Duration = Duration::from_secs(1);

/// All that finds out who sockets belong to.
pub(crate) struct Identities {
    /// The application's own way, in place of the session.
    custom: Option<Arc<dyn Identify>>,
    keys: CookieKeys,
    store: WatchedStore,
    layer: SessionLayer,
    user_key: String,
    recheck: Duration,
    ttl: Duration,
    /// Counts changes, so that a client that is on its way in can tell whether it missed one.
    generation: AtomicU64,
}

impl Identities {
    pub(crate) async fn open(
        config: &Config,
        custom: Option<Arc<dyn Identify>>,
        store: Option<SharedStore>,
        stop: &CancellationToken,
    ) -> Result<Self> {
        let store = match store {
            Some(store) => store,
            None => super::open::open(&config.session.store, stop).await?,
        };
        let keys = CookieKeys::new(&config.session.cookie, &config.session.secret);
        let store = WatchedStore::new(store, config.session.ttl);
        let layer = SessionLayer::new(store.clone(), keys.clone(), &config.session, &config.trusted_proxies);
        Ok(Self {
            custom,
            keys,
            store,
            layer,
            user_key: config.session.user_key.clone(),
            recheck: config.session.recheck,
            ttl: config.session.ttl,
            generation: AtomicU64::new(0),
        })
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    pub(crate) fn layer(&self) -> SessionLayer {
        self.layer.clone()
    }

    /// A session as HTTP handlers know it.
    pub(crate) fn session(&self, id: &str) -> Option<Session> {
        let id = id.parse().ok()?;
        let ttl = time::Duration::try_from(self.ttl).unwrap_or(time::Duration::MAX);
        Some(Session::new(Some(id), Arc::new(self.store.clone()), Some(tower_sessions::Expiry::OnInactivity(ttl))))
    }

    /// Who a client is, by its handshake (rule R10).
    pub(crate) async fn identify(&self, handshake: &Handshake) -> Result<Identity, EventError> {
        if let Some(custom) = &self.custom {
            return custom.identify(handshake).await;
        }
        #[derive(serde::Deserialize)]
        struct Auth {
            #[serde(rename = "sessionId")]
            session_id: Option<String>,
        }
        let cookies = handshake.cookies();
        if let Some(identity) = self.resolve_known(cookies.get(self.keys.name())).await? {
            return Ok(identity);
        }
        // An `auth` payload of another form is the application's own business.
        let sent = handshake.auth::<Auth>().ok().and_then(|auth| auth.session_id);
        Ok(self.resolve_known(sent.as_deref()).await?.unwrap_or_default())
    }

    async fn resolve_known(&self, value: Option<&str>) -> Result<Option<Identity>, EventError> {
        match value {
            Some(value) => self.resolve(value).await,
            None => Ok(None),
        }
    }

    /// The identity behind a cookie's value; `None` for one that was not made here, or whose session is no more.
    async fn resolve(&self, value: &str) -> Result<Option<Identity>, EventError> {
        let Some(id) = self.keys.open(value) else {
            refused(Cause::InvalidSession, "a session value that was not sealed here");
            return Ok(None);
        };
        self.load(id).await
    }

    async fn load(&self, id: Id) -> Result<Option<Identity>, EventError> {
        let record = self.store.load(&id).await.map_err(|error| {
            metrics::counter!("carolina_sockets_store_failures_total").increment(1);
            EventError::internal(format!("the session store failed: {error}"))
        })?;
        Ok(record.map(|record| self.identity_of(&record)))
    }

    /// Who a session's record says it is. A user of any form but text or whole number is none: nobody becomes somebody
    /// by an accident of types.
    fn identity_of(&self, record: &Record) -> Identity {
        let user = match record.data.get(&self.user_key) {
            Some(Json::String(text)) => Some(text.clone()),
            Some(Json::Number(number)) if number.is_i64() || number.is_u64() => Some(number.to_string()),
            None | Some(Json::Null) => None,
            Some(_) => {
                tracing::warn!(key = %self.user_key, "a session's user is neither text nor a whole number, and is taken for none");
                None
            }
        };
        let identity = Identity::anonymous()
            .with_session(record.id.to_string())
            .with_data(record.data.clone().into_iter().collect())
            .with_expiry(record.expiry_date.into());
        match user {
            Some(user) => identity.with_user(user),
            None => identity,
        }
    }

    /// Who a socket is now, by what it came with.
    async fn again(&self, connection: &Connection, raw: &Arc<RawSocket>) -> Result<Identity, EventError> {
        let identity = connection.identity();
        if self.custom.is_some() {
            let handshake = Handshake::new(raw.clone(), connection.peer.clone(), connection.auth.clone());
            return match self.identify(&handshake).await {
                // A token that has expired, say: whoever had it is nobody now.
                Err(error) if !error.is_hidden() => Ok(Identity::anonymous()),
                identified => identified,
            };
        }
        match identity.session_id().and_then(|id| id.parse().ok()) {
            Some(id) => Ok(self.load(id).await?.unwrap_or_default()),
            None => Ok(identity),
        }
    }
}

impl std::fmt::Debug for Identities {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identities").field("custom", &self.custom.is_some()).finish_non_exhaustive()
    }
}

/// Begins to watch: the store's changes from here on, and whatever changes behind its back.
pub(crate) fn start(sockets: &Sockets) {
    let inner = sockets.inner();
    inner.identities.store.watch(inner);
    let (weak, stop) = (Arc::downgrade(inner), inner.stop.clone());
    let recheck = inner.identities.recheck;
    tokio::spawn(async move {
        let mut every = tokio::time::interval(TICK.min(recheck));
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut checked = tokio::time::Instant::now();
        while stop.run_until_cancelled(every.tick()).await.is_some() {
            let Some(inner) = weak.upgrade() else { return };
            let sockets = Sockets::from(inner);
            let all = checked.elapsed() >= recheck;
            if all {
                checked = tokio::time::Instant::now();
            }
            sweep(&sockets, all).await;
        }
    });
}

/// Looks after identities that have ended by themselves; with `all`, after every session there is.
async fn sweep(sockets: &Sockets, all: bool) {
    let now = SystemTime::now();
    let mut sessions: BTreeMap<String, Vec<Arc<Connection>>> = BTreeMap::new();
    let mut others = Vec::new();
    for mount in sockets.inner().mounts.values() {
        for connection in mount.connections() {
            let identity = connection.identity();
            if !all && identity.expires_at().is_none_or(|at| at > now) {
                continue;
            }
            match identity.session_id() {
                Some(id) if sockets.identities().custom.is_none() => {
                    sessions.entry(id.to_owned()).or_default().push(connection);
                }
                _ if identity.expires_at().is_some_and(|at| at <= now) => others.push(connection),
                _ => {}
            }
        }
    }
    // One look into the store per session, however many sockets it has.
    for (id, connections) in sessions {
        let Ok(id) = id.parse::<Id>() else { continue };
        match sockets.identities().load(id).await {
            Ok(identity) => become_all(&connections, &identity.unwrap_or_default()).await,
            Err(error) => {
                tracing::warn!(error = %error.internal_text(), "sessions could not be checked; they stay as they are");
                return;
            }
        }
    }
    for connection in others {
        if let Some(raw) = connection.raw() {
            recheck(sockets, &connection, &raw).await;
        }
    }
}

/// A change of the store, on this node and on others.
pub(crate) async fn apply(sockets: &Sockets, change: Change) {
    let identities = sockets.identities();
    identities.generation.fetch_add(1, Ordering::SeqCst);
    if identities.custom.is_some() {
        return;
    }
    let (id, identity, target) = match &change {
        Change::Saved(record) => (record.id, identities.identity_of(record), None),
        Change::Ended(id) => (*id, Identity::anonymous(), None),
        Change::Moved { from, to } => (*from, identities.identity_of(to), Some(to.id.to_string())),
    };
    become_all(&of_session(sockets, &id.to_string()), &identity).await;
    if let Err(error) = sockets.inner().tell_others_of_session(&id.to_string(), target.as_deref()).await {
        tracing::warn!(%error, "other nodes could not be told of a session's change; they notice within session.recheck");
    }
}

/// Reads a session anew, on this node and on others.
pub(crate) async fn refresh(sockets: &Sockets, id: &str) -> Result {
    refresh_here(sockets, id, None).await?;
    sockets.inner().tell_others_of_session(id, None).await
}

/// Reads a session anew and brings this node's sockets up to date; those of a session that has moved become the other
/// one's.
pub(crate) async fn refresh_here(sockets: &Sockets, id: &str, moved_to: Option<&str>) -> Result {
    let identities = sockets.identities();
    identities.generation.fetch_add(1, Ordering::SeqCst);
    let connections = of_session(sockets, id);
    if identities.custom.is_some() {
        for connection in connections {
            if let Some(raw) = connection.raw() {
                recheck(sockets, &connection, &raw).await;
            }
        }
        return Ok(());
    }
    if connections.is_empty() {
        return Ok(());
    }
    let identity = match moved_to.unwrap_or(id).parse() {
        Ok(id) => identities.load(id).await.map_err(|error| Error::Store(error.internal_text()))?,
        Err(_) => None,
    };
    become_all(&connections, &identity.unwrap_or_default()).await;
    Ok(())
}

/// Finds out anew who one socket is. If that fails, it stays who it is until the next look.
pub(crate) async fn recheck(sockets: &Sockets, connection: &Arc<Connection>, raw: &Arc<RawSocket>) {
    match sockets.identities().again(connection, raw).await {
        Ok(identity) => become_one(connection, raw, identity).await,
        Err(error) => {
            tracing::warn!(socket = %connection.sid, error = %error.internal_text(), "an identity could not be checked");
        }
    }
}

/// The spec's event: the client says who it is, by its cookie's value (rule R10).
pub(crate) async fn session_event(
    connection: &Arc<Connection>,
    raw: &Arc<RawSocket>,
    payload: &Value,
) -> Result<(), EventError> {
    let Some(sockets) = connection.mount.sockets() else {
        return Err(EventError::internal("the service has been dropped"));
    };
    let Value::Str(text, _) = payload else {
        return Err(EventError::invalid_payload("[1]", "the session cookie's value, a string"));
    };
    let value = match from_text::<Vec<Json>>(text)?.into_iter().nth(1) {
        Some(Json::String(value)) => value,
        _ => return Err(EventError::invalid_payload("[1]", "the session cookie's value, a string")),
    };
    let identities = sockets.identities();
    if identities.custom.is_some() {
        return Err(EventError::forbidden());
    }
    let seen = identities.generation();
    let Some(identity) = identities.resolve(&value).await? else {
        return Err(EventError::unauthenticated());
    };
    become_one(connection, raw, identity).await;
    // A log-out that came meanwhile has not found this socket in the session's room.
    if identities.generation() != seen {
        recheck(&sockets, connection, raw).await;
    }
    Ok(())
}

/// Takes a user's sockets off every channel, on this node and on others.
pub(crate) async fn disconnect_user(sockets: &Sockets, user: &str) -> Result<usize> {
    let count = disconnect_user_here(sockets, user);
    sockets.inner().tell_others_of_user(user).await?;
    Ok(count)
}

/// The same on this node alone.
pub(crate) fn disconnect_user_here(sockets: &Sockets, user: &str) -> usize {
    let mut count = 0;
    for mount in sockets.inner().mounts.values() {
        for connection in mount.connections() {
            if connection.identity().user_id() == Some(user)
                && let Some(raw) = connection.raw()
            {
                crate::socket::leave_channel(&connection, &raw);
                count += 1;
            }
        }
    }
    count
}

fn of_session(sockets: &Sockets, id: &str) -> Vec<Arc<Connection>> {
    let mut found = Vec::new();
    for mount in sockets.inner().mounts.values() {
        found.extend(mount.in_room(&super::session_room(id)));
    }
    found
}

async fn become_all(connections: &[Arc<Connection>], identity: &Identity) {
    for connection in connections {
        if let Some(raw) = connection.raw() {
            become_one(connection, &raw, identity.clone()).await;
        }
    }
}

/// Gives a socket its identity. One that is thereby no longer allowed where it is leaves the channel.
async fn become_one(connection: &Arc<Connection>, raw: &Arc<RawSocket>, identity: Identity) {
    let before = connection.set_identity(raw, identity);
    let after = connection.identity();
    let same = before.user_id() == after.user_id()
        && before.session_id() == after.session_id()
        && before.data() == after.data();
    if same || !connection.mount.is_guarded() || connection.mailbox.is_closed() {
        return;
    }
    if let Err(error) = connection.mount.check(connection, raw).await {
        tracing::debug!(channel = %connection.mount.path, socket = %connection.sid, code = error.code(), "left the channel: it may no longer be there");
        crate::socket::leave_channel(connection, raw);
    }
}
