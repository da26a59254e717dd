//! What becomes of a session when its socket leaves, and when its client does not come back in time.

use std::{sync::Arc, time::SystemTime};

use tokio::time::Instant;

use super::{
    emit::own_rooms,
    log::{Log, State},
    session::{ConnectionState, Disconnected, ExpiryCallback, LeaveCause, Owner},
    subscriber::Subscriber,
};
use crate::engine::SocketId;

impl Log {
    /// A socket has left before it was in, so that [`leave`](Self::leave) may not have known it.
    pub(crate) fn abandon(&self, subscriber: &Subscriber, id: SocketId) {
        self.leave(subscriber, id, LeaveCause::ConnectionLost { rooms: Vec::new(), on_expiry: None });
    }

    /// The owner of a socket's `pid` is another now.
    pub(crate) fn set_owner(&self, subscriber: &Subscriber, owner: Owner) {
        let Some(pid) = subscriber.pid.get() else { return };
        let mut state = self.state.lock();
        if let Some(session) = state.sessions.get_mut(pid) {
            session.owner = owner;
            self.schedule_write(&state, pid);
        }
    }

    /// The socket is in other rooms now.
    pub(crate) fn rooms_changed(&self, subscriber: &Subscriber) {
        if let (Some(pid), Some(_)) = (subscriber.pid.get(), &self.server) {
            self.schedule_write(&self.state.lock(), pid);
        }
    }

    /// A socket has left. Nothing happens if its client has come back already, on another one.
    pub(crate) fn leave(&self, subscriber: &Subscriber, id: SocketId, cause: LeaveCause) {
        let Some(pid) = subscriber.pid.get() else { return };
        let on_expiry = self.left(&mut self.state.lock(), pid, id, cause);
        if let Some(on_expiry) = on_expiry {
            on_expiry();
        }
    }

    /// Returns what is to be called for a client that cannot come back.
    fn left(&self, state: &mut State, pid: &Arc<str>, id: SocketId, cause: LeaveCause) -> Option<ExpiryCallback> {
        if state.by_socket.get(&id) == Some(pid) {
            state.by_socket.remove(&id);
        }
        let session = state.sessions.get_mut(pid)?;
        let ConnectionState::Connected { id: current, resuming, .. } = &mut session.connection else { return None };
        if *current != id {
            // The former socket of a client that has come back already; it may be cut before it is in.
            if let (LeaveCause::ConnectionLost { on_expiry, .. }, Some(resuming)) = (cause, resuming) {
                resuming.on_expiry = on_expiry;
            }
            return None;
        }
        let resuming = resuming.take();
        let (since, time) = (Instant::now(), SystemTime::now());
        let (connection, on_expiry) = match (cause, resuming) {
            // It was not in yet, and may come back to what it had.
            (LeaveCause::ConnectionLost { .. }, Some(mut disconnected)) => {
                disconnected.slot = disconnected.slot.or_else(|| self.slots.take());
                match disconnected.slot {
                    Some(_) => (Some(ConnectionState::Disconnected(disconnected)), None),
                    None => (None, disconnected.on_expiry),
                }
            }
            (LeaveCause::ConnectionLost { rooms, on_expiry }, None) => match self.slots.take() {
                Some(slot) => {
                    let rooms = own_rooms(rooms);
                    let disconnected = Disconnected { since, time, rooms, on_expiry, slot: Some(slot) };
                    (Some(ConnectionState::Disconnected(disconnected)), None)
                }
                None => (None, on_expiry),
            },
            (LeaveCause::Left, resuming) => (None, resuming.and_then(|disconnected| disconnected.on_expiry)),
            (LeaveCause::Revoked, resuming) => {
                let connection = self.slots.take().map(|slot| ConnectionState::Revoked { since, time, _slot: slot });
                (connection, resuming.and_then(|disconnected| disconnected.on_expiry))
            }
        };
        self.schedule_write(state, pid);
        match (connection, state.sessions.get_mut(pid)) {
            (Some(connection), Some(session)) => session.connection = connection,
            // Whoever presents its `pid` is told that it is too late.
            _ => drop(state.sessions.remove(pid)),
        }
        on_expiry
    }

    /// Removes the sessions of clients that can no longer come back. Returns what is to be called for them.
    pub(super) fn expire_sessions(&self, state: &mut State) -> Vec<ExpiryCallback> {
        let window = self.settings.window;
        let mut expired = Vec::new();
        state.sessions.retain(|_, session| match &mut session.connection {
            ConnectionState::Disconnected(disconnected) if disconnected.since.elapsed() > window => {
                expired.extend(disconnected.on_expiry.take());
                false
            }
            ConnectionState::Revoked { since, .. } => since.elapsed() <= window,
            _ => true,
        });
        expired
    }

    /// The service ends: no client is waited for any more.
    pub(super) fn end(&self) {
        let take = |connection: &mut ConnectionState| match connection {
            ConnectionState::Disconnected(disconnected) => disconnected.on_expiry.take(),
            ConnectionState::Connected { .. } | ConnectionState::Revoked { .. } => None,
        };
        let ended: Vec<_> = {
            let mut state = self.state.lock();
            state.sessions.values_mut().filter_map(|session| take(&mut session.connection)).collect()
        };
        ended.into_iter().for_each(|on_expiry| on_expiry());
    }
}
