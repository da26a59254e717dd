//! Identity that stays true while sockets live (rule R11): whatever happens to a session reaches its sockets, which
//! change rooms and leave channels they may no longer be on.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde_json::Value as Json;
use socketioxide_core::Value;
use tower_sessions::session::Id;

use super::{Change, Identity, Version};
use crate::{
    backplane::RawSocket,
    connection::Connection,
    error::{Error, EventError, Result},
    extract::from_text,
    service::Sockets,
};

/// How often identities that end by themselves are looked through.
const TICK: Duration = Duration::from_secs(1);

/// Begins to watch: the store's changes from here on, and whatever changes behind its back.
pub(crate) fn start(sockets: &Sockets) {
    let inner = sockets.inner();
    let service = Arc::downgrade(inner);
    inner.identities.sessions().store().watch(Arc::new(move |change, version| {
        let service = service.upgrade();
        Box::pin(async move {
            if let Some(service) = service {
                apply(&Sockets::from(service), change, version).await;
            }
        })
    }));
    let (weak, stop) = (Arc::downgrade(inner), inner.stop.clone());
    let recheck = inner.identities.recheck();
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
                Some(id) if !sockets.identities().is_custom() => {
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
        if let Err(error) = reload(sockets, &id, &connections).await {
            tracing::warn!(error = %error.internal_text(), "sessions could not be checked; they stay as they are");
            return;
        }
    }
    for connection in others {
        if let Some(raw) = connection.raw() {
            recheck(sockets, &connection, &raw).await;
        }
    }
}

/// A change of the store, on this node and on others.
async fn apply(sockets: &Sockets, change: Change, version: Version) {
    let identities = sockets.identities();
    if identities.is_custom() {
        return;
    }
    let id = change.id();
    let mut connections = of_session(sockets, &id.to_string());
    let mut target = None;
    let identity = match change {
        Change::Saved(record) => identities.sessions().identity(record),
        Change::Ended(_) => Identity::anonymous(),
        Change::Moved { to, by, .. } => {
            target = Some(to.id.to_string());
            let (follow, others) =
                connections.into_iter().partition(|connection| by == Some(connection.peer.address()));
            connections = follow;
            cut(&others);
            identities.sessions().identity(to)
        }
    };
    if let Err(error) = settle(sockets, &id, &connections, identity, version).await {
        tracing::warn!(error = %error.internal_text(), "a session could not be read again; its sockets are brought up to date within session.recheck");
    }
    if let Err(error) = sockets.inner().tell_others_of_session(&id.to_string(), target.as_deref()).await {
        tracing::warn!(%error, "other nodes could not be told of a session's change; they notice within session.recheck");
    }
}

/// Reads a session anew, on this node and on others.
pub(crate) async fn refresh(sockets: &Sockets, id: &str) -> Result {
    refresh_here(sockets, id, None).await?;
    sockets.inner().tell_others_of_session(id, None).await
}

/// Reads a session anew and brings this node's sockets up to date. Those of a session that has moved to another id come
/// back by themselves, with the cookie that their browser has then.
pub(crate) async fn refresh_here(sockets: &Sockets, id: &str, moved_to: Option<&str>) -> Result {
    let identities = sockets.identities();
    let connections = of_session(sockets, id);
    let own = id.parse::<Id>().ok().filter(|_| !identities.is_custom());
    identities.sessions().store().note_change(own.as_ref());
    let Some(id) = own else {
        for connection in connections {
            if let Some(raw) = connection.raw() {
                recheck(sockets, &connection, &raw).await;
            }
        }
        return Ok(());
    };
    if moved_to.is_some() {
        cut(&connections);
        return Ok(());
    }
    reload(sockets, &id, &connections).await.map_err(|error| Error::Store(error.internal_text()))
}

