//! Sessions that move from one node to another: what the server between the nodes stores of each, and how a node claims one.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use super::{
    Log, Owner,
    emit::joined_rooms,
    gap::{Gap, GapReason, millis, time},
    log::{Mode, State},
    session::{ConnectionState, Disconnected, Session, SessionRecord},
    subscriber::Subscriber,
};
use crate::{
    backplane::{Bus, Question, StoredSession},
    engine::SocketId,
    identity::is_reserved,
};

/// How long the node that a client was on may take to answer which rooms it was in.
const TAKEOVER_TIMEOUT: Duration = Duration::from_millis(500);

impl Log {
    /// Has a session written to the server.
    pub(super) fn schedule_write(&self, state: &State, pid: &Arc<str>) {
        if let (Some(server), Some(session)) = (&self.server, state.sessions.get(pid)) {
            server.schedule_write(self, pid, session.claim);
        }
    }

    pub(super) fn schedule_all_writes(&self, state: &State) {
        state.sessions.keys().for_each(|pid| self.schedule_write(state, pid));
    }

    /// Has the sessions of the clients that are connected written to the server again.
    pub(super) fn schedule_connected_writes(&self) {
        let state = self.state.lock();
        let is_connected = |session: &Session| matches!(session.connection, ConnectionState::Connected { .. });
        let connected = state.sessions.iter().filter(|(_, session)| is_connected(session));
        connected.for_each(|(pid, _)| self.schedule_write(&state, pid));
    }

    /// What the server is to store of a session, and for how long: no text where it is to forget it. `None` where nothing is to be written.
    pub(super) fn session_record(&self, pid: &Arc<str>) -> Option<(Option<String>, Duration)> {
        let state = self.state.lock();
        let window = self.settings.window;
        let Some(session) = state.sessions.get(pid) else { return Some((None, window)) };
        if state.mode != Mode::Shared {
            return None;
        }
        let is_own = |room: &String| !is_reserved(room);
        let (rooms, disconnected_at, revoked, ttl) = match &session.connection {
            ConnectionState::Connected { resuming: Some(disconnected), .. } => {
                (disconnected.rooms.clone(), Some(disconnected.time), false, window)
            }
            ConnectionState::Connected { raw, resuming: None, .. } => {
                // One that is just leaving is written again.
                (joined_rooms(raw)?, None, false, window + window / 2)
            }
            ConnectionState::Disconnected(disconnected) => {
                let left = window.saturating_sub(disconnected.since.elapsed());
                (disconnected.rooms.clone(), Some(disconnected.time), false, left)
            }
            ConnectionState::Revoked { time, .. } => (HashSet::new(), Some(*time), true, window),
        };
        let record = SessionRecord {
            owner: session.owner.digest(),
            // The offset that it knows is of another epoch, if it has not been sent a gap since.
            epoch: if session.epoch_index == state.epoch_index {
                state.epoch.as_str().to_owned()
            } else {
                String::new()
            },
            start: session.start,
            gap: session.gap,
            rooms: rooms.into_iter().filter(is_own).collect(),
            disconnected_at: disconnected_at.map(millis),
            written_at: millis(SystemTime::now()),
            revoked,
        };
        serde_json::to_string(&record).ok().map(|text| (Some(text), ttl))
    }

    /// Releases the session of a client that has come back to another node. Returns its socket, if it is still there, and its rooms, if they are known.
    /// `on_expiry` is not called.
    pub(crate) fn release_session(&self, pid: &str, claim: u64) -> Option<(Option<SocketId>, Option<Vec<String>>)> {
        let mut state = self.state.lock();
        // It may have come back here since.
        state.sessions.get(pid).filter(|session| session.claim < claim)?;
        let session = state.sessions.remove(pid)?;
        let own = |rooms: HashSet<String>| rooms.into_iter().filter(|room| !is_reserved(room)).collect();
        Some(match session.connection {
            ConnectionState::Connected { id, raw, resuming } => {
                state.by_socket.remove(&id);
                let rooms = resuming.map(|disconnected| disconnected.rooms).or_else(|| joined_rooms(&raw));
                (Some(id), rooms.map(own))
            }
            ConnectionState::Disconnected(disconnected) => (None, Some(own(disconnected.rooms))),
            ConnectionState::Revoked { .. } => (None, None),
        })
    }

    /// Removes a session that is another node's, as the server says.
    pub(super) fn drop_session(&self, pid: &Arc<str>, claim: u64) {
        let raw = {
            let mut state = self.state.lock();
            // It may have come back meanwhile.
            if state.sessions.get(pid).is_none_or(|session| session.claim != claim) {
                return;
            }
            let session = state.sessions.remove(pid);
            match session.map(|session| session.connection) {
                Some(ConnectionState::Connected { id, raw, .. }) => {
                    state.by_socket.remove(&id);
                    raw.upgrade()
                }
                _ => None,
            }
        };
        if let Some(raw) = raw {
            raw.cut();
        }
    }

