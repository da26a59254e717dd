//! Log-in and log-out on connected sockets (rule R11): every change of a session is applied to its sockets, which
//! change rooms and leave channels that they may no longer be on.

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
    time::{Duration, SystemTime},
};

use serde_json::Value as Json;
use tower_sessions::session::Id;

use crate::{
    background::Background,
    backplane::{Bus, Message},
    core::{ChannelCore, Services, SocketState, disconnect_unauthorized, end},
    engine::{DisconnectReason, EngineSocket, EventPayload, from_text},
    error::{Error, EventError, Result},
    identity::{Change, Handshake, Identity, Version, session_room},
};

/// How often expired identities are looked for.
const TICK: Duration = Duration::from_secs(1);

/// Keeps the identities of a service's sockets up to date.
pub(crate) struct SessionSync {
    channels: Vec<Arc<ChannelCore>>,
    services: Arc<Services>,
    bus: Bus,
}

impl SessionSync {
    pub(crate) fn new(channels: Vec<Arc<ChannelCore>>, services: Arc<Services>, bus: Bus) -> Arc<Self> {
        Arc::new(Self { channels, services, bus })
    }

    /// Starts following the store's changes, and checking for changes made elsewhere, until the service ends.
    pub(crate) fn start(self: &Arc<Self>, background: &Background) {
        let weak = Arc::downgrade(self);
        self.services.identities.sessions().store().set_listener(Arc::new(move |change, version| {
            let this = weak.upgrade();
            Box::pin(async move {
                if let Some(this) = this {
                    this.apply(change, version).await;
                }
            })
        }));
        background.spawn(sweep_regularly(Arc::downgrade(self), self.services.identities.recheck()));
    }

    /// Updates sockets whose identity has expired; with `all`, the sockets of every session.
    async fn sweep(&self, all: bool) {
        let now = SystemTime::now();
        let mut sessions: BTreeMap<String, Vec<Arc<SocketState>>> = BTreeMap::new();
        let mut others = Vec::new();
        for channel in &self.channels {
            for socket in channel.sockets() {
                let identity = socket.identity();
                if !all && identity.expires_at().is_none_or(|at| at > now) {
                    continue;
                }
                match identity.session_id() {
                    Some(id) if !self.services.identities.is_custom() => {
                        sessions.entry(id.to_owned()).or_default().push(socket);
                    }
                    _ if identity.expires_at().is_some_and(|at| at <= now) => others.push(socket),
                    _ => {}
                }
            }
        }
        // One read from the store per session, however many sockets it has.
        for (id, sockets) in sessions {
            let Ok(id) = id.parse::<Id>() else { continue };
            if let Err(error) = self.reload(&id, &sockets).await {
                tracing::warn!(error = %error.internal_text(), "sessions could not be checked; they stay as they are");
                return;
            }
        }
        for socket in others {
            if let Some(raw) = socket.raw() {
                self.recheck(&socket, &raw).await;
            }
        }
    }

    /// Applies a change of the store, on this node and on others.
    async fn apply(&self, change: Change, version: Version) {
        let identities = &self.services.identities;
        if identities.is_custom() {
            return;
        }
        let id = change.id();
        let sockets = self.session_sockets(&id.to_string());
        let mut target = None;
        let identity = match change {
            Change::Saved(record) => Some(identities.sessions().identity(record)),
            Change::Ended(_) => Some(Identity::anonymous()),
            Change::Moved { to, .. } => {
                // All of them: nothing tells the browser that logged in from somebody else who holds the old cookie, an
                // address that both may share least of all.
                reset_connections(&sockets);
                target = Some(to.to_string());
                None
            }
        };
        if let Some(identity) = identity
            && let Err(error) = self.update(&id, &sockets, identity, version).await
        {
            tracing::warn!(error = %error.internal_text(), "a session could not be read again; its sockets are brought up to date within session.recheck");
        }
        if let Err(error) = self.publish_session_change(&id.to_string(), target).await {
            tracing::warn!(%error, "other nodes could not be notified of a session's change; they notice within session.recheck");
        }
    }

    /// Reads a session again, on this node and on others.
    pub(crate) async fn refresh(&self, id: &str) -> Result {
        self.refresh_here(id, None).await?;
        self.publish_session_change(id, None).await
    }

