//! A log whose events are numbered by the server between the nodes: appending to it, and delivering what is appended.
//!
//! Each node has a replica of it ([`replica`](super::replica)), and delivers an event when the server notifies it, in the order of the numbers: what is missing
//! is read. While the server cannot be reached, events are numbered here, in an epoch of their own, and reach this node's clients alone. When it is back, its
//! log gets a new epoch, so that every client learns that events may be missing.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{sync::oneshot, time::Instant};

use super::{
    Log,
    entry::{Audience, EncodedEntry, ReceivedEntry},
    gap::time,
    log::{Mode, State},
    replica::REORDER_DELAY,
    server::Server,
    session::ConnectionState,
    subscriber::Subscriber,
};
use crate::{
    backplane::{AppendNotification, Position, record_lost},
    engine::{EncodedPayload, EngineNamespace, EngineSocket, Recipients, SendError},
    telemetry::{Cause, metric, refused, undelivered},
};

/// How long an emit waits until its event is delivered on this node, and a client until the log has been read.
pub(super) const DELIVERY_TIMEOUT: Duration = Duration::from_secs(2);

/// Where an emit waits until its event is delivered: it is sent how many clients have missed it.
pub(super) type Waiter = oneshot::Sender<usize>;

/// An entry that was received before the log was read for the first time.
pub(super) struct Deferred {
    pub(super) position: Position,
    pub(super) received: ReceivedEntry,
    pub(super) waiter: Option<Waiter>,
}

impl Log {
    /// Whether the server between the nodes numbers its events.
    pub(crate) fn is_shared(&self) -> bool {
        self.server.is_some()
    }

    /// This process, for the server.
    pub(super) fn node(&self) -> u64 {
        self.server.as_ref().map_or(0, |server| server.log.node())
    }

    /// Sends an event to the clients of all nodes, and keeps it. Returns how many clients of this node missed it that cannot resume.
    pub(crate) async fn emit(
        &self,
        namespace: &EngineNamespace,
        payload: &EncodedPayload,
        recipients: &Recipients,
    ) -> usize {
        let Some(server) = &self.server else { return self.broadcast(namespace, payload, recipients) };
        self.wait_renewed().await;
        let entry = {
            let state = self.state.lock();
            let sender =
                recipients.left_out().and_then(|socket| state.by_socket.get(&socket)).map(|pid| pid.to_string());
            (!matches!(state.mode, Mode::Offline { .. }))
                .then(|| EncodedEntry::for_recipients(payload, recipients, sender, server.log.node()))
        };
        let missed = match entry {
            Some(entry) => self.append(server, entry).await,
            None => {
                if !recipients.is_local() {
                    record_lost(&"the log of the backplane's server is away");
                }
                None
            }
        };
        missed.unwrap_or_else(|| self.broadcast(namespace, payload, recipients))
    }

    /// Sends an event to one client that has asked for offsets by the log of the server, and waits until it is delivered. `false` if events are numbered
    /// here, so that [`emit_to_one`](Self::emit_to_one) has to send it.
    pub(crate) async fn emit_to_one_by_server(&self, subscriber: &Subscriber, payload: &EncodedPayload) -> bool {
        let (Some(server), Some(pid)) = (&self.server, subscriber.pid.get()) else { return false };
        self.wait_renewed().await;
        !matches!(self.state.lock().mode, Mode::Offline { .. })
            && self.append(server, EncodedEntry::for_client(payload, pid)).await.is_some()
    }

    /// Whether a client takes more at present.
    ///
    /// # Errors
    ///
    /// When it does not, or has left.
    pub(crate) fn check_room(&self, subscriber: &Subscriber, raw: &EngineSocket) -> Result<(), SendError> {
        if self.state.lock().by_socket.get(&raw.id()) != subscriber.pid.get() || !raw.is_connected() {
            return Err(SendError::Closed);
        }
        if raw.is_blocked() { Err(SendError::Full) } else { Ok(()) }
    }

    /// Appends an event to the log of the server, and waits until it has come back. `None` if events are numbered here.
    async fn append(&self, server: &Server, entry: EncodedEntry) -> Option<usize> {
        let position = match server.append(&self.path, &entry.encode()).await {
            Ok(position) => position,
            Err(error) => {
                record_lost(&error);
                self.go_offline(0);
                return None;
            }
        };
        let (waiter, delivered) = oneshot::channel();
        let received = entry.into_received().ok()?;
        if !self.accept(position, received, Some(waiter)) {
            return None;
        }
        match tokio::time::timeout(DELIVERY_TIMEOUT, delivered).await {
            Ok(Ok(missed)) => Some(missed),
            // The server became unreachable before the notification came.
            _ => (!matches!(self.state.lock().mode, Mode::Offline { .. })).then_some(0),
        }
    }

    /// Sends an event to this node's clients that is not in the log. Those that have asked get it with the last offset.
    pub(crate) fn send_unlogged(
        &self,
        namespace: &EngineNamespace,
        payload: &EncodedPayload,
        recipients: &Recipients,
    ) -> usize {
        let state = self.state.lock();
        let payload_with_offset = payload.with_last(&state.offset(state.last));
        self.send(&state, namespace, payload, &payload_with_offset, recipients)
    }