    /// Claims the session with the `pid` that a client presents, so that [`begin_resume`](Self::begin_resume) finds it. `rooms` are those of its log-in and user.
    /// Returns why it cannot be resumed, if that is known here.
    pub(crate) async fn claim_session(
        &self,
        bus: &Bus,
        subscriber: &Subscriber,
        owner: &Owner,
        rooms: Vec<String>,
    ) -> Option<Gap> {
        let server = self.server.as_ref()?;
        self.wait_open().await;
        let pid = subscriber.request.as_ref()?.pid.as_deref()?;
        // Whatever else it is, the server does not have it.
        if pid.len() != 32 || !pid.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        if self.state.lock().mode != Mode::Shared {
            return None;
        }
        // Whoever takes it in between has to be asked then.
        for _ in 0..3 {
            let stored = match server.log.load_session(&self.path, pid).await {
                Ok(stored) => stored?,
                Err(error) => {
                    tracing::debug!(%error, "the session of a client that comes back could not be read");
                    let is_here = self.state.lock().sessions.contains_key(pid);
                    return (!is_here).then(|| Gap::new(GapReason::Node, None));
                }
            };
            // Claimed by this node, and still waiting for the one that it was on.
            let is_claimed = stored.node == server.log.node();
            if is_claimed && self.state.lock().sessions.contains_key(pid) {
                return None;
            }
            let Ok(record) = serde_json::from_str::<SessionRecord>(&stored.data) else {
                return Some(Gap::new(GapReason::Expired, None));
            };
            if record.owner != owner.digest() {
                return Some(Gap::new(GapReason::Identity, None));
            }
            let since = time(record.disconnected_at.unwrap_or(record.written_at));
            if record.revoked {
                return Some(Gap::new(GapReason::Identity, Some(since)));
            }
            // What a node has written of a client that is there may be a while old.
            let most = self.settings.window
                + if record.disconnected_at.is_none() { self.settings.window / 2 } else { Duration::ZERO };
            if since.elapsed().is_ok_and(|ago| ago > most) {
                return Some(Gap::new(GapReason::Expired, Some(since)));
            }
            match server.log.claim_session(&self.path, pid, &stored).await {
                Ok(true) => {
                    let is_installed = self.install_session(bus, pid, owner, &stored, record, rooms).await;
                    // It has come once more meanwhile.
                    return (!is_installed).then(|| Gap::new(GapReason::Node, Some(since)));
                }
                Ok(false) => {}
                Err(error) => {
                    tracing::debug!(%error, "the session of a client that comes back could not be claimed");
                    return Some(Gap::new(GapReason::Node, Some(since)));
                }
            }
        }
        Some(Gap::new(GapReason::Node, None))
    }

    /// Adds a session that was claimed, as that of a disconnected client. `false` if it has been claimed once more meanwhile.
    async fn install_session(
        &self,
        bus: &Bus,
        pid: &str,
        owner: &Owner,
        stored: &StoredSession,
        record: SessionRecord,
        identity_rooms: Vec<String>,
    ) -> bool {
        let claim = stored.claim + 1;
        let question = Question::Moved { path: self.path.clone(), pid: pid.to_owned(), from: stored.node, claim };
        let mut rooms = record.rooms;
        if stored.node == self.node() {
            // Nobody else has anything of it.
        } else if record.disconnected_at.is_some() {
            // What it had is known; that node needs no more than to know.
            let bus = bus.clone();
            tokio::spawn(async move { tokio::time::timeout(TAKEOVER_TIMEOUT, bus.ask(question, 1)).await });
        } else if let Ok(Ok(answers)) = tokio::time::timeout(TAKEOVER_TIMEOUT, bus.ask(question, 1)).await
            && let Some(Ok(Some(answered))) = answers.first().map(|answer| serde_json::from_str::<Option<_>>(answer))
        {
            // Otherwise that node has ended, or has not taken the client over itself yet, and what was written last holds.
            rooms = answered;
        }
        let time = time(record.disconnected_at.unwrap_or(record.written_at));
        let ago = time.elapsed().unwrap_or_default();
        let since = Instant::now().checked_sub(ago.min(self.settings.window)).unwrap_or_else(Instant::now);
        let rooms = rooms.into_iter().filter(|room| !room.starts_with('\0')).chain(identity_rooms).collect();
        let mut state = self.state.lock();
        if state.sessions.get(pid).is_some_and(|session| session.claim > claim) {
            return false;
        }
        let is_current = record.epoch == state.epoch.as_str();
        let session = Session {
            owner: owner.clone(),
            start: if is_current { record.start } else { 0 },
            gap: record.gap.filter(|_| is_current),
            connection: ConnectionState::Disconnected(Disconnected { since, time, rooms, on_expiry: None, slot: None }),
            epoch_index: if is_current { state.epoch_index } else { u64::MAX },
            claim,
            node: stored.node,
        };
        state.sessions.insert(pid.into(), session);
        true
    }
}
