//! How a client resumes: it is found by its `pid` and its offset, given the events that it missed, and made a recipient of what follows.

use std::{collections::HashSet, sync::Arc, time::SystemTime};

use tokio::time::Instant;

use super::{
    emit::{OFFSET_EVENT, PLAIN_ROOM, joined_rooms},
    gap::{GAP_EVENT, Gap, GapReason},
    log::{Log, Mode, State},
    session::{ConnectionState, Disconnected, Owner, Session},
    subscriber::Subscriber,
};
use crate::{
    engine::{EncodedPayload, EngineNamespace, EngineSocket, NoArguments, SendError, SocketId},
    telemetry::metric,
};

/// What a client resumed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resumption {
    /// When its connection was lost, as far as the server noticed.
    pub since: SystemTime,
    /// How many events it has missed and was given.
    pub events: usize,
}

/// How far the events that a client has missed have been sent to it.
pub(crate) struct Replay {
    pid: Arc<str>,
    owner: Owner,
    /// The node that it was on.
    node: u64,
    /// The index of the epoch that the position is in.
    epoch_index: u64,
    /// The number of the last event that was sent or is not for it.
    position: u64,
    rooms: HashSet<String>,
    /// How many events were sent.
    events: usize,
    since: Option<SystemTime>,
    gap: Option<Gap>,
    is_answered: bool,
    /// Its former socket, if that is still there.
    pub(crate) former: Option<SocketId>,
}

/// What has come of a replay.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ReplayStatus {
    Done,
    /// Its buffer has no room at present.
    Full,
    /// It has left meanwhile.
    Left,
    /// It cannot be let in.
    Failed,
}

impl Log {
    /// Decides whether a client resumes. What it has missed is sent by [`replay`](Self::replay). `refused` is why its session could not be claimed from
    /// the server between the nodes.
    pub(crate) fn begin_resume(
        &self,
        namespace: &EngineNamespace,
        subscriber: &Subscriber,
        raw: &EngineSocket,
        owner: Owner,
        refused: Option<Gap>,
    ) -> Option<Replay> {
        let request = subscriber.request.as_ref()?;
        let mut guard = self.state.lock();
        let state = &mut *guard;
        state.namespace.get_or_insert_with(|| namespace.clone());
        let found = request.pid.as_deref().map(|pid| match refused {
            Some(gap) => Err(gap),
            None => self.find(state, pid, request.offset.as_deref(), &owner),
        });
        let node = self.node();
        let connected = |resuming| ConnectionState::Connected { id: raw.id(), raw: raw.downgrade(), resuming };
        let replay = match found {
            Some(Ok(replay)) => {
                if let Some(session) = state.sessions.get_mut(&replay.pid) {
                    let resuming = match std::mem::replace(&mut session.connection, connected(None)) {
                        ConnectionState::Disconnected(disconnected)
                        | ConnectionState::Connected { resuming: Some(disconnected), .. } => disconnected,
                        ConnectionState::Connected { .. } | ConnectionState::Revoked { .. } => Disconnected {
                            since: Instant::now(),
                            time: SystemTime::now(),
                            rooms: replay.rooms.clone(),
                            on_expiry: None,
                            slot: None,
                        },
                    };
                    session.connection = connected(Some(resuming));
                }
                if let Some(former) = replay.former {
                    state.by_socket.remove(&former);
                }
                // A connection has one socket at most on a channel.
                Replay { former: replay.former.filter(|former| *former != raw.id()), ..replay }
            }
            other => {
                let gap = other.and_then(Result::err);
                // The numbers that its client knows are smaller, which shows whether it has received the gap.
                state.last += u64::from(gap.is_some() && state.mode != Mode::Shared);
                let pid: Arc<str> = format!("{:032x}", rand::random::<u128>()).into();
                let (start, epoch_index) = (state.last, state.epoch_index);
                let session = Session {
                    owner: owner.clone(),
                    start,
                    gap,
                    connection: connected(None),
                    epoch_index,
                    claim: 0,
                    node,
                };
                state.sessions.insert(pid.clone(), session);
                Replay {
                    pid,
                    owner,
                    node,
                    epoch_index,
                    position: state.last,
                    rooms: HashSet::new(),
                    events: 0,
                    since: None,
                    gap,
                    is_answered: false,
                    former: None,
                }
            }
        };
        let _ = subscriber.pid.set(replay.pid.clone());
        if let Some(reason) = replay.gap.map(|gap| gap.reason.label()).or(replay.since.map(|_| "resumed")) {
            metric::resumed(reason);
        }
        Some(replay)
    }