    /// Reads a session again and updates this node's sockets. If the session got a new id, its sockets are disconnected
    /// and reconnect by themselves, with the browser's current cookie.
    pub(crate) async fn refresh_here(&self, id: &str, moved_to: Option<&str>) -> Result {
        let identities = &self.services.identities;
        let sockets = self.session_sockets(id);
        let own = id.parse::<Id>().ok().filter(|_| !identities.is_custom());
        identities.sessions().store().record_change(own.as_ref());
        let Some(id) = own else {
            for socket in sockets {
                if let Some(raw) = socket.raw() {
                    self.recheck(&socket, &raw).await;
                }
            }
            return Ok(());
        };
        if moved_to.is_some() {
            reset_connections(&sockets);
            return Ok(());
        }
        self.reload(&id, &sockets).await.map_err(|error| Error::store(error.into_cause()))
    }

    /// Identifies one socket again. If that fails, it keeps its identity until the next check.
    pub(crate) async fn recheck(&self, socket: &Arc<SocketState>, raw: &EngineSocket) {
        let identities = &self.services.identities;
        let checked = match socket.identity().session_id().and_then(|id| id.parse().ok()) {
            _ if identities.is_custom() => {
                let handshake = Handshake::new(socket.client.clone(), socket.auth.clone());
                match identities.identify_again(&handshake).await {
                    Ok(identity) => {
                        apply_identity(socket, raw, identity).await;
                        Ok(())
                    }
                    Err(error) => Err(error),
                }
            }
            Some(id) => self.reload(&id, std::slice::from_ref(socket)).await,
            None => Ok(()),
        };
        if let Err(error) = checked {
            tracing::warn!(socket = %socket.id, error = %error.internal_text(), "an identity could not be checked");
        }
    }

    /// The `session_id` event: the client presents its cookie's value (rule R10).
    pub(crate) async fn session_event(
        &self,
        socket: &Arc<SocketState>,
        raw: &EngineSocket,
        payload: &EventPayload,
    ) -> Result<(), EventError> {
        let value = match from_text::<Vec<Json>>(payload.text())?.into_iter().nth(1) {
            Some(Json::String(value)) => value,
            _ => return Err(EventError::invalid_payload("[1]", "the session cookie's value, a string")),
        };
        let identities = &self.services.identities;
        if identities.is_custom() {
            return Err(EventError::forbidden());
        }
        let seen = identities.generation();
        let Some(identity) = identities.sessions().resolve(&value).await? else {
            return Err(EventError::unauthenticated());
        };
        apply_identity(socket, raw, identity).await;
        // A log-out after the session was read did not find this socket in the session's room.
        if identities.generation() != seen {
            self.recheck(socket, raw).await;
        }
        Ok(())
    }

    /// Disconnects a user's sockets from every channel, on this node and on others.
    pub(crate) async fn disconnect_user(&self, user: &str) -> Result<usize> {
        let count = self.disconnect_user_here(user);
        self.bus.publish(Message::DisconnectUser { user: user.to_owned() }).await.map_err(Error::backplane)?;
        Ok(count)
    }

    /// The same on this node alone.
    pub(crate) fn disconnect_user_here(&self, user: &str) -> usize {
        let mut count = 0;
        for channel in &self.channels {
            for socket in channel.sockets() {
                if socket.identity().user_id() == Some(user)
                    && let Some(raw) = socket.raw()
                {
                    end(&socket, &raw, DisconnectReason::ServerDisconnect);
                    count += 1;
                }
            }
        }
        count
    }

    /// This node's sockets of a session.
    fn session_sockets(&self, id: &str) -> Vec<Arc<SocketState>> {
        self.channels.iter().flat_map(|channel| channel.in_room(&session_room(id))).collect()
    }

    /// Makes other nodes read a session again.
    async fn publish_session_change(&self, id: &str, moved_to: Option<String>) -> Result {
        let message = Message::Session { id: id.to_owned(), moved_to };
        self.bus.publish(message).await.map_err(Error::backplane)
    }

