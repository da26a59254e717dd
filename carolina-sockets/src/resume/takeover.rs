//! Clients that come back to another node: what the server knows of them, and how one node takes them over from the other.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use super::{
    Log, Owner,
    log::{Mode, State, WITH, own_rooms},
    session::{Asking, Away, Gap, Place, Reason, Record, Session, millis, time},
};
use crate::{
    backplane::{Bus, Kept, Question},
    engine::SocketId,
    identity::is_reserved,
};

/// How long the node that a client was on may take to say which rooms it was in.
const ANSWER: Duration = Duration::from_millis(500);

impl Log {
    /// Has the server told of a client.
    pub(super) fn touch(&self, state: &State, pid: &Arc<str>) {
        if let (Some(server), Some(session)) = (&self.server, state.sessions.get(pid)) {
            server.changed(self, pid, session.claim);
        }
    }

    pub(super) fn touch_every(&self, state: &State) {
        state.sessions.keys().for_each(|pid| self.touch(state, pid));
    }

    /// Has the server told again of the clients that are here.
    pub(super) fn touch_all(&self) {
        let state = self.state.lock();
        let here = state.sessions.iter().filter(|(_, session)| matches!(session.place, Place::On { .. }));
        here.for_each(|(pid, _)| self.touch(&state, pid));
    }

    /// What the server is to keep of a client, and for how long; no text if nothing. `None` if it is not to be told.
    pub(super) fn record(&self, pid: &Arc<str>) -> Option<(Option<String>, Duration)> {
        let state = self.state.lock();
        let window = self.settings.window;
        let Some(session) = state.sessions.get(pid) else { return Some((None, window)) };
        if state.mode != Mode::Shared {
            return None;
        }
        let now = millis(SystemTime::now());
        let is_own = |room: &String| !is_reserved(room);
        let (rooms, away, refused, keep) = match &session.place {
            Place::On { back: Some(away), .. } => (away.rooms.clone(), Some(away.time), false, window),
            Place::On { raw, back: None, .. } => {
                // One that is just leaving has no rooms any more, and is written again.
                let rooms = raw.upgrade()?.rooms();
                if !rooms.iter().any(|room| room == WITH) {
                    return None;
                }
                (own_rooms(rooms), None, false, window + window / 2)
            }
            Place::Away(away) => {
                let left = window.saturating_sub(away.since.elapsed());
                (away.rooms.clone(), Some(away.time), false, left)
            }
            Place::Refused { time, .. } => (HashSet::new(), Some(*time), true, window),
        };
        let record = Record {
            owner: session.owner.digest(),
            // What it knows is of another epoch, if it has not been told of this one.
            epoch: if session.turn == state.turn { state.epoch.as_str().to_owned() } else { String::new() },
            start: session.start,
            gap: session.gap,
            rooms: rooms.into_iter().filter(is_own).collect(),
            away: away.map(millis),
            at: now,
            refused,
        };
        serde_json::to_string(&record).ok().map(|text| (Some(text), keep))
    }

    /// Lets a client go that has come back to another node. Returns its socket, if it is still there, and its rooms, if they are known. What was to be done when
    /// it does not come back is not done.
    pub(crate) fn take(&self, pid: &str, claim: u64) -> Option<(Option<SocketId>, Option<Vec<String>>)> {
        let mut state = self.state.lock();
        // It may have come back here since.
        state.sessions.get(pid).filter(|session| session.claim < claim)?;
        let session = state.sessions.remove(pid)?;
        let own = |rooms: HashSet<String>| rooms.into_iter().filter(|room| !is_reserved(room)).collect();
        Some(match session.place {
            Place::On { id, raw, back } => {
                state.by_socket.remove(&id);
                // One that is just leaving has no rooms any more.
                let is_in = |rooms: &Vec<String>| rooms.iter().any(|room| room == WITH);
                let here = || raw.upgrade().map(|raw| raw.rooms()).filter(is_in).map(own_rooms);
                (Some(id), back.map(|away| away.rooms).or_else(here).map(own))
            }
            Place::Away(away) => (None, Some(own(away.rooms))),
            Place::Refused { .. } => (None, None),
        })
    }