    /// Handles a notification of the server.
    pub(crate) fn receive(&self, notification: AppendNotification) {
        let AppendNotification { path, position, entry } = notification;
        {
            let mut state = self.state.lock();
            let is_known = state.mode == Mode::Shared
                && state.epoch.as_str() == position.epoch
                && position.number <= state.last
                && !state.expected.contains(&position.number);
            if is_known || matches!(state.mode, Mode::SingleNode | Mode::Offline { .. }) {
                return;
            }
            let Some(server) = &self.server else { return };
            if entry.is_none() {
                if position.number == 0 && position.epoch == state.epoch.as_str() {
                    return;
                }
                return self.schedule_read(&mut state, server, Duration::ZERO);
            }
        }
        match entry.as_deref().map(|entry| self.decode(entry)) {
            Some(Ok(received)) => drop(self.accept(position, received, None)),
            Some(Err(reason)) => refused(Cause::BackplanePacket, &format!("an entry of the log of `{path}`: {reason}")),
            None => {}
        }
    }

    /// Decodes an entry, unless it is older than any that is kept.
    pub(super) fn decode(&self, entry: &str) -> Result<ReceivedEntry, String> {
        EncodedEntry::decode(entry, self.settings.window + self.settings.window / 2)
    }

    /// Delivers an entry when its turn comes. `false` if events are numbered here.
    pub(super) fn accept(&self, position: Position, received: ReceivedEntry, waiter: Option<Waiter>) -> bool {
        let Some(server) = &self.server else { return false };
        let mut guard = self.state.lock();
        let state = &mut *guard;
        match state.mode {
            Mode::SingleNode | Mode::Offline { .. } => return false,
            Mode::Opening => {
                if state.deferred.len() <= self.settings.events {
                    state.deferred.push(Deferred { position, received, waiter });
                }
                return true;
            }
            Mode::Shared => {}
        }
        if position.epoch != state.epoch.as_str() {
            self.schedule_read(state, server, Duration::ZERO);
            return true;
        }
        let number = position.number;
        if number <= state.last {
            if state.expected.remove(&number)
                && let (Some(recipients), Some(namespace)) = (received.recipients(), state.namespace.clone())
                && self.is_here(&received.audience)
            {
                let missed = self.send_plain(&namespace, &received.payload, &recipients);
                self.count_missed(state, number, missed);
            }
            if let Some(waiter) = waiter {
                let missed = state.missed.iter().find(|(one, _)| *one == number).map_or(0, |(_, missed)| *missed);
                // It may have given up.
                let _ = waiter.send(missed);
            }
            return true;
        }
        if let Some(waiter) = waiter {
            state.waiting.insert(number, waiter);
        }
        state.pending.entry(number).or_insert((position.time, received));
        self.deliver_pending(state);
        if !state.pending.is_empty() {
            if state.pending.len() > self.settings.events {
                state.pending.clear();
            }
            self.schedule_read(state, server, REORDER_DELAY);
        }
        true
    }

    /// Whether an event is for clients of this node.
    fn is_here(&self, audience: &Audience) -> bool {
        !matches!(audience, Audience::Rooms { node: Some(node), .. } if *node != self.node())
    }

    pub(super) fn deliver_pending(&self, state: &mut State) {
        while let Some((time, received)) = state.pending.remove(&(state.last + 1)) {
            self.deliver(state, time, received);
        }
        let last = state.last;
        state.pending.retain(|number, _| *number > last);
    }

    /// Sends this node's clients the next event, and keeps it.
    fn deliver(&self, state: &mut State, sent: u64, received: ReceivedEntry) {
        state.last += 1;
        state.complete_at = time(sent);
        let number = state.last;
        let payload_with_offset = received.payload.with_last(&state.offset(number));
        let mut missed = 0;
        if !state.ids.insert(received.id) {
            refused(Cause::BackplanePacket, &format!("an entry of the log of `{}` that is there twice", self.path));
        } else {
            if let Some(namespace) = state.namespace.clone().filter(|_| self.is_here(&received.audience)) {
                match (&received.audience, received.recipients()) {
                    (Audience::One(pid), _) => self.deliver_to_one(state, &namespace, pid, &payload_with_offset),
                    (_, Some(recipients)) => {
                        missed = self.send(state, &namespace, &received.payload, &payload_with_offset, &recipients);
                    }
                    (_, None) => {}
                }
            }
            self.store_received(state, sent, received, payload_with_offset);
        }
        self.count_missed(state, number, missed);
        if let Some(waiter) = state.waiting.remove(&number) {
            // It may have given up.
            let _ = waiter.send(missed);
        }
    }

    pub(super) fn store_received(
        &self,
        state: &mut State,
        sent: u64,
        received: ReceivedEntry,
        payload_with_offset: EncodedPayload,
    ) {
        let sent = time(sent);
        let ago = SystemTime::now().duration_since(sent).unwrap_or_default();
        let at = Instant::now().checked_sub(ago).unwrap_or_else(Instant::now);
        self.store(state, payload_with_offset, received.audience, received.id, at, sent);
    }

    fn deliver_to_one(&self, state: &State, namespace: &EngineNamespace, pid: &Arc<str>, event: &EncodedPayload) {
        let Some(ConnectionState::Connected { id, raw, resuming: None }) =
            state.sessions.get(pid).map(|session| &session.connection)
        else {
            return;
        };
        if state.by_socket.get(id) == Some(pid)
            && let Some(raw) = raw.upgrade()
            && matches!(namespace.emit_to_one(&raw, event), Err(SendError::Full))
        {
            // It gets it when it comes back.
            raw.cut();
        }
    }

    /// Counts the clients that have missed an event, for whoever asks later too.
    fn count_missed(&self, state: &mut State, number: u64, missed: usize) {
        if missed == 0 {
            return;
        }
        let path = self.declared_path();
        metric::missed(path, missed);
        undelivered(
            Cause::Missed,
            &format!("an event on `{path}` missed clients whose buffers are full ({missed} of them)"),
        );
        state.missed.push_back((number, missed));
        if state.missed.len() > 64 {
            state.missed.pop_front();
        }
    }
}
