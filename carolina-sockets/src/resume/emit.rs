//! Sending events to this node's clients, with offsets or without, and appending them to the log when they are numbered here.

use std::{collections::HashSet, sync::atomic::Ordering, time::SystemTime};

use tokio::time::Instant;

use super::{
    entry::Audience,
    log::{Log, Mode, State},
    session::ConnectionState,
    subscriber::Subscriber,
};
use crate::engine::{
    EncodedPayload, EngineNamespace, EngineSocket, NoArguments, Recipients, SendError, WeakEngineSocket,
};

/// The room of sockets that are sent offsets.
const OFFSETS_ROOM: &str = "\0resume";
/// The room of sockets that are not, or not yet.
pub(super) const PLAIN_ROOM: &str = "\0plain";

/// The event that tells a client an offset, and nothing else.
pub(super) const OFFSET_EVENT: &str = "carolina:offset";

impl Log {
    /// A socket comes in: until it has entered, no broadcast reaches it if its client has asked for offsets.
    pub(crate) fn prepare(subscriber: &Subscriber, raw: &EngineSocket) {
        if subscriber.wants_offsets() {
            raw.join(vec![PLAIN_ROOM.to_owned(), OFFSETS_ROOM.to_owned()]);
        } else {
            raw.join(vec![PLAIN_ROOM.to_owned()]);
        }
    }

    /// Sends an event to this node's clients and keeps it. Returns how many clients missed it that cannot resume.
    pub(crate) fn broadcast(
        &self,
        namespace: &EngineNamespace,
        payload: &EncodedPayload,
        recipients: &Recipients,
    ) -> usize {
        let mut state = self.state.lock();
        if let Mode::Offline { missing, .. } = &mut state.mode {
            *missing += u64::from(!recipients.is_local());
        }
        if state.sessions.is_empty() && self.with_offsets.load(Ordering::Acquire) == 0 {
            return namespace.emit_here(payload, recipients);
        }
        let payload_with_offset = payload.with_last(&state.offset(state.last + 1));
        let sender = recipients.left_out().and_then(|socket| state.by_socket.get(&socket).cloned());
        let missed = self.send(&state, namespace, payload, &payload_with_offset, recipients);
        self.append_here(&mut state, payload_with_offset, Audience::of(recipients, sender));
        missed
    }

    /// Sends an event to this node's clients: with the offset to those that have asked. Returns how many of the others have missed it.
    pub(super) fn send(
        &self,
        state: &State,
        namespace: &EngineNamespace,
        payload: &EncodedPayload,
        payload_with_offset: &EncodedPayload,
        recipients: &Recipients,
    ) -> usize {
        let missed = self.send_plain(namespace, payload, recipients);
        if !state.by_socket.is_empty() {
            let mut subscribers = recipients.clone();
            subscribers.exclude_rooms(vec![PLAIN_ROOM.to_owned()]);
            let missed = namespace.emit_here(payload_with_offset, &subscribers);
            if missed > 0 {
                close_full(state, namespace, &subscribers, missed);
            }
        }
        missed
    }

    /// Sends an event to those of this node's clients that have not asked for offsets. Returns how many have missed it.
    pub(super) fn send_plain(
        &self,
        namespace: &EngineNamespace,
        payload: &EncodedPayload,
        recipients: &Recipients,
    ) -> usize {
        match self.without_offsets.load(Ordering::Acquire) {
            0 => 0,
            _ => {
                let mut others = recipients.clone();
                others.exclude_rooms(vec![OFFSETS_ROOM.to_owned()]);
                namespace.emit_here(payload, &others)
            }
        }
    }

    /// Sends an event to one client that has asked for offsets, and keeps it if there was room.
    pub(crate) fn emit_to_one(
        &self,
        namespace: &EngineNamespace,
        subscriber: &Subscriber,
        raw: &EngineSocket,
        payload: &EncodedPayload,
    ) -> Result<(), SendError> {
        let Some(pid) = subscriber.pid.get() else { return Err(SendError::Closed) };
        let mut state = self.state.lock();
        if state.by_socket.get(&raw.id()) != Some(pid) || !raw.is_connected() {
            return Err(SendError::Closed);
        }
        let payload_with_offset = payload.with_last(&state.offset(state.last + 1));
        namespace.emit_to_one(raw, &payload_with_offset)?;
        self.append_here(&mut state, payload_with_offset, Audience::One(pid.clone()));
        Ok(())
    }

    /// Gives an event the next number, and stores it.
    fn append_here(&self, state: &mut State, payload: EncodedPayload, audience: Audience) {
        state.last += 1;
        self.store(state, payload, audience, 0, Instant::now(), SystemTime::now());
    }

    /// Sends the last offset to all clients that have asked for offsets: one that gets few of a channel's events has to know one that is not too old.
    pub(super) fn send_checkpoint(&self, state: &mut State) {
        if state.mode == Mode::Opening {
            return;
        }
        state.checkpoint = state.last;
        state.bytes_since_checkpoint = 0;
        if let Some(namespace) = state.namespace.clone()
            && let Ok(event) = EncodedPayload::event(OFFSET_EVENT, &NoArguments)
        {
            let mut subscribers = Recipients::all();
            subscribers.exclude_rooms(vec![PLAIN_ROOM.to_owned()]);
            // Who has no room for it gets another one later.
            namespace.emit_here(&event.with_last(&state.offset(state.last)), &subscribers);
        }
    }
}

/// The rooms of a socket that is sent offsets. `None` if it is just leaving: it has no rooms any more.
pub(super) fn joined_rooms(raw: &WeakEngineSocket) -> Option<HashSet<String>> {
    let rooms = raw.upgrade()?.rooms();
    rooms.iter().any(|room| room == OFFSETS_ROOM).then(|| own_rooms(rooms))
}

/// Without the engine's own, which say how a socket was served and not what it was for.
pub(super) fn own_rooms(rooms: Vec<String>) -> HashSet<String> {
    rooms.into_iter().filter(|room| !room.starts_with('\0')).collect()
}

/// Closes the connections of clients that have missed an event, so that they come back and get it.
fn close_full(state: &State, namespace: &EngineNamespace, recipients: &Recipients, missed: usize) {
    let sockets: Vec<EngineSocket> = namespace
        .local_sockets(recipients)
        .into_iter()
        .filter_map(|id| match &state.sessions.get(state.by_socket.get(&id)?)?.connection {
            ConnectionState::Connected { raw, .. } => raw.upgrade(),
            _ => None,
        })
        .collect();
    // The engine does not tell who they are: those that do not read, and those whose buffers are full at this moment. What is sent to learn that is no
    // text, which the official client would take for an offset.
    let probe = EncodedPayload::event(OFFSET_EVENT, &0);
    let is_full = |socket: &&EngineSocket| {
        let is_refused = |probe| matches!(namespace.emit_to_one(socket, probe), Err(SendError::Full));
        socket.is_blocked() || probe.as_ref().is_ok_and(is_refused)
    };
    let full: Vec<&EngineSocket> = sockets.iter().filter(is_full).collect();
    if full.len() >= missed {
        full.into_iter().for_each(EngineSocket::cut);
    } else {
        tracing::debug!(
            missed,
            clients = sockets.len(),
            "closed the connections of all, since some have missed an event"
        );
        sockets.iter().for_each(EngineSocket::cut);
    }
}