    /// The server says that a client is another node's.
    pub(super) fn lose(&self, pid: &Arc<str>, claim: u64) {
        let raw = {
            let mut state = self.state.lock();
            // It may have come back meanwhile.
            if state.sessions.get(pid).is_none_or(|session| session.claim != claim) {
                return;
            }
            let session = state.sessions.remove(pid);
            match session.map(|session| session.place) {
                Some(Place::On { id, raw, .. }) => {
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

    /// Asks the server for the client that presents a `pid`, so that [`begin`](Self::begin) finds it. `rooms` are those of its session and user. Returns why it
    /// cannot be resumed, if that is known here.
    pub(crate) async fn fetch(&self, bus: &Bus, asking: &Asking, owner: &Owner, rooms: Vec<String>) -> Option<Gap> {
        let server = self.server.as_ref()?;
        self.ready().await;
        let pid = asking.asks.as_ref()?.pid.as_deref()?;
        // Whatever else it is, the server does not have it.
        if pid.len() != 32 || !pid.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        if self.state.lock().mode != Mode::Shared {
            return None;
        }
        // Whoever takes it in between has to be asked then.
        for _ in 0..3 {
            let kept = match server.log.load(&self.path, pid).await {
                Ok(kept) => kept?,
                Err(error) => {
                    tracing::debug!(%error, "a client that comes back could not be looked for");
                    let is_here = self.state.lock().sessions.contains_key(pid);
                    return (!is_here).then(|| Gap::new(Reason::Node, None));
                }
            };
            // Taken over by this node, and still waiting for the one that it was on.
            let is_coming = kept.node == server.log.node();
            if is_coming && self.state.lock().sessions.contains_key(pid) {
                return None;
            }
            let Ok(record) = serde_json::from_str::<Record>(&kept.data) else {
                return Some(Gap::new(Reason::Expired, None));
            };
            if record.owner != owner.digest() {
                return Some(Gap::new(Reason::Identity, None));
            }
            let since = time(record.away.unwrap_or(record.at));
            if record.refused {
                return Some(Gap::new(Reason::Identity, Some(since)));
            }
            // What a node has written of a client that is there may be a while old.
            let most =
                self.settings.window + if record.away.is_none() { self.settings.window / 2 } else { Duration::ZERO };
            if since.elapsed().is_ok_and(|ago| ago > most) {
                return Some(Gap::new(Reason::Expired, Some(since)));
            }
            match server.log.claim(&self.path, pid, &kept).await {
                Ok(true) => {
                    let is_installed = self.install(bus, pid, owner, &kept, record, rooms).await;
                    // It has come once more meanwhile.
                    return (!is_installed).then(|| Gap::new(Reason::Node, Some(since)));
                }
                Ok(false) => {}
                Err(error) => {
                    tracing::debug!(%error, "a client that comes back could not be taken over");
                    return Some(Gap::new(Reason::Node, Some(since)));
                }
            }
        }
        Some(Gap::new(Reason::Node, None))
    }

    /// Takes over a client of another node, as one that is away. `false` if that has been done once more meanwhile.
    async fn install(
        &self,
        bus: &Bus,
        pid: &str,
        owner: &Owner,
        kept: &Kept,
        record: Record,
        identity_rooms: Vec<String>,
    ) -> bool {
        let claim = kept.claim + 1;
        let question = Question::Moved { path: self.path.clone(), pid: pid.to_owned(), from: kept.node, claim };
        let mut rooms = record.rooms;
        if kept.node == self.node() {
            // Nobody else has anything of it.
        } else if record.away.is_some() {
            // What it had is known; that node needs no more than to know.
            let bus = bus.clone();
            tokio::spawn(async move { tokio::time::timeout(ANSWER, bus.ask(question, 1)).await });
        } else if let Ok(Ok(answers)) = tokio::time::timeout(ANSWER, bus.ask(question, 1)).await
            && let Some(Ok(Some(told))) = answers.first().map(|answer| serde_json::from_str::<Option<_>>(answer))
        {
            // Otherwise that node has ended, or has not taken the client over itself yet, and what was written last holds.
            rooms = told;
        }
        let time = time(record.away.unwrap_or(record.at));
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
            place: Place::Away(Away { since, time, rooms, late: None, slot: None }),
            turn: if is_current { state.turn } else { u64::MAX },
            claim,
            node: kept.node,
        };
        state.sessions.insert(pid.into(), session);
        true
    }
}