/// Finds out anew who one socket is. If that fails, it stays who it is until the next look.
pub(crate) async fn recheck(sockets: &Sockets, connection: &Arc<Connection>, raw: &Arc<RawSocket>) {
    let identities = sockets.identities();
    let checked = match connection.identity().session_id().and_then(|id| id.parse().ok()) {
        _ if identities.is_custom() => match identities.again(connection, raw).await {
            Ok(identity) => {
                become_one(connection, raw, identity).await;
                Ok(())
            }
            Err(error) => Err(error),
        },
        Some(id) => reload(sockets, &id, std::slice::from_ref(connection)).await,
        None => Ok(()),
    };
    if let Err(error) = checked {
        tracing::warn!(socket = %connection.sid, error = %error.internal_text(), "an identity could not be checked");
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
    if identities.is_custom() {
        return Err(EventError::forbidden());
    }
    let seen = identities.generation();
    let Some(identity) = identities.sessions().resolve(&value).await? else {
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

/// Brings sockets of a session up to what the store says of it now.
async fn reload(sockets: &Sockets, id: &Id, connections: &[Arc<Connection>]) -> Result<(), EventError> {
    if connections.is_empty() {
        return Ok(());
    }
    let sessions = sockets.identities().sessions();
    let version = sessions.store().version(id);
    let identity = sessions.load(id).await?.unwrap_or_default();
    settle(sockets, id, connections, identity, version).await
}

/// Gives the sockets of a session the identity it had at a version, and then what it has become since: of two changes
/// that overtake each other on the way here, the later one must win.
async fn settle(
    sockets: &Sockets,
    id: &Id,
    connections: &[Arc<Connection>],
    mut identity: Identity,
    mut version: Version,
) -> Result<(), EventError> {
    let sessions = sockets.identities().sessions();
    let name = id.to_string();
    loop {
        // All of them first: what a socket runs next on one channel must not depend on how long another channel takes to
        // decide.
        let mut changed = Vec::new();
        for connection in connections {
            // One that has become somebody else's meanwhile is none of this session's business.
            let raw = connection.raw().filter(|_| connection.identity().session_id() == Some(&name));
            if let Some(raw) = raw
                && change(connection, &raw, identity.clone())
            {
                changed.push((connection, raw));
            }
        }
        for (connection, raw) in changed {
            stay_or_leave(connection, &raw).await;
        }
        let now = sessions.store().version(id);
        if now == version {
            return Ok(());
        }
        version = now;
        identity = sessions.load(id).await?.unwrap_or_default();
    }
}

/// Makes sockets nobody's and cuts their connections, so that their clients connect anew by themselves and are
/// identified by the cookie they have then. Somebody who holds no more than the old cookie is left with nothing.
fn cut(connections: &[Arc<Connection>]) {
    for connection in connections {
        if let Some(raw) = connection.raw() {
            connection.set_identity(&raw, Identity::anonymous());
        }
        connection.cut();
    }
}

/// Gives a socket its identity. One that is thereby no longer allowed where it is leaves the channel.
async fn become_one(connection: &Arc<Connection>, raw: &Arc<RawSocket>, identity: Identity) {
    if change(connection, raw, identity) {
        stay_or_leave(connection, raw).await;
    }
}

/// Gives a socket its identity; whether that is another one than before.
fn change(connection: &Connection, raw: &RawSocket, identity: Identity) -> bool {
    let before = connection.set_identity(raw, identity);
    let after = connection.identity();
    before.user_id() != after.user_id() || before.session_id() != after.session_id() || before.data() != after.data()
}

/// Asks the channel whether a socket may stay.
async fn stay_or_leave(connection: &Arc<Connection>, raw: &Arc<RawSocket>) {
    if !connection.mount.is_guarded() || connection.mailbox.is_closed() {
        return;
    }
    if let Err(error) = connection.mount.check(connection, raw).await {
        tracing::debug!(channel = %connection.mount.path, socket = %connection.sid, code = error.code(), "left the channel: it may no longer be there");
        crate::dispatch::turn_out(connection, raw, "you may no longer be on this channel");
    }
}