    /// The session of the client that has presented a `pid`, and what it has missed.
    fn find(&self, state: &State, pid: &str, offset: Option<&str>, owner: &Owner) -> Result<Replay, Gap> {
        let (epoch, number) = match offset.map(|offset| offset.split_once(':')) {
            None => (state.epoch.as_str(), None),
            Some(Some((epoch, number))) => (epoch, number.parse::<u64>().ok()),
            Some(None) => ("", None),
        };
        // Only the offset in the event that tells of a gap has a zero before the number.
        let has_received_gap = offset.is_some_and(|offset| offset.contains(":0") && !offset.ends_with(":0"));
        let gap = Gap::new;
        let Some((pid, session)) = state.sessions.get_key_value(pid) else {
            // It may have come to an instance whose log has gone meanwhile.
            let is_known = match state.mode {
                Mode::Shared => epoch == state.epoch.as_str(),
                _ => state.epoch.is_of_this_start(epoch),
            };
            let is_offline = matches!(state.mode, Mode::Offline { .. });
            let elsewhere = if is_offline { GapReason::Node } else { GapReason::Epoch };
            return Err(gap(if is_known { GapReason::Expired } else { elsewhere }, None));
        };
        // Another client is told nothing of it, not even the time.
        if session.owner != *owner {
            return Err(gap(GapReason::Identity, None));
        }
        let (since, rooms, former) = match &session.connection {
            ConnectionState::Revoked { time, .. } => return Err(gap(GapReason::Identity, Some(*time))),
            ConnectionState::Disconnected(disconnected) if disconnected.since.elapsed() > self.settings.window => {
                return Err(gap(GapReason::Expired, Some(disconnected.time)));
            }
            ConnectionState::Disconnected(disconnected) => (disconnected.time, disconnected.rooms.clone(), None),
            ConnectionState::Connected { id, resuming: Some(disconnected), .. } => {
                (disconnected.time, disconnected.rooms.clone(), Some(*id))
            }
            ConnectionState::Connected { id, raw, resuming: None } => {
                let now = SystemTime::now();
                let Some(rooms) = joined_rooms(raw) else { return Err(gap(GapReason::Expired, Some(now))) };
                (now, rooms, Some(*id))
            }
        };
        // Its connection was cut between the answer and the gap.
        let is_before = |number: u64| {
            // Where numbers are made here, the client's first one is greater than all that it can know.
            number < session.start || (number == session.start && !has_received_gap && state.mode == Mode::Shared)
        };
        if let Some(untold) = session.gap.filter(|_| number.is_none_or(is_before)) {
            return Err(untold);
        }
        let position = match (offset, number) {
            (None, _) if session.epoch_index == state.epoch_index => session.start,
            // What was sent before it came is not for it.
            (Some(_), Some(number)) if epoch == state.epoch.as_str() && number <= state.last => {
                number.max(session.start)
            }
            _ => return Err(gap(GapReason::Epoch, Some(since))),
        };
        if position < state.trimmed {
            let known = state.entries.front().map(|first| first.time).filter(|_| !state.overflowed);
            let reason = if state.overflowed { GapReason::Overflow } else { GapReason::Expired };
            return Err(gap(reason, Some(known.unwrap_or(since).min(since))));
        }
        Ok(Replay {
            pid: pid.clone(),
            owner: owner.clone(),
            node: session.node,
            epoch_index: state.epoch_index,
            position,
            rooms,
            events: 0,
            since: Some(since),
            gap: None,
            is_answered: false,
            former,
        })
    }

    /// Gives a client what it has missed, in order, then the answer to its CONNECT, and makes it a recipient of what follows. `enter` puts it into rooms;
    /// `false` if it has left.
    pub(crate) fn replay(
        &self,
        namespace: &EngineNamespace,
        subscriber: &Subscriber,
        raw: &EngineSocket,
        replay: &mut Replay,
        enter: impl FnOnce(Vec<String>, &dyn Fn()) -> bool,
    ) -> ReplayStatus {
        let mut state = self.state.lock();
        let failed = |error| match error {
            SendError::Full => ReplayStatus::Full,
            SendError::Closed | SendError::Serialize(_) => ReplayStatus::Failed,
        };
        // It may have logged out or in meanwhile.
        let is_owner = state.sessions.get(&replay.pid).is_some_and(|session| session.owner == replay.owner);
        if replay.position < state.trimmed || replay.epoch_index != state.epoch_index || !is_owner {
            return ReplayStatus::Failed;
        }
        let first = state.entries.partition_point(|entry| entry.number <= replay.position);
        for entry in state.entries.iter().skip(first) {
            if entry.audience.includes(&replay.pid, &replay.rooms, replay.node) {
                if let Err(error) = namespace.emit_to_one(raw, &entry.payload) {
                    return failed(error);
                }
                replay.events += 1;
            }
            replay.position = entry.number;
        }
        if !replay.is_answered {
            if let Err(error) = namespace.answer_connect(raw, &replay.pid) {
                return failed(error);
            }
            replay.is_answered = true;
        }
        let event = match &replay.gap {
            Some(gap) => EncodedPayload::event(GAP_EVENT, gap),
            None => EncodedPayload::event(OFFSET_EVENT, &NoArguments),
        };
        let Ok(event) = event else { return ReplayStatus::Failed };
        let offset = match &replay.gap {
            Some(_) => state.gap_offset(state.last),
            None => state.offset(state.last),
        };
        if let Err(error) = namespace.emit_to_one(raw, &event.with_last(&offset)) {
            return failed(error);
        }
        let _ = subscriber.resumed.set(replay.since.map(|since| Resumption { since, events: replay.events }));
        let rooms = replay.rooms.iter().cloned().collect();
        if !enter(rooms, &|| raw.leave(vec![PLAIN_ROOM.to_owned()])) {
            return ReplayStatus::Left;
        }
        state.by_socket.insert(raw.id(), replay.pid.clone());
        if let Some(session) = state.sessions.get_mut(&replay.pid)
            && let ConnectionState::Connected { resuming, .. } = &mut session.connection
        {
            *resuming = None;
            session.node = self.node();
        }
        self.schedule_write(&state, &replay.pid);
        ReplayStatus::Done
    }
}