    /// Updates sockets of a session from the store.
    async fn reload(&self, id: &Id, sockets: &[Arc<SocketState>]) -> Result<(), EventError> {
        if sockets.is_empty() {
            return Ok(());
        }
        let sessions = self.services.identities.sessions();
        let version = sessions.store().version(id);
        let identity = sessions.load(id).await?.unwrap_or_default();
        self.update(id, sockets, identity, version).await
    }

    /// Applies the identity that a session had at a version, and then any later one: if two changes arrive out of
    /// order, the later one must win.
    async fn update(
        &self,
        id: &Id,
        sockets: &[Arc<SocketState>],
        mut identity: Identity,
        mut version: Version,
    ) -> Result<(), EventError> {
        let sessions = self.services.identities.sessions();
        let name = id.to_string();
        loop {
            // All identities are set before any channel is asked: a socket must not keep its old identity while another
            // channel's `#[on(authorize)]` runs.
            let mut changed = Vec::new();
            for socket in sockets {
                // Skip a socket that belongs to another session by now.
                let raw = socket.raw().filter(|_| socket.identity().session_id() == Some(&name));
                if let Some(raw) = raw
                    && let Some(before) = change(socket, &raw, identity.clone())
                {
                    changed.push((socket, raw, before));
                }
            }
            for (socket, raw, before) in changed {
                reauthorize(socket, &raw, before).await;
            }
            let now = sessions.store().version(id);
            if now == version {
                return Ok(());
            }
            version = now;
            identity = sessions.load(id).await?.unwrap_or_default();
        }
    }
}

/// Checks for expired identities every second, and all sessions every `session.recheck`.
async fn sweep_regularly(sync: Weak<SessionSync>, recheck: Duration) {
    let mut every = tokio::time::interval(TICK.min(recheck));
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut checked = tokio::time::Instant::now();
    loop {
        every.tick().await;
        let Some(sync) = sync.upgrade() else { return };
        let all = checked.elapsed() >= recheck;
        if all {
            checked = tokio::time::Instant::now();
        }
        sync.sweep(all).await;
    }
}

/// Makes sockets anonymous and closes their connections. Their clients reconnect by themselves and are identified by
/// the cookie they have then: a client that only has the old cookie stays anonymous.
fn reset_connections(sockets: &[Arc<SocketState>]) {
    let live: Vec<_> = sockets.iter().filter_map(|socket| Some((socket, socket.raw()?))).collect();
    // All of them first: sockets of one connection end with the first that is closed.
    for (socket, raw) in &live {
        let before = socket.set_identity(raw, Identity::anonymous());
        socket.leaves(DisconnectReason::SessionRenewed, before);
    }
    for (socket, raw) in live {
        end(socket, &raw, DisconnectReason::SessionRenewed);
    }
}

/// Sets a socket's identity. If the socket may no longer be on its channel, it is disconnected.
async fn apply_identity(socket: &Arc<SocketState>, raw: &EngineSocket, identity: Identity) {
    if let Some(before) = change(socket, raw, identity) {
        reauthorize(socket, raw, before).await;
    }
}

/// Sets a socket's identity; returns the previous one if it changed.
fn change(socket: &SocketState, raw: &EngineSocket, identity: Identity) -> Option<Identity> {
    let before = socket.set_identity(raw, identity);
    let after = socket.identity();
    let same = before.user_id() == after.user_id()
        && before.session_id() == after.session_id()
        && before.data() == after.data();
    (!same).then_some(before)
}

/// Runs the channel's authorization again and disconnects the socket if it fails, with the identity it had before.
async fn reauthorize(socket: &Arc<SocketState>, raw: &EngineSocket, before: Identity) {
    let handlers = socket.channel.handlers();
    if !handlers.may_refuse() || socket.mailbox.is_closed() {
        return;
    }
    if let Err(error) = handlers.authorize(socket, raw).await {
        tracing::debug!(channel = %socket.channel.path, socket = %socket.id, code = error.code(), "left the channel: it may no longer be there");
        let logged_out = before.user_id().is_some() && socket.identity().user_id().is_none();
        let reason = if logged_out { DisconnectReason::LoggedOut } else { DisconnectReason::NotAuthorized };
        disconnect_unauthorized(socket, raw, "you may no longer be on this channel", reason, before);
    }
}
